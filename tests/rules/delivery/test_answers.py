"""rules/delivery/answers: every row of what push services answer, and what it means."""

import json
import re
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushctl.model import Answer, Cause
from pushctl.rules.delivery import answers
from pushctl.rules.delivery.answers import classify, retry_after, service
from tests.support import DAY, NOON, ROOT

FCM, JMT = "fcm.googleapis.com", "jmt17.google.com"
MOZILLA = "updates.push.services.mozilla.com"
APPLE = "web.push.apple.com"
WNS = "wns2-par02p.notify.windows.com"
OTHER = "push.example"


def errno(code: int, number: int) -> bytes:
    return json.dumps({"code": code, "errno": number, "error": "x", "message": "y"}).encode()


def reason(word: str) -> bytes:
    return json.dumps({"reason": word}).encode()


def check(
    host: str, status: int, answer: Answer, says: str, body: bytes = b"", **fields: str
) -> None:
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    verdict = classify(host, status, headers, body, NOON)
    assert verdict.answer is answer
    assert verdict.reason == says


@pytest.mark.parametrize("host", [FCM, JMT, MOZILLA, APPLE, WNS, OTHER])
class TestEveryService:
    @pytest.mark.parametrize("status", [200, 201, 202, 204])
    def test_takes_a_message(self, host: str, status: int) -> None:
        check(host, status, Answer.ACCEPTED, str(status))

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_is_not_followed_elsewhere(self, host: str, status: int) -> None:
        check(host, status, Answer.RETRY, f"{status} redirect", location="https://evil.example")

    @pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
    def test_may_be_at_fault_for_a_while(self, host: str, status: int) -> None:
        check(host, status, Answer.RETRY, f"{status} service fault")

    def test_says_when_to_come_back_after_a_fault(self, host: str) -> None:
        verdict = classify(host, 503, {"retry-after": "120"}, b"", NOON)
        assert verdict == (Answer.RETRY, "503 service fault", 120_000, Cause.SERVICE_FAULT)

    def test_gives_no_time_after_a_fault_when_it_says_none(self, host: str) -> None:
        assert classify(host, 503, {}, b"", NOON).retry_after is None

    @pytest.mark.parametrize("status", [404, 410])
    def test_forgets_a_subscription(self, host: str, status: int) -> None:
        assert classify(host, status, {}, b"", NOON).answer is Answer.GONE

    @pytest.mark.parametrize("status", [401, 403])
    def test_refuses_a_key(self, host: str, status: int) -> None:
        assert classify(host, status, {}, b"", NOON).answer is Answer.REFUSED

    def test_finds_a_message_too_large(self, host: str) -> None:
        check(host, 413, Answer.TOO_LARGE, "413 too large")

    @pytest.mark.parametrize("status", [402, 405, 409, 411, 415, 418, 422, 451])
    def test_may_answer_oddly(self, host: str, status: int) -> None:
        check(host, status, Answer.QUARANTINE, f"{status} unexpected")

    @pytest.mark.parametrize("status", [408, 425])
    def test_may_not_have_looked_at_the_request(self, host: str, status: int) -> None:
        verdict = classify(host, status, {}, b"", NOON)
        assert (verdict.answer, verdict.retry_after) == (Answer.RETRY, None)


class TestFcm:
    @pytest.mark.parametrize("host", [FCM, JMT])
    @pytest.mark.parametrize(
        ("status", "body", "answer", "says"),
        [
            (400, b"UnauthorizedRegistration", Answer.REFUSED, "400 unauthorized registration"),
            (400, b"<H1>Bad Request</H1>", Answer.REFUSED, "400 bad request"),
            (
                403,
                b"the VAPID credentials in the authorization header do not correspond to the "
                b"credentials used to create the subscriptions.",
                Answer.REFUSED,
                "403 other key",
            ),
            (403, b"permission denied: sender ID mismatch", Answer.REFUSED, "403 other key"),
            (403, b"invalid `aud` claim in JWT", Answer.REFUSED, "403 wrong audience"),
            (403, b"", Answer.REFUSED, "403 forbidden"),
            (
                403,
                b"invalid push subscription endpoint",
                Answer.QUARANTINE,
                "403 invalid endpoint",
            ),
            (
                404,
                b"A valid push subscription endpoint should be specified in the URL as such: "
                b"https://fcm.googleapis.com/wp/dHIoDxE7Hdg:APA91bH1Zj0",
                Answer.GONE,
                "404 stale",
            ),
            (410, b"push subscription has unsubscribed or expired.", Answer.GONE,
             "410 unsubscribed"),
        ],
    )  # fmt: skip
    def test_row(self, host: str, status: int, body: bytes, answer: Answer, says: str) -> None:
        check(host, status, answer, says, body)

    def test_429_is_for_all_of_its_subscriptions(self) -> None:
        verdict = classify(FCM, 429, {"retry-after": "300"}, b"", NOON)
        assert verdict == (Answer.THROTTLED, "429 too many requests", 300_000, Cause.THROTTLED)


