"""A clock that is wrong is refused; a machine that slept or was off goes on by itself."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import pytest

from pushctl.config import LoopbackConfig
from pushctl.errors import ConfigError
from pushctl.jobs.sweep import sweep
from pushctl.model import Millis
from pushctl.store import Store, clocks
from pushctl.store.clocks import Boot, Verdict
from tests.support import DAY, HOUR, MINUTE, NOON, SECOND, sending, wire
from tests.support.sending import Field
from tests.support.shop import BASKET, Shop

UP = 5 * DAY  # the machine has been up for so long at noon
RUNNING = Boot("first", UP)


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    file = tmp_path / "pushctl.db.sweep"
    file.touch()
    clocks.record_sweep(file, NOON, RUNNING)
    return file


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    made = sending.field(tmp_path / "project")
    yield made
    made.store.close()


def judge(lock: Path, later: Millis, up: Millis | None) -> Verdict | None:
    """Judge a clock that is *later* than at noon; *up*: since then, None: started anew."""
    boot = Boot("second", MINUTE) if up is None else Boot("first", UP + up)
    return clocks.judge(lock, NOON + later, boot)


@pytest.mark.parametrize(
    ("later", "up", "verdict"),
    [
        (MINUTE, MINUTE, Verdict.PLAUSIBLE),
        (60 * HOUR, 60 * HOUR, Verdict.PLAUSIBLE),  # it slept for a weekend
        (400 * DAY, 400 * DAY, Verdict.PLAUSIBLE),
        (23 * HOUR, MINUTE, Verdict.PLAUSIBLE),
        (24 * HOUR + MINUTE, MINUTE, Verdict.LEAPT),
        (MINUTE, 60 * HOUR, Verdict.LEAPT),  # it slept, and its clock stood still
        (-HOUR, SECOND, Verdict.LEAPT),
        (-59 * MINUTE, SECOND, Verdict.PLAUSIBLE),
        (5 * MINUTE, None, Verdict.PLAUSIBLE),  # started anew
        (23 * HOUR, None, Verdict.PLAUSIBLE),
        (24 * HOUR, None, Verdict.UNSURE),
        (-2 * HOUR, None, Verdict.UNSURE),
    ],
)
def test_two_clocks_tell_sleep_from_a_leap(
    lock: Path, later: Millis, up: Millis | None, verdict: Verdict
) -> None:
    assert judge(lock, later, up) is verdict


def test_the_first_sweep_has_nothing_to_compare_with(tmp_path: Path) -> None:
    assert clocks.judge(tmp_path / "none", NOON, RUNNING) is None


@pytest.mark.parametrize("text", ["", "junk", "1 2", f"{NOON} first", "\xff\xfe"])
def test_a_torn_record_counts_as_none(lock: Path, text: str) -> None:
    lock.with_suffix(".clock").write_text(text, "latin-1")
    assert judge(lock, MINUTE, MINUTE) is Verdict.PLAUSIBLE
    assert judge(lock, 60 * HOUR, 60 * HOUR) is Verdict.UNSURE


def test_a_record_of_another_sweep_counts_as_none(lock: Path) -> None:
    """An earlier version, which knows one clock only, has swept since."""
    clocks.restore(lock, NOON + HOUR)
    assert judge(lock, 2 * HOUR, 30 * HOUR) is Verdict.PLAUSIBLE


def test_a_lock_that_somebody_removed_is_made_anew(lock: Path) -> None:
    """The sweep that had it was at work; its messages are out, and its end is no error."""
    lock.unlink()
    clocks.record_sweep(lock, NOON + HOUR, RUNNING)
    assert clocks.read_last_sweep(lock) == NOON + HOUR
    assert lock.stat().st_mode & 0o777 == 0o600


def test_the_real_clock_of_the_machine_goes_on() -> None:
    first, second = clocks.read_boot(), clocks.read_boot()
    assert first.id == second.id
    assert first.at <= second.at


def test_a_weekend_asleep_needs_nobody_and_sends_nothing_stale(
    tmp_path: Path, store: Store
) -> None:
    shop = Shop(tmp_path, store, BASKET)
    shop.config.keys.mkdir()
    (shop.config.keys / "secret").write_bytes(bytes(32))
    ann = shop.person()

    def run(later: Millis, up: Millis) -> sweep.Summary:
        options = sweep.Options(boot=Boot("first", UP + up))
        return sweep.run(shop.config, store, NOON + later, options)

    run(0, 0)
    shop.fill(ann, NOON)
    run(MINUTE, MINUTE)
    after = run(60 * HOUR, 60 * HOUR)
    assert after.counts["expire"] == 1
    assert not after.counts["deliver"]
    assert shop.why(ann)[-1][0] == "expire"


@contextlib.contextmanager
def telling(field: Field, date: Millis | None) -> Iterator[wire.Wire]:
    """Have the one push service tell *date* with its answers, which are no good."""
    told = () if date is None else (("date", formatdate(date / 1000, usegmt=True)),)
    with wire.serve(field.config.folder, lambda _: wire.Answer(404, told)) as server:
        hosts = {wire.HOST: f"127.0.0.1:{server.port}"}
        loopback = LoopbackConfig(hosts, server.ca)
        push = replace(field.config.push, allowed_hosts=(wire.HOST,), loopback=loopback)
        field.config = replace(field.config, push=push)
        yield server


class TestSet:
    """The clock is set while the machine runs."""

    def run(self, field: Field, later: Millis, up: Millis, **more: bool) -> None:
        options = sweep.Options(boot=Boot("first", UP + up), **more)
        sweep.run(field.config, field.store, NOON + later, options)

    def test_a_clock_that_is_a_day_off_is_refused(self, field: Field) -> None:
        self.run(field, 0, 0)
        with (
            telling(field, None),
            pytest.raises(ConfigError, match=r"1d1m ahead of the last sweep.*--accept-clock"),
        ):
            self.run(field, DAY + MINUTE, MINUTE)
        self.run(field, DAY + MINUTE, MINUTE, accept_clock=True)
        self.run(field, DAY + 2 * MINUTE, 2 * MINUTE)

    def test_the_push_services_know_better(self, field: Field) -> None:
        self.run(field, 0, 0)
        with (
            telling(field, NOON + MINUTE),
            pytest.raises(ConfigError, match=r"1d ahead of that of the push services"),
        ):
            self.run(field, DAY + MINUTE, MINUTE)

    @pytest.mark.parametrize("leap", [-30 * DAY, -2 * HOUR, 30 * DAY])
    def test_one_that_was_wrong_and_is_put_right_needs_nobody(
        self, field: Field, leap: Millis
    ) -> None:
        """A machine that begins with the time of its last end, before it is told the time."""
        self.run(field, 0, 0)
        with telling(field, NOON + leap):
            self.run(field, leap, MINUTE)
        self.run(field, leap + MINUTE, 2 * MINUTE)  # asks nobody any more


class TestStartedAnew:
    """Three days after the last sweep."""

    NOW = NOON + 3 * DAY

    def run(self, field: Field) -> None:
        options = sweep.Options(boot=Boot("second", MINUTE))
        sweep.run(field.config, field.store, self.NOW, options)

    @contextlib.contextmanager
    def served(self, field: Field, date: Millis | None) -> Iterator[wire.Wire]:
        sweep.run(field.config, field.store, NOON, sweep.Options(boot=RUNNING))
        with telling(field, date) as server:
            yield server

    def test_it_goes_on_where_the_push_services_agree(self, field: Field) -> None:
        with self.served(field, self.NOW - 3 * MINUTE) as server:
            self.run(field)
            assert server.bodies == {"/": 1}
            self.run(field)  # once is enough
            assert server.bodies == {"/": 1}

    def test_it_sends_nothing_where_they_do_not(self, field: Field) -> None:
        with (
            self.served(field, NOON + HOUR),
            pytest.raises(ConfigError, match="2d23h ahead of that of the push services"),
        ):
            self.run(field)

    @pytest.mark.parametrize("date", [None, 0], ids=["no date", "nobody there"])
    def test_it_holds_while_none_of_them_tells(self, field: Field, date: Millis | None) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.served(field, date))
            if date == 0:
                stack.close()
            with pytest.raises(ConfigError, match="the next sweep asks again"):
                self.run(field)
