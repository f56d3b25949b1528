"""Strangers' share of a day's inbox: of one address, of all together, and never of others."""

from pathlib import Path
from typing import Any

import pytest

from pushctl import inbox, status
from pushctl.config import UnprovedConfig
from pushctl.inbox import usage_files
from pushctl.receiver.addresses import Proxies
from pushctl.receiver.answers import Refusal
from pushctl.receiver.shares import Shares
from pushctl.rules import tokens
from pushctl.rules.limits import REPORT_SHARES
from tests.support import DAY, NOON, endpoint
from tests.support import receiving as r

SMALL = {"inbox_mb_per_address": 0.01, "inbox_mb": 0.04}
HERE = "203.0.113.7"


def send(port: int, number: int, address: str, times: int = 1, **heads: str) -> list[int]:
    """Post events of browser *number* from *address*; return the statuses."""
    found = []
    for _ in range(times):
        body = r.events(number, filler="x" * 900)
        answer = r.post(
            port, "/v1/events", body, number=number, X_Forwarded_For=address, **heads
        )
        found.append(answer.status)
        if answer.status == 429:
            assert 0 < int(answer.headers["Retry-After"]) <= 3600
    return found


def test_an_address_and_all_strangers_together_have_a_share(tmp_path: Path) -> None:
    status.publish_proved(tmp_path / "status", [tokens.endpoint_hash(endpoint(9))])
    with r.running(tmp_path, rate_per_address=0, unproved=SMALL) as port:
        first = send(port, 1, HERE, 12)
        assert first == [204] * first.count(204) + [429] * first.count(429)
        assert first.count(429) >= 2
        assert send(port, 2, HERE) == [429], "another made-up one of the same address"
        assert send(port, 9, HERE, 3) == [204] * 3, "a proved one beside it"
        assert (
            r.post(port, "/v1/subscribe", r.subscription(9), X_Forwarded_For=HERE).status == 204
        )
        sixes = [*send(port, 3, "2001:db8::1", 9), *send(port, 4, "2001:db8::2", 9)]
        assert sixes.count(204) == first.count(204), "a /64 is one address"
        assert sum(map(len, written(tmp_path, {1, 2}))) <= 10_000 + 1_500
        # A gateway of containers or a proxy nobody named: all visitors come from it.
        assert send(port, 5, "172.17.0.1", 30).count(429) > 0, "the share of all"
        assert send(port, 6, "198.51.100.1") == [429]
        assert send(port, 9, HERE, 3) == [204] * 3
        report = {"message": "7." + "A" * 22, "kind": "shown", "id": "one"}
        assert r.post(port, "/v1/reports", report, X_Forwarded_For=HERE).status == 204
    with r.running(tmp_path, rate_per_address=0, unproved=SMALL) as port:
        assert send(port, 6, "198.51.100.1") == [204], "each port counts for itself"


def written(folder: Path, browsers: set[int]) -> list[bytes]:
    """Return the inbox's lines of *browsers*."""
    names = [endpoint(number) + '"' for number in browsers]
    return [
        inbox.encode(one)
        for one in r.records(folder)
        if any(name in one.body for name in names)
    ]


def test_a_restart_does_not_begin_the_day_anew(tmp_path: Path) -> None:
    port = r.free_port()
    process = r.start(tmp_path, port, rate_per_address=0, unproved=SMALL)
    assert send(port, 1, HERE, 12)[-1] == 429
    log = r.stop(process)
    assert "one address have used up their share" in log
    assert HERE not in log
    saved = (tmp_path / "inbox" / f"usage-{port}.json").read_text()
    assert HERE not in saved
    process = r.start(tmp_path, port, rate_per_address=0, unproved=SMALL)
    assert send(port, 1, HERE) == [429]
    assert send(port, 1, "198.51.100.1") == [204]
    r.stop(process)


def make_shares(folder: Path, now: int = NOON, **bounds: Any) -> Shares:
    proxies = Proxies(["127.0.0.0/8"])
    proved = status.Proved(folder / "status", clock=iter(range(10**6)).__next__)
    return Shares(
        UnprovedConfig(**bounds), proved, folder / "inbox/usage-1.json", proxies.trusts, now
    )


def refused(shares: Shares, path: str, sender: str | None, at: int = NOON) -> bool:
    try:
        shares.check(path, sender, at, forwarded=False)
    except Refusal as refusal:
        assert (refusal.status, refusal.word) == (429, "share")
        return True
    return False


