"""Every answer that the four push services are known to give, and what each has to mean."""

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.support.sending import APPLE, FCM, MOZILLA, WNS

HOSTS = (MOZILLA, FCM, APPLE, WNS)
NAMES = {MOZILLA: "mozilla", FCM: "fcm", APPLE: "apple", WNS: "wns"}


class Means(NamedTuple):
    """What an answer leads to: the row's state, the subscription's, the exit code."""

    one: tuple[str, str, int]  # to one among many
    all: tuple[str, str, int]  # to everybody
    held: tuple[bool, bool] = (False, False)  # whether the service waits, for one and all


ACCEPTED = Means(("accepted", "active", 0), ("accepted", "active", 0))
GONE = Means(("gone", "gone", 0), ("gone", "gone", 0))
RETRY = Means(("planned", "active", 0), ("planned", "active", 0), (False, True))
THROTTLED = Means(("planned", "active", 0), ("planned", "active", 0), (False, True))
THROTTLED_ONE = Means(("planned", "active", 0), ("planned", "active", 0))
REFUSED = Means(("rejected", "quarantined", 5), ("planned", "active", 77))
OUR_FAULT = Means(("planned", "active", 77), ("planned", "active", 77))
QUARANTINE = Means(("rejected", "quarantined", 5), ("rejected", "quarantined", 5))
TOO_LARGE = Means(("rejected", "active", 5), ("rejected", "active", 5))
IN_DOUBT = Means(("in_doubt", "active", 5), ("in_doubt", "active", 5), (False, True))


@dataclass(frozen=True)
class Row:
    host: str
    status: int
    says: str | None  # the reason in the ledger
    means: Means
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    wait: tuple[int, int] | None = None  # seconds until the row's next try, least and most

    @property
    def name(self) -> str:
        text = self.body or " ".join(f"{name}: {value}" for name, value in self.headers)
        return f"{NAMES[self.host]} {self.status} {text[:40]}".strip()

    @property
    def act(self) -> dict[str, Any]:
        return {
            "do": "answer",
            "status": self.status,
            "body": self.body,
            "headers": dict(self.headers),
        }


def errno(number: int) -> str:
    return json.dumps({"errno": number, "message": "as autopush says it"})


def reason(word: str) -> str:
    return json.dumps({"reason": word})


def described(text: str) -> tuple[tuple[str, str], ...]:
    return (("x-wns-status", "dropped"), ("x-wns-error-description", text))


def after(seconds: int) -> tuple[tuple[str, str], ...]:
    return (("retry-after", str(seconds)),)


SOON = (2, 5)  # the first pause after a fault, with its jitter
QUARTER = (900, 915)

ELSEWHERE = (("location", "https://elsewhere.example/"),)

EVERYWHERE = [
    *((status, None, ACCEPTED, (), None) for status in (200, 201, 202, 204)),
    *((code, f"{code} redirect", RETRY, ELSEWHERE, SOON) for code in (301, 302, 307, 308)),
    *(
        (status, f"{status} service fault", RETRY, (), SOON) for status in (500, 502, 503, 504)
    ),
    (503, "503 service fault", RETRY, after(120), (120, 121)),
    (408, "408 request timeout", RETRY, (), SOON),
    (425, "425 too early", RETRY, (), SOON),
    (413, "413 too large", TOO_LARGE, (), None),
    (418, "418 unexpected", QUARANTINE, (), None),
]  # fmt: skip

