"""push/dial: the addresses that may be dialled, and the targets of the loopback switch."""

import pytest

from pushctl.errors import ConfigError
from pushctl.push import loopback_targets
from pushctl.rules.web import addresses
from tests.support import hostile


@pytest.mark.parametrize("address", hostile.NOT_DIALLED, ids=ascii)
def test_an_address_that_leads_inside_is_not_public(address: str) -> None:
    assert not addresses.is_public(address)


@pytest.mark.parametrize("address", hostile.DIALLED)
def test_the_addresses_of_push_services_are(address: str) -> None:
    assert addresses.is_public(address)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("127.0.0.1:8443", "127.0.0.1:8443"),
        ("127.9.9.9:1", "127.9.9.9:1"),
        ("[::1]:8443", "[::1]:8443"),
    ],
)
def test_a_loopback_target_is_taken(text: str, target: str) -> None:
    assert loopback_targets.parse_targets({"push.test": text})["push.test"].text == target


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:https",
        "127.0.0.1:44٣",
        "localhost:8443",
        "0.0.0.0:8443",
        "10.0.0.1:8443",
        "8.8.8.8:443",
        "[::]:8443",
        "[::ffff:8.8.8.8]:443",
        "push.test:8443",
    ],
)
def test_any_other_target_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigError, match=r"push\.loopback\.hosts: push\.test leads to"):
        loopback_targets.parse_targets({"push.test": text})
