"""Signatures and times of webhooks: the vector of the standard, and what is no secret."""

import pytest

from pushctl.errors import InputError
from pushctl.rules.units import DAY, HOUR, SECOND
from pushctl.rules.web import standard_webhooks as standard
from pushctl.rules.web import webhooks


def test_a_call_is_signed_as_the_published_library_signs() -> None:
    from datetime import UTC, datetime

    from standardwebhooks.webhooks import Webhook

    text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    at, body = 1_614_265_330, b'{"test": 2432232314}'
    made = standard.write_headers([standard.read_secret(text)], "msg_a", at * SECOND, body)
    right = Webhook(text).sign("msg_a", datetime.fromtimestamp(at, UTC), body.decode())
    assert made["webhook-signature"] == right


def test_a_secret_is_read_as_it_was_written() -> None:
    assert standard.read_secret(standard.write_secret(bytes(range(32)))) == bytes(range(32))


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_AAAA", "whsec_????", "A" * 48])
def test_what_is_no_secret_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InputError) as caught:
        standard.read_secret(text)
    assert len(text) < 8 or text not in str(caught.value)


def test_an_id_stays_and_is_nobody_elses() -> None:
    asked = [("clicked", "interactions", 1), ("shown", "interactions", 1),
             ("clicked", "events", 1), ("clicked", "interactions", 2)]  # fmt: skip
    made = {standard.make_id(b"secret", *one) for one in asked}
    assert len(made) == 4
    assert standard.make_id(b"secret", *asked[0]) in made
    assert standard.make_id(b"other", *asked[0]) not in made


def test_tries_come_later_and_later_until_three_days_are_over() -> None:
    delays = [standard.compute_delay(tries, 0.5) for tries in range(1, 20)]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (5 * SECOND, 8 * HOUR)
    assert 10 < sum(1 for one in range(19) if sum(delays[: one + 1]) < 3 * DAY) < 19
    for lot in (0.0, 0.999):
        assert 0.79 < standard.compute_delay(3, lot) / delays[2] < 1.21


@pytest.mark.parametrize(
    "url",
    [
        "http://crm.example/", "https://", "https://me@crm.example/", "https://crm.example:0/",
        "https://crm.example:99999/", "https://crm.example:abc/",
    ],
)  # fmt: skip
def test_an_address_is_https_with_a_port_that_exists(url: str) -> None:
    assert webhooks.is_address("https://crm.example:8443/pushctl?token=x") is None
    assert webhooks.is_address(url) is not None