ROWS = [
    *(
        Row(host, status, says, means, headers=headers, wait=wait)
        for host in HOSTS
        for status, says, means, headers, wait in EVERYWHERE
    ),
    # Google.
    Row(FCM, 400, "400 unauthorized registration", REFUSED, "UnauthorizedRegistration"),
    Row(FCM, 400, "400 bad request", REFUSED, "INVALID_ARGUMENT"),
    Row(
        FCM,
        403,
        "403 other key",
        REFUSED,
        "the VAPID credentials in the authorization header do not correspond to the "
        "credentials used to create the subscriptions.",
    ),
    Row(FCM, 403, "403 other key", REFUSED, "invalid sender ID"),
    Row(FCM, 403, "403 wrong audience", REFUSED, "the 'aud' claim in the JWT is wrong"),
    Row(FCM, 403, "403 invalid endpoint", QUARANTINE, "invalid push subscription endpoint"),
    Row(
        FCM,
        404,
        "404 stale",
        GONE,
        "A valid push subscription endpoint should be specified in the URL as such: /wp/",
    ),
    Row(FCM, 410, "410 unsubscribed", GONE, "push subscription has unsubscribed or expired."),
    Row(FCM, 429, "429 too many requests", THROTTLED, "", after(900), wait=QUARTER),
    # Mozilla.
    Row(MOZILLA, 400, "400 bad router", OUR_FAULT, errno(108)),
    Row(MOZILLA, 400, "400 bad encryption headers", OUR_FAULT, errno(110)),
    Row(MOZILLA, 400, "400 no TTL", OUR_FAULT, errno(111)),
    Row(MOZILLA, 400, "400 bad TTL", OUR_FAULT, errno(112)),
    Row(MOZILLA, 400, "400 bad topic", OUR_FAULT, errno(113)),
    Row(MOZILLA, 400, "400 bad TTL", OUR_FAULT, errno(114)),
    Row(MOZILLA, 401, "401 key refused", REFUSED, errno(109)),
    Row(MOZILLA, 404, "404 unknown", GONE, errno(102)),
    *(Row(MOZILLA, 410, "410 unsubscribed", GONE, errno(n)) for n in (103, 105, 106)),
    Row(MOZILLA, 413, "413 too large", TOO_LARGE, errno(104)),
    *(
        Row(MOZILLA, 502, "502 service fault", RETRY, errno(n), (), SOON)
        for n in (901, 902, 903)
    ),
    *(
        Row(MOZILLA, 503, "503 service fault", RETRY, errno(n), after(120), (120, 121))
        for n in (201, 202)
    ),
    Row(MOZILLA, 429, "429 too many requests", THROTTLED, "", after(900), wait=QUARTER),
    # Apple.
    Row(APPLE, 400, "400 bad topic", OUR_FAULT, reason("BadWebPushTopic")),
    Row(APPLE, 400, "400 bad TTL", OUR_FAULT, reason("BadTtl")),
    Row(APPLE, 400, "400 bad urgency", OUR_FAULT, reason("BadUrgency")),
    Row(APPLE, 400, "400 bad request", OUR_FAULT, reason("BadWebPushRequest")),
    Row(APPLE, 400, "400 other key", REFUSED, reason("VapidPkHashMismatch")),
    Row(APPLE, 403, "403 other key", REFUSED, reason("VapidPkHashMismatch")),
    Row(APPLE, 403, "403 token refused", REFUSED, reason("BadJwtToken")),
    Row(APPLE, 404, "404 unknown", GONE, reason("BadPath")),
    Row(APPLE, 410, "410 unsubscribed", GONE, reason("Unregistered")),
    Row(APPLE, 413, "413 too large", TOO_LARGE, reason("PayloadTooLarge")),
    Row(
        APPLE,
        429,
        "429 too many for this device",
        THROTTLED_ONE,
        reason("TooManyRequests"),
        after(900),
        wait=QUARTER,
    ),
    # Microsoft.
    Row(
        WNS,
        400,
        "400 TTL against cache policy",
        OUR_FAULT,
        headers=described("Ttl value conflicts with X-WNS-Cache-Policy."),
    ),
    Row(
        WNS,
        401,
        "401 key or channel refused",
        REFUSED,
        headers=described("The VAPID key does not match the channel."),
    ),
    Row(WNS, 404, "404 unknown channel", GONE),
    Row(WNS, 410, "410 channel expired", GONE),
    *(
        Row(
            WNS,
            status,
            says,
            THROTTLED,
            headers=(*after(900), ("x-wns-status", "appthrottled")),
            wait=QUARTER,
        )
        for status, says in ((406, "406 throttled"), (429, "429 too many requests"))
    ),
]
