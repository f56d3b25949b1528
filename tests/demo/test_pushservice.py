"""The embedded push service refuses what the real ones refuse, in their words."""

import json
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pycurl
import pytest

from pushctl.demo.pushservice import PushService
from pushctl.rules.tokens import decode, encode
from tests.support import pushservice as client
from tests.support.pushservice import HTTP1, HTTP2, Application, encrypt, post

SERVICES = ("mozilla", "fcm", "chromium", "wns", "apple")
WORD = b"{}"


@pytest.fixture(scope="module")
def service() -> Iterator[PushService]:
    with PushService() as running:
        yield running


@pytest.fixture(scope="module")
def shop() -> Application:
    return Application()


@pytest.mark.parametrize("http", [HTTP1, HTTP2])
@pytest.mark.parametrize("name", SERVICES)
def test_a_proper_push_reaches_the_browser_still_encrypted(
    service: PushService, shop: Application, name: str, http: int
) -> None:
    endpoint = service.subscribe(name, shop.key)
    waiting = service.deliveries()
    reply = post(service, endpoint, shop.headers(endpoint), encrypt(b"hello"), http=http)
    assert (reply.status, reply.headers["ttl"]) == (201, "60")
    assert reply.http == (client.OVER_HTTP2 if http == HTTP2 else HTTP1)
    message = waiting.get(timeout=2)
    assert message.endpoint == endpoint
    assert client.decrypt(message.body) == b"hello"


def test_many_pushes_share_one_http2_connection(
    service: PushService, shop: Application
) -> None:
    endpoints = [service.subscribe("mozilla", shop.key) for _ in range(250)]
    before = len(service.receipts())
    multi, statuses = pycurl.CurlMulti(), []
    multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, 1)
    handles = []
    for endpoint in endpoints:
        curl = pycurl.Curl()
        curl.setopt(curl.URL, endpoint)
        host = urllib.parse.urlsplit(endpoint).hostname
        curl.setopt(curl.CONNECT_TO, [f"{host}:443:127.0.0.1:{service.ports.push}"])
        curl.setopt(curl.CAINFO, str(service.ca))
        curl.setopt(curl.HTTP_VERSION, HTTP2)
        curl.setopt(curl.PIPEWAIT, 1)
        curl.setopt(curl.POSTFIELDS, encrypt(b"x" * 3000))
        headers = shop.headers(endpoint)
        curl.setopt(curl.HTTPHEADER, [f"{name}: {value}" for name, value in headers.items()])
        curl.setopt(curl.WRITEFUNCTION, lambda piece: len(piece))
        multi.add_handle(curl)
        handles.append(curl)
    deadline = time.monotonic() + 20
    while len(statuses) < len(handles) and time.monotonic() < deadline:
        multi.perform()
        _, good, bad = multi.info_read(1000)
        assert not bad
        statuses += [curl.getinfo(curl.RESPONSE_CODE) for curl in good]
        multi.select(0.1)
    assert statuses == [201] * 250
    assert {one.endpoint for one in service.receipts(before)} == set(endpoints)
    assert sum(curl.getinfo(curl.NUM_CONNECTS) for curl in handles) == 1


def test_a_push_without_payload_needs_no_encoding(
    service: PushService, shop: Application
) -> None:
    endpoint = service.subscribe("mozilla", shop.key)
    headers = shop.headers(endpoint, Content_Encoding=None)
    assert post(service, endpoint, headers).status == 201


def test_the_largest_payload_fits_and_one_byte_more_does_not(
    service: PushService, shop: Application
) -> None:
    for name in SERVICES:
        endpoint = service.subscribe(name, shop.key)
        headers = shop.headers(endpoint)
        assert post(service, endpoint, headers, encrypt(b"x" * 3993)).status == 201
        assert post(service, endpoint, headers, encrypt(b"x" * 3994)).status == 413


# Of each service in turn: mozilla, fcm, wns, apple; the status and a word of the answer.
CLAIMS: dict[str, dict[str, Any]] = {
    "aud": {"aud": "https://elsewhere.example"},
    "exp": {"exp": int(time.time()) + 2 * 86_400},
    "exp is missing, past": {"exp": int(time.time()) - 1},
    "exp is missing": {"exp": None},
    "sub": {"sub": None},
}