class TestMozilla:
    @pytest.mark.parametrize(
        ("status", "number", "answer", "says"),
        [
            (400, 108, Answer.OUR_FAULT, "400 bad router"),
            (400, 110, Answer.OUR_FAULT, "400 bad encryption headers"),
            (400, 111, Answer.OUR_FAULT, "400 no TTL"),
            (400, 112, Answer.OUR_FAULT, "400 bad TTL"),
            (400, 113, Answer.OUR_FAULT, "400 bad topic"),
            (400, 114, Answer.OUR_FAULT, "400 bad TTL"),
            (400, 1101, Answer.QUARANTINE, "400 bad request"),
            (400, 999, Answer.QUARANTINE, "400 bad request"),
            (401, 109, Answer.REFUSED, "401 key refused"),
            (404, 102, Answer.GONE, "404 unknown"),
            (410, 103, Answer.GONE, "410 unsubscribed"),
            (410, 105, Answer.GONE, "410 unsubscribed"),
            (410, 106, Answer.GONE, "410 unsubscribed"),
            (413, 104, Answer.TOO_LARGE, "413 too large"),
            (500, 999, Answer.RETRY, "500 service fault"),
            (502, 901, Answer.RETRY, "502 service fault"),
            (502, 902, Answer.RETRY, "502 service fault"),
            (502, 903, Answer.RETRY, "502 service fault"),
            (503, 201, Answer.RETRY, "503 service fault"),
            (503, 202, Answer.RETRY, "503 service fault"),
        ],
    )
    def test_row(self, status: int, number: int, answer: Answer, says: str) -> None:
        check(MOZILLA, status, answer, says, errno(status, number))

    @pytest.mark.parametrize(
        "body", [b"", b"errno", b"[110]", b'{"errno": "110"}', b'{"errno": true}', b"[" * 4000]
    )
    def test_a_400_without_a_number_is_the_subscriptions(self, body: bytes) -> None:
        check(MOZILLA, 400, Answer.QUARANTINE, "400 bad request", body)


class TestApple:
    @pytest.mark.parametrize(
        ("status", "word", "answer", "says"),
        [
            (400, "BadWebPushTopic", Answer.OUR_FAULT, "400 bad topic"),
            (400, "BadTtl", Answer.OUR_FAULT, "400 bad TTL"),
            (400, "BadUrgency", Answer.OUR_FAULT, "400 bad urgency"),
            (400, "BadWebPushRequest", Answer.OUR_FAULT, "400 bad request"),
            (400, "VapidPkHashMismatch", Answer.REFUSED, "400 other key"),
            (403, "VapidPkHashMismatch", Answer.REFUSED, "403 other key"),
            (403, "BadJwtToken", Answer.REFUSED, "403 token refused"),
            (400, "SomethingNew", Answer.QUARANTINE, "400 bad request"),
            (404, "BadPath", Answer.GONE, "404 unknown"),
            (410, "Unregistered", Answer.GONE, "410 unsubscribed"),
            (413, "PayloadTooLarge", Answer.TOO_LARGE, "413 too large"),
            (500, "InternalServerError", Answer.RETRY, "500 service fault"),
            (503, "ServiceUnavailable", Answer.RETRY, "503 service fault"),
        ],
    )
    def test_row(self, status: int, word: str, answer: Answer, says: str) -> None:
        check(APPLE, status, answer, says, reason(word))

    def test_429_is_for_one_device(self) -> None:
        verdict = classify(APPLE, 429, {}, reason("TooManyRequests"), NOON)
        assert verdict == (
            Answer.THROTTLED_ONE,
            "429 too many for this device",
            60_000,
            Cause.THROTTLED,
        )


