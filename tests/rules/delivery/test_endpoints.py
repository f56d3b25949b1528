"""rules/delivery/endpoints: what may be stored and dialled, and what may not."""

import pytest

from pushctl.config import DEFAULT_PUSH_HOSTS
from pushctl.errors import InputError
from pushctl.rules.delivery import endpoints
from tests.support import hostile

MOZILLA = "https://updates.push.services.mozilla.com"


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(set(hostile.ENDPOINTS)) >= 120


@pytest.mark.parametrize("endpoint", hostile.ENDPOINTS, ids=ascii)
def test_a_hostile_endpoint_is_refused(endpoint: str) -> None:
    # The narrow list, so that names are compared whole and not by their end.
    with pytest.raises(InputError):
        endpoints.origin(endpoint, (hostile.ALLOWED, "fcm.googleapis.com"))


@pytest.mark.parametrize(
    "endpoint",
    [
        pytest.param(endpoint, id=ascii(endpoint))
        for endpoint in hostile.ENDPOINTS
        # Subdomains of a whole domain that is allowed; they can be no one else's.
        if "//evilupdates.push" not in endpoint and "//xn--updates-push" not in endpoint
    ],
)
def test_the_default_list_refuses_it_too(endpoint: str) -> None:
    try:
        origin = endpoints.origin(endpoint, DEFAULT_PUSH_HOSTS)
    except InputError:
        return
    host = origin.removeprefix("https://")
    assert endpoint.startswith(f"{origin}/")
    assert host.endswith(".push.services.mozilla.com")
    assert "evil" not in host


@pytest.mark.parametrize(
    ("endpoint", "origin"),
    [
        (f"{MOZILLA}/wpush/v2/gAAA-_~", MOZILLA),
        (f"{MOZILLA}:443/wpush/v2/x", MOZILLA),
        ("https://fcm.googleapis.com/fcm/send/a:APA91b", "https://fcm.googleapis.com"),
        ("https://fcm.googleapis.com/wp/a:APA91b", "https://fcm.googleapis.com"),
        ("https://jmt17.google.com/fcm/send/x", "https://jmt17.google.com"),
        (
            "https://wns2-par02p.notify.windows.com/w/?token=BQYAAAB%2bY%2f8%3d",
            "https://wns2-par02p.notify.windows.com",
        ),
        ("https://web.push.apple.com/QGuQyav", "https://web.push.apple.com"),
        ("https://eu.push.apple.com/x", "https://eu.push.apple.com"),
    ],
)
def test_the_real_ones_pass(endpoint: str, origin: str) -> None:
    assert endpoints.origin(endpoint, DEFAULT_PUSH_HOSTS) == origin


def test_a_port_passes_only_when_it_is_allowed_with_its_host() -> None:
    endpoint = "https://push.test:8443/x"
    assert endpoints.origin(endpoint, ("push.test:8443",)) == "https://push.test:8443"
    with pytest.raises(InputError):
        endpoints.origin(endpoint, ("push.test",))


def test_a_leading_dot_does_not_stand_for_the_domain_itself() -> None:
    with pytest.raises(InputError):
        endpoints.origin("https://notify.windows.com/x", (".notify.windows.com",))


@pytest.mark.parametrize("name", [".", "a.", "-", "a-", "a_", "é", "a" * 64])
def test_a_leading_dot_stands_for_whole_labels_only(name: str) -> None:
    with pytest.raises(InputError):
        endpoints.origin(f"https://{name}.notify.windows.com/x", (".notify.windows.com",))


def test_the_reason_never_holds_the_endpoint() -> None:
    with pytest.raises(InputError) as caught:
        endpoints.origin("https://evil.example/secret-token", ("push.test",))
    assert "secret-token" not in str(caught.value)


def test_an_endpoint_of_two_kilobytes_passes_and_one_more_does_not() -> None:
    longest = f"{MOZILLA}/" + "x" * (2048 - len(MOZILLA) - 1)
    assert endpoints.origin(longest, DEFAULT_PUSH_HOSTS) == MOZILLA
    with pytest.raises(InputError, match="2049 characters"):
        endpoints.origin(longest + "x", DEFAULT_PUSH_HOSTS)