HEADERS: list[tuple[dict[str, str | None], str]] = [
    ({"Authorization": None}, "401 109, 401 header, 401 Authorization, 403 BadJwtToken"),
    ({"Authorization": "Bearer x"}, "401 109, 403 scheme, 401 scheme, 403 BadJwtToken"),
    ({"TTL": None}, "400 111, 400 TTL, 400 Ttl, 400 BadTtl"),
    ({"TTL": "soon"}, "400 111, 400 TTL, 400 Ttl, 400 BadTtl"),
    ({"TTL": "-1"}, "400 114, 400 TTL, 400 Ttl, 400 BadTtl"),
    ({"Content_Encoding": None}, "400 110, 400 Enc, 400 Enc, 400 BadWebPushRequest"),
    ({"Content_Encoding": "aesgcm"}, "400 110, 400 Enc, 400 Enc, 400 BadWebPushRequest"),
    ({"Crypto_Key": "dh=abc"}, "400 110, 400 Crypto, 400 Crypto, 400 BadWebPushRequest"),
    ({"Topic": "a" * 33}, "400 113, 400 Topic, 400 Topic, 400 BadWebPushTopic"),
    ({"Topic": "a.b"}, "400 113, 400 Topic, 400 Topic, 400 BadWebPushTopic"),
    ({"Urgency": "urgent"}, "400 Urgency, 400 Urgency, 400 Urgency, 400 BadUrgency"),
    ({"Urgency": "low, high"}, "400 Urgency, 400 Urgency, 400 Urgency, 400 BadUrgency"),
]


@pytest.mark.parametrize("word", CLAIMS)
def test_wrong_claims_are_refused(service: PushService, shop: Application, word: str) -> None:
    statuses = {"mozilla": 401, "fcm": 403, "wns": 401, "apple": 403}
    for name, status in statuses.items():
        endpoint = service.subscribe(name, shop.key)
        proof = shop.authorization(endpoint, **CLAIMS[word])
        headers = shop.headers(endpoint, Authorization=proof)
        reply = post(service, endpoint, headers, encrypt(WORD))
        assert_refused(reply, status, "BadJwtToken" if name == "apple" else word)


@pytest.mark.parametrize(("wrong", "expected"), HEADERS, ids=str)
def test_wrong_headers_are_refused(
    service: PushService, shop: Application, wrong: dict[str, str | None], expected: str
) -> None:
    answers = expected.split(", ")
    for name, answer in zip(("mozilla", "fcm", "wns", "apple"), answers, strict=True):
        status, word = answer.split()
        endpoint = service.subscribe(name, shop.key)
        reply = post(service, endpoint, shop.headers(endpoint, **wrong), encrypt(WORD))
        assert_refused(reply, int(status), word)


def assert_refused(reply: client.Reply, status: int, word: str) -> None:
    assert reply.status == status
    told = reply.body.decode() + reply.headers.get("x-wns-error-description", "")
    assert word in told


@pytest.mark.parametrize(
    ("name", "status", "word"),
    [
        ("mozilla", 401, "109"),
        ("fcm", 403, "do not correspond"),
        ("wns", 401, "key"),
        ("apple", 400, "VapidPkHashMismatch"),
    ],
)
def test_another_applications_key_is_refused(
    service: PushService, shop: Application, name: str, status: int, word: str
) -> None:
    endpoint = service.subscribe(name, shop.key)
    headers = Application().headers(endpoint)
    assert_refused(post(service, endpoint, headers, encrypt(WORD)), status, word)


def test_a_forged_signature_is_refused(service: PushService, shop: Application) -> None:
    endpoint = service.subscribe("mozilla", shop.key)
    theirs = Application().authorization(endpoint)
    forged = theirs.partition(", k=")[0] + f", k={shop.key}"
    headers = shop.headers(endpoint, Authorization=forged)
    assert_refused(post(service, endpoint, headers, encrypt(WORD)), 401, "signature")


def test_a_padded_key_is_refused(service: PushService, shop: Application) -> None:
    endpoint = service.subscribe("mozilla", shop.key)
    headers = shop.headers(endpoint, Authorization=shop.authorization(endpoint) + "=")
    assert_refused(post(service, endpoint, headers, encrypt(WORD)), 401, "unpadded")