def test_a_new_day_is_a_new_share_and_a_new_name(tmp_path: Path) -> None:
    shares = make_shares(tmp_path, inbox_mb_per_address=1)
    sender = shares.name_sender(HERE, NOON)
    assert sender == shares.name_sender(HERE, NOON + 1)
    assert not refused(shares, "/v1/events", sender)
    shares.add("/v1/events", sender, 1_000_000)
    assert refused(shares, "/v1/events", sender)
    tomorrow = shares.name_sender(HERE, NOON + DAY)
    assert tomorrow != sender
    assert not refused(shares, "/v1/events", tomorrow, NOON + DAY)


def test_reports_have_a_larger_share_of_their_own(tmp_path: Path) -> None:
    shares = make_shares(tmp_path, inbox_mb_per_address=1, inbox_mb=3)
    sender = shares.name_sender(HERE, NOON)
    for _ in range(REPORT_SHARES - 1):
        shares.add("/v1/reports", sender, 1_000_000)
    assert not refused(shares, "/v1/reports", sender)
    assert not refused(shares, "/v1/events", sender), "they take nothing from the others"
    shares.add("/v1/reports", sender, 1_000_000)
    assert refused(shares, "/v1/reports", sender)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "fd00::1", "172.17.0.1", "junk"])
def test_an_address_that_may_be_a_proxys_has_no_share_of_its_own(
    tmp_path: Path, address: str
) -> None:
    assert make_shares(tmp_path).name_sender(address, NOON) is None


def test_no_bound_is_no_bound(tmp_path: Path) -> None:
    shares = make_shares(tmp_path, inbox_mb_per_address=0, inbox_mb=0)
    sender = shares.name_sender(HERE, NOON)
    shares.add("/v1/events", sender, 10**12)
    assert not refused(shares, "/v1/events", sender)
    assert not shares.usage.senders


def test_the_number_of_senders_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushctl.receiver.shares.MOST_SENDERS", 5)
    shares = make_shares(tmp_path)
    for number in range(9):
        shares.add("/v1/events", f"s{number}", 10)
    assert list(shares.usage.senders) == ["s4", "s5", "s6", "s7", "s8"]
    assert shares.usage.total == 90


@pytest.mark.parametrize("text", ["", "{", "[]", '{"day": 1}', '{"day": "x", "salt": "zz"}'])
def test_damaged_counts_begin_anew(tmp_path: Path, text: str) -> None:
    file = tmp_path / "inbox/usage-1.json"
    file.parent.mkdir()
    file.write_text(text)
    assert make_shares(tmp_path).usage.total == 0


def test_counts_hold_no_address_and_only_what_matters(tmp_path: Path) -> None:
    file = tmp_path / "inbox/usage-1.json"
    usage = usage_files.Usage(20_000, senders=usage_files.OrderedDict(a=5, b=500))
    usage_files.save(file, usage, 100)
    assert file.stat().st_mode & 0o077 == 0
    loaded = usage_files.load(file)
    assert loaded is not None
    assert dict(loaded.senders) == {"b": 500}


def test_the_list_of_the_proved_is_followed(tmp_path: Path) -> None:
    folder = tmp_path / "status"
    hashes = [tokens.endpoint_hash(endpoint(number)) for number in range(200)]
    proved = status.Proved(folder, clock=iter(range(10**6)).__next__)
    assert endpoint(1) not in proved
    assert not status.add_proved(folder, hashes[:1]), "there is no list yet"
    status.publish_proved(folder, hashes[:150])
    assert status.add_proved(folder, hashes[150:190])
    held = [number for number in range(200) if endpoint(number) in proved]
    assert held == list(range(190))
    status.publish_proved(folder, hashes[5:])
    assert [number for number in range(200) if endpoint(number) in proved] == list(
        range(5, 200)
    )
    (folder / "proved").write_bytes((folder / "proved").read_bytes() + b"torn")
    assert not status.add_proved(folder, hashes[:1])
    assert endpoint(7) in proved
    (folder / "proved").unlink()
    assert endpoint(7) not in proved


def test_a_long_tail_is_published_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "_MAX_TAIL", 3)
    status.publish_proved(tmp_path, [])
    hashes = [bytes([number]) * 16 for number in range(9)]
    assert [status.add_proved(tmp_path, [each]) for each in hashes].count(True) == 4


def test_a_hop_beyond_the_client_hints_at_a_proxy() -> None:
    proxies = Proxies(["127.0.0.1"])
    heads = [(b"x-forwarded-for", b"203.0.113.1, 198.51.100.9")]
    assert proxies.names_another("198.51.100.9", heads)
    assert not proxies.names_another("203.0.113.1", [(b"x-forwarded-for", b"203.0.113.1")])
    assert not proxies.names_another("203.0.113.1", [])