class TestWns:
    def test_a_ttl_against_the_cache_policy_is_our_fault(self) -> None:
        check(
            WNS,
            400,
            Answer.OUR_FAULT,
            "400 TTL against cache policy",
            x_wns_error_description="Ttl value conflicts with X-WNS-Cache-Policy.",
        )

    @pytest.mark.parametrize(
        ("status", "answer", "says"),
        [
            (400, Answer.QUARANTINE, "400 bad request"),
            (401, Answer.REFUSED, "401 key or channel refused"),
            (403, Answer.REFUSED, "403 forbidden"),
            (404, Answer.GONE, "404 unknown channel"),
            (410, Answer.GONE, "410 channel expired"),
            (413, Answer.TOO_LARGE, "413 too large"),
        ],
    )
    def test_row(self, status: int, answer: Answer, says: str) -> None:
        check(WNS, status, answer, says)

    @pytest.mark.parametrize(
        ("status", "says"), [(406, "406 throttled"), (429, "429 too many requests")]
    )
    def test_406_is_429(self, status: int, says: str) -> None:
        headers = {"retry-after": "900", "x-wns-status": "appthrottled"}
        verdict = classify(WNS, status, headers, b"", NOON)
        assert verdict == (Answer.THROTTLED, says, 900_000, Cause.THROTTLED)

    def test_406_elsewhere_is_not(self) -> None:
        assert classify(OTHER, 406, {}, b"", NOON).answer is Answer.QUARANTINE


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (FCM, "fcm"),
        (JMT, "fcm"),
        (MOZILLA, "mozilla"),
        ("x.push.services.mozilla.com", "mozilla"),
        (APPLE, "apple"),
        ("eu.push.apple.com", "apple"),
        (WNS, "wns"),
        ("db3.notify.windows.com", "wns"),
        ("push.services.mozilla.com", "other"),
        ("evilnotify.windows.com", "other"),
        ("fcm.googleapis.com.evil.example", "other"),
    ],
)
def test_a_host_belongs_to_its_service(host: str, name: str) -> None:
    assert service(host) == name


DOCS = ROOT / "docs/push-services.md"
HOSTS = {"all": OTHER, "fcm": FCM, "mozilla": MOZILLA, "apple": APPLE, "wns": WNS}
ROWS = re.findall(r"^\| (\w+) \| (\w[^|]*) \| (\w+) \| `([^`]+)` \|$", DOCS.read_text(), re.M)


@pytest.mark.parametrize(("name", "given", "answer", "says"), ROWS)
def test_the_table_in_the_docs_is_true(name: str, given: str, answer: str, says: str) -> None:
    given = given.replace("another", "418")
    for status in re.findall(r"\b[2-5]\d\d\b", given):
        words = given.partition(status)[2] if "," not in given else ""
        number = re.search(r"errno (\d+)", words)
        body = errno(int(status), int(number[1])) if number else words.encode()
        verdict = classify(HOSTS[name], int(status), {}, body, NOON)
        assert verdict.answer == answer
        if status in says:
            assert verdict.reason == says


def test_the_docs_show_every_row() -> None:
    shown = {(name, says) for name, _, _, says in ROWS}
    for name, rows in {**answers._SERVICES, "all": answers._COMMON}.items():
        for row in rows:
            assert (name, f"{row.status} {row.label}") in shown


def date(wait: int) -> str:
    return format_datetime(datetime.fromtimestamp((NOON + wait) / 1000, UTC), usegmt=True)


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        (None, 60_000),
        ("", 60_000),
        ("junk", 60_000),
        ("-5", 60_000),
        ("1.5", 60_000),
        ("1e3", 60_000),
        ("٣", 60_000),
        ("9" * 13, 60_000),
        ("Fri, 99 Foo 2026 99:99:99 GMT", 60_000),
        ("Fri, 31 Dec 9999 23:59:59 GMT", DAY),
        ("0", 1_000),
        ("1", 1_000),
        (" 120 ", 120_000),
        ("900", 900_000),
        ("86400", DAY),
        ("86401", DAY),
        ("999999999999", DAY),
        (date(90_000), 90_000),
        (date(2 * DAY), DAY),
        (date(-DAY), 1_000),
        (date(45_000).replace("GMT", "-0000"), 45_000),
    ],
)
def test_retry_after_is_seconds_or_a_date_within_bounds(value: str | None, wait: int) -> None:
    assert retry_after(value, NOON) == wait


@given(st.text(max_size=40))
def test_no_retry_after_breaks_it(value: str) -> None:
    assert 1_000 <= retry_after(value, NOON) <= DAY


@given(
    st.sampled_from([FCM, MOZILLA, APPLE, WNS, OTHER]),
    st.integers(200, 999),
    st.dictionaries(st.sampled_from(["retry-after", "x-wns-status", "date"]), st.text()),
    st.binary(max_size=200),
)
def test_no_answer_breaks_it_or_shows_its_text(
    host: str, status: int, headers: dict[str, str], body: bytes
) -> None:
    verdict = classify(host, status, headers, body, NOON)
    assert verdict.reason.startswith(str(status))
    assert all(word.isascii() for word in verdict.reason.split())
    assert len(verdict.reason) < 50