@pytest.mark.parametrize(
    "subject",
    [
        "mailto:me@localhost",
        "https://shop.local",
        "mailto:a@b.invalid",
        "mailto:<a@shop.example>",
    ],
)
def test_apple_dislikes_subjects_that_others_take(
    service: PushService, shop: Application, subject: str
) -> None:
    for name, status in (("apple", 403), ("mozilla", 201), ("fcm", 201)):
        endpoint = service.subscribe(name, shop.key)
        proof = shop.authorization(endpoint, sub=subject)
        headers = shop.headers(endpoint, Authorization=proof)
        assert post(service, endpoint, headers, encrypt(WORD)).status == status


@pytest.mark.parametrize(("length", "status"), [(5, 400), (13, 400), (12, 201), (32, 201)])
def test_apple_decodes_topics(
    service: PushService, shop: Application, length: int, status: int
) -> None:
    endpoint = service.subscribe("apple", shop.key)
    headers = shop.headers(endpoint, Topic="a" * length)
    assert post(service, endpoint, headers, encrypt(WORD)).status == status


@pytest.mark.parametrize(
    ("ttl", "policy", "status"),
    [
        ("0", None, 400),
        ("0", "cache", 400),
        ("0", "no-cache", 201),
        ("60", "cache", 201),
        ("60", "no-cache", 400),
    ],
)
def test_wns_wants_a_cache_policy_that_fits_the_ttl(
    service: PushService, shop: Application, ttl: str, policy: str | None, status: int
) -> None:
    endpoint = service.subscribe("wns", shop.key)
    headers = shop.headers(endpoint, TTL=ttl, X_WNS_Cache_Policy=policy)
    reply = post(service, endpoint, headers, encrypt(WORD))
    assert (reply.status, reply.body) == (status, b"")
    assert (status == 201) != ("conflicts" in reply.headers.get("x-wns-error-description", ""))


@pytest.mark.parametrize(
    "body",
    [
        encrypt(WORD)[:100],
        b"\0" * 200,
        encrypt(WORD)[:20] + b"\x40" + encrypt(WORD)[21:],
        encrypt(b"x" * 300)[:16] + (100).to_bytes(4, "big") + encrypt(b"x" * 300)[20:],
    ],
    ids=["cut short", "no key", "key of 64 bytes", "two records"],
)
def test_bodies_that_no_browser_could_read_are_refused(
    service: PushService, shop: Application, body: bytes
) -> None:
    endpoint = service.subscribe("fcm", shop.key)
    assert post(service, endpoint, shop.headers(endpoint), body).status == 400


@pytest.mark.parametrize("name", SERVICES)
def test_a_token_of_nobody_is_404_and_one_that_expired_410(
    service: PushService, shop: Application, name: str
) -> None:
    endpoint = service.subscribe(name, shop.key)
    cut = endpoint[:-4] + ("AAAA" if name != "wns" else "A%3D%3D")
    assert post(service, cut, shop.headers(endpoint), encrypt(WORD)).status == 404
    service.expire(endpoint)
    assert post(service, endpoint, shop.headers(endpoint), encrypt(WORD)).status == 410


def test_mozillas_errors_have_their_fields(service: PushService, shop: Application) -> None:
    endpoint = service.subscribe("mozilla", shop.key)
    service.expire(endpoint)
    reply = post(service, endpoint, shop.headers(endpoint), encrypt(WORD))
    assert reply.headers["cache-control"] == "max-age=86400"
    told = json.loads(reply.body)
    assert told.keys() == {"code", "errno", "error", "message", "more_info"}
    assert (told["code"], told["errno"]) == (410, 106)


def test_addresses_are_not_ours_to_guess(service: PushService, shop: Application) -> None:
    endpoint = service.subscribe("mozilla", shop.key)
    head, _, token = endpoint.rpartition("/")
    raw = bytearray(decode(token))
    raw[-1] ^= 1
    forged = f"{head}/{encode(bytes(raw))}"
    assert post(service, forged, shop.headers(forged), encrypt(WORD)).status == 404
