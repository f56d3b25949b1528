"""Steps of triggers on other channels: called at most once, and under all rules of messages."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Judge

from pushctl.errors import ConfigError
from pushctl.jobs.campaigns import manage
from pushctl.jobs.delivery import calls, deliver
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.jobs.project import release
from pushctl.jobs.webhooks import channels, programs, secrets
from pushctl.model import Millis
from pushctl.store import Store
from tests.support import HOUR, MINUTE, NOON, shop, webhooks
from tests.support.program import is_running
from tests.support.rows import deliveries
from tests.support.webhooks import URL, Receiver

TRIGGER = """
[triggers.basket]
on        = "cart_updated"
cancel_on = ["cart_emptied"]
goal      = { event = "purchase", within = "24h" }
steps = [
  { after = "3m", STEP, max_late = "2h" },
]
"""
EXEC = TRIGGER.replace("STEP", 'exec = ["./sms.sh", "--from", "shop; rm -rf /"]')
HOOK = (
    TRIGGER.replace("STEP", 'webhook = "crm"') + f'[[webhooks]]\nname = "crm"\nurl = "{URL}"\n'
)
# It writes what it got, each call into a file of its own.
PROGRAM = """#!/bin/sh
cat > "called-$$"
echo "$@" > "arguments-$$"
env > "environment-$$"
"""


class Calling(shop.Shop):
    def install(self, text: str = PROGRAM) -> Path:
        program = self.folder / "sms.sh"
        program.write_text(text)
        program.chmod(0o755)
        return program

    def call(self, now: Millis, seconds: float = 5.0) -> channels.Report:
        return channels.run_due(self.store, self.config, now, seconds)

    def list_called(self) -> list[Any]:
        return [json.loads(one.read_bytes()) for one in self.folder.glob("called-*")]

    def read_states(self) -> list[tuple[str, str | None]]:
        sql = "SELECT status, reason FROM deliveries ORDER BY id"
        return self.store.connection.execute(sql).fetchall()


@pytest.fixture
def calling(tmp_path: Path, store: Store) -> Calling:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/secret").write_bytes(bytes(32))
    made = Calling(tmp_path, store, EXEC)
    made.install()
    return made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhooks.receiving() as opened:
        yield opened


def test_a_program_gets_the_persons_data_and_nothing_else(
    calling: Calling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "do not tell")
    who = calling.person()
    with calling.store.write() as db:
        sign = "UPDATE subscriptions SET alias = 'ann-7', alias_trusted = 1, language = 'de'"
        db.execute(sign)
    calling.store.tags.add([who], "VIP", NOON)
    calling.fill(who, NOON)
    calling.sweep(NOON + 4 * MINUTE)
    assert calling.call(NOON + 4 * MINUTE).counts == {"accepted": 1}
    (told,) = calling.list_called()
    data = told["data"]
    assert told["type"] == "step"
    assert (data["trigger"], data["step"], data["site"]) == ("basket", 1, "shop")
    assert (data["alias"], data["language"], data["tags"]) == ("ann-7", "de", ["VIP"])
    assert data["cart"]["names"] == ["Lamp"]
    record = calling.store.subscriptions.get(str(who), NOON)
    assert data["subscriber"] == record.public_id
    assert record.endpoint not in json.dumps(told)
    (arguments,) = calling.folder.glob("arguments-*")
    assert arguments.read_text() == "--from shop; rm -rf /\n"
    (environment,) = calling.folder.glob("environment-*")
    names = {line.partition("=")[0] for line in environment.read_text().splitlines()}
    assert names - {"PWD", "_", "SHLVL", "OLDPWD"} == {"PATH", "LANG"}
    assert calling.call(NOON + 5 * MINUTE).counts == {}


def test_a_program_gets_the_persons_promo_code_and_what_it_says_hides_it(
    calling: Calling,
) -> None:
    pool = calling.store.promo_codes.create("b15", 1, NOON)
    calling.store.promo_codes.add(pool.id, ["GOLD-0001", "GOLD-0002"])
    calling.declare(EXEC.replace("max_late", 'promo = "b15", max_late'))
    calling.install(PROGRAM + 'cat "called-$$" | grep -o "GOLD-[0-9]*"; exit 3\n')
    calling.fill(calling.person(), NOON)
    calling.sweep(NOON + 4 * MINUTE)
    calling.call(NOON + 4 * MINUTE)
    (told,) = calling.list_called()
    assert told["data"]["promo"] == "GOLD-0001"
    assert calling.read_states() == [("rejected", "it ended with 3. GOL...")]
    assert calling.store.promo_codes.count_free(pool.id) == 1, "it was told: it is spent"
    # What could not be begun has told nobody.
    (calling.folder / "sms.sh").unlink()
    calling.fill(calling.person(), NOON + HOUR)
    calling.sweep(NOON + HOUR + 4 * MINUTE)
    calling.call(NOON + HOUR + 4 * MINUTE)
    assert calling.read_states()[1][0] == "planned"
    assert calling.store.promo_codes.count_free(pool.id) == 1


def test_what_a_program_says_hides_the_code_that_everybody_gets(calling: Calling) -> None:
    calling.declare(EXEC.replace("max_late", 'promo = "GOLD-0001", max_late'))
    calling.install(PROGRAM + 'grep -o "gold-[0-9]*" -i "called-$$"; exit 3\n')
    calling.fill(calling.person(), NOON)
    calling.sweep(NOON + 4 * MINUTE)
    calling.call(NOON + 4 * MINUTE)
    assert calling.read_states() == [("rejected", "it ended with 3. GOL...")]


def test_it_stands_in_the_ledger_like_messages_but_not_in_the_figures(calling: Calling) -> None:
    calling.fill(calling.person(), NOON)
    calling.sweep(NOON + 4 * MINUTE)
    calling.call(NOON + 4 * MINUTE)
    campaign = calling.store.campaigns.get("basket/1:exec")
    assert (campaign.name, deliveries(calling.store, campaign.id)) == (
        "basket/1:exec", {"accepted": 1},
    )  # fmt: skip
    assert calling.store.reports.load_funnel(["accepted"]) == []
    assert calling.store.campaigns.list_latest() == []
    assert calling.store.triggers.load_counts()["basket"].get("messages", 0) == 0
    row = calling.store.histories.list_ledger(1, 10)[0]
    assert (row.name, row.status) == ("basket/1:exec", "accepted")


@pytest.mark.parametrize(
    ("program", "state", "reason"),
    [
        ("#!/bin/sh\necho no credit; exit 3\n", "rejected", "it ended with 3. no credit"),
        ("#!/bin/sh\nexit 75\n", "rejected", "it ended with 75"),
        ("#!/bin/sh\nkill -9 $$\n", "rejected", "signal 9 killed it"),
        (
            "#!/bin/sh\nprintf '\\033[31mred'; exit 1\n",
            "rejected",
            "it ended with 1. \ufffd[31mred",
        ),
        ("#!/bin/sh\nsleep 30 & exit 0\n", "accepted", None),
        ("#!/bin/sh\nyes | head -c 9000000; exit 0\n", "accepted", None),
    ],
)
def test_how_a_program_ends_is_the_outcome(
    calling: Calling, program: str, state: str, reason: str | None
) -> None:
    calling.install(program)
    calling.fill(calling.person(), NOON)
    calling.sweep(NOON + 4 * MINUTE)
    began = time.monotonic()
    calling.call(NOON + 4 * MINUTE)
    assert calling.read_states() == [(state, reason)]
    assert time.monotonic() - began < 5
    assert calling.call(NOON + HOUR).counts == {}  # never a second time


def test_a_program_that_hangs_is_killed_with_its_children_and_in_doubt(tmp_path: Path) -> None:
    program = tmp_path / "hang.sh"
    program.write_text("#!/bin/sh\necho $$ > pid\nsleep 60 & echo $! > child\nsleep 60\n")
    program.chmod(0o755)
    ran = programs.run(tmp_path, ["./hang.sh"], b"{}", seconds=0.5)
    assert (ran.code, ran.fault) == (None, "")
    for name in ("pid", "child"):
        number = int((tmp_path / name).read_text())
        deadline = time.monotonic() + 5  # whoever adopts a child takes a moment to bury it
        while is_running(number) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not is_running(number)


def test_output_is_kept_up_to_a_bound(tmp_path: Path) -> None:
    program = tmp_path / "loud.sh"
    program.write_text("#!/bin/sh\nyes x | head -c 1000000; exit 1\n")
    program.chmod(0o755)
    ran = programs.run(tmp_path, ["./loud.sh"], b"{}")
    assert ran.code == 1
    assert 4000 <= len(ran.output) <= 4096


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o644])
def test_a_program_that_others_may_change_is_not_run_and_tried_later(
    calling: Calling, mode: int
) -> None:
    program = calling.install()
    program.chmod(mode)
    calling.fill(calling.person(), NOON)
    calling.sweep(NOON + 4 * MINUTE)
    report = calling.call(NOON + 4 * MINUTE)
    assert report.counts == {"not_begun": 1}
    assert report.notes[0].startswith("basket/1:exec: ./sms.sh ")
    assert calling.list_called() == []
    program.chmod(0o755)
    assert calling.call(NOON + 5 * MINUTE).counts == {}
    assert calling.call(NOON + 10 * MINUTE).counts == {"accepted": 1}


def test_a_link_in_a_folder_of_anybodys_is_not_followed(calling: Calling) -> None:
    open_ = calling.folder / "open"
    open_.mkdir()
    (open_ / "sms.sh").symlink_to("/bin/true")
    assert programs.find_fault(Path("/"), str(open_ / "sms.sh")) is None
    open_.chmod(0o777)
    assert "can be changed by others" in (
        programs.find_fault(Path("/"), str(open_ / "sms.sh")) or ""
    )


def test_a_fault_of_ours_in_one_call_leaves_it_in_doubt_and_the_others_alone(
    calling: Calling, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        calling.fill(calling.person(), NOON)
    calling.sweep(NOON + 4 * MINUTE)
    real = channels._Caller.call

    def fail_once(self: Any, row: int, payload: str) -> Any:
        if row == 2:
            raise KeyError("where")
        return real(self, row, payload)

    monkeypatch.setattr(channels._Caller, "call", fail_once)
    assert calling.call(NOON + 4 * MINUTE).counts == {"accepted": 2, "in_doubt": 1}


def test_many_calls_to_a_webhook_without_a_secret_make_one(
    calling: Calling, receiver: Receiver
) -> None:
    calling.declare(HOOK + receiver.settings)
    for _ in range(8):
        calling.fill(calling.person(), NOON)
    calling.sweep(NOON + 4 * MINUTE)
    assert calling.call(NOON + 4 * MINUTE).counts == {"accepted": 8}
    text = secrets.ensure(calling.config, "crm").text
    for got in receiver.got:
        assert Judge(text).verify(got.body, dict(got.headers))


@pytest.mark.parametrize("program", ["../sms.sh", "missing.sh", "."])
def test_only_programs_of_the_project_or_by_their_whole_path(
    calling: Calling, program: str
) -> None:
    (calling.folder.parent / "sms.sh").write_text(PROGRAM)
    assert programs.find_fault(calling.folder, program) is not None
    assert programs.find_fault(calling.folder, "/bin/true") is None


def test_who_bought_meanwhile_is_not_called(calling: Calling) -> None:
    who = calling.person()
    calling.fill(who, NOON)
    calling.sweep(NOON + 4 * MINUTE)
    real = calls._Calls._begin

    def buy_before(self: Any, pool: Any) -> None:
        calling.event(who, "purchase", NOON + 4 * MINUTE)
        self._goals._looked -= 1
        self._goals.look({})
        real(self, pool)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls._Calls, "_begin", buy_before)
        assert calling.call(NOON + 4 * MINUTE).counts == {"skipped": 1}
    assert calling.read_states() == [("skipped", "bought meanwhile")]
    assert calling.list_called() == []


def test_quiet_hours_caps_and_control_groups_hold(calling: Calling) -> None:
    quiet = EXEC.replace("steps =", 'quiet = "09:00-12:00"\nsteps =')
    calling.declare(quiet)  # NOON is 10:00 in Berlin
    calling.fill(calling.person(), NOON)
    calling.sweep(NOON + 4 * MINUTE)
    assert calling.call(NOON + 4 * MINUTE).counts == {}
    calling.declare(EXEC.replace("steps =", "holdout = 0.5\nsteps ="))
    people = [calling.person() for _ in range(20)]
    for who in people:
        calling.fill(who, NOON + HOUR)
    calling.sweep(NOON + HOUR + 4 * MINUTE)
    counted = calling.call(NOON + HOUR + 4 * MINUTE).counts["accepted"]
    assert 3 <= counted <= 17
    cap = '[frequency]\nmessages = 1\nwithin = "1d"\nspacing = "1m"\n'
    calling.declare(EXEC + cap)
    called = [one["data"]["subscriber"] for one in calling.list_called()]
    twice = next(
        who for who in people
        if calling.store.subscriptions.get(str(who), NOON).public_id in called
    )  # fmt: skip
    calling.event(twice, "cart_emptied", NOON + 2 * HOUR)
    calling.fill(twice, NOON + 3 * HOUR)
    calling.sweep(NOON + 3 * HOUR + 4 * MINUTE)
    assert calling.call(NOON + 3 * HOUR + 4 * MINUTE).counts == {}


def test_a_webhook_step_is_signed_and_called_once(calling: Calling, receiver: Receiver) -> None:
    calling.declare(HOOK + receiver.settings)
    calling.fill(calling.person(), NOON)
    calling.sweep(NOON + 4 * MINUTE)
    assert calling.call(NOON + 4 * MINUTE).counts == {"accepted": 1}
    (got,) = receiver.got
    told = Judge(secrets.ensure(calling.config, "crm").text).verify(got.body, dict(got.headers))
    assert (told["type"], told["id"], told["data"]["step"]) == ("step", got.id, 1)
    assert calling.call(NOON + HOUR).counts == {}


def test_a_webhook_that_refuses_or_says_nothing_is_not_asked_again(
    calling: Calling, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    calling.declare(HOOK + receiver.settings)
    receiver.answer = webhooks.say(500)
    calling.fill(calling.person(), NOON)
    calling.sweep(NOON + 4 * MINUTE)
    calling.call(NOON + 4 * MINUTE)
    monkeypatch.setattr("pushctl.jobs.webhooks.request.WEBHOOK_SECONDS", 0.3)
    receiver.answer = lambda handler, got: time.sleep(1)
    calling.fill(calling.person(), NOON)
    calling.sweep(NOON + 5 * MINUTE)
    calling.call(NOON + 5 * MINUTE)
    assert [state for state, _ in calling.read_states()] == ["rejected", "in_doubt"]
    receiver.answer = webhooks.OK
    assert calling.call(NOON + HOUR).counts == {}
    assert len(receiver.got) == 2


def test_what_no_connection_took_waits_for_the_next_one(
    calling: Calling, receiver: Receiver
) -> None:
    nobody = receiver.settings.replace(str(receiver.port), "1")
    calling.declare(HOOK + nobody)
    calling.fill(calling.person(), NOON)
    calling.sweep(NOON + 4 * MINUTE)
    assert calling.call(NOON + 4 * MINUTE).counts == {"not_begun": 1}
    calling.declare(HOOK + receiver.settings)
    assert calling.call(NOON + 10 * MINUTE).counts == {"accepted": 1}
    assert len(receiver.got) == 1


@pytest.mark.parametrize("channel", [EXEC, HOOK])
@pytest.mark.parametrize("moment", ["claimed", "called"])
def test_a_kill_leaves_in_doubt_and_calls_nobody_twice(
    calling: Calling, receiver: Receiver, channel: str, moment: str
) -> None:
    """kill -9 between claim and call, and between call and booking."""
    calling.declare(channel + receiver.settings)
    calling.fill(calling.person(), NOON)
    calling.sweep(NOON + 4 * MINUTE)
    calling.store.close()
    child = os.fork()
    if child == 0:
        try:
            end = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
            if moment == "claimed":
                channels._Caller.call = end  # type: ignore[assignment,method-assign]
            else:
                calls._Calls._book = end  # type: ignore[assignment,method-assign]
            with Store(calling.config.database) as store:
                channels.run_due(store, calling.config, NOON + 4 * MINUTE, 5.0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    made = len(receiver.got) + len(calling.list_called())
    assert made == (moment == "called")
    calling.store = Store(calling.config.database)
    assert calling.call(NOON + 5 * MINUTE).counts == {"in_doubt": 1}
    assert calling.call(NOON + 6 * MINUTE).counts == {}
    assert len(receiver.got) + len(calling.list_called()) == made
    (doubt,) = manage.list_in_doubt(calling.store, None)
    assert doubt["campaign"] in ("basket/1:exec", "basket/1:webhook")
    calling.store.close()


def test_who_removes_a_lock_by_hand_begins_no_second_run(calling: Calling) -> None:
    """It would take what the first has begun for a dead process's."""
    calling.fill(calling.person(), NOON)
    calling.sweep(NOON + 4 * MINUTE)
    (number,) = calling.store.deliveries.list_due_calls(NOON + 4 * MINUTE)
    with deliver.hold(calling.store, calling.config, number):
        deliver.lock_path(calling.store, number).unlink()
        assert calling.call(NOON + 4 * MINUTE).counts == {}
    assert calling.call(NOON + 4 * MINUTE).counts == {"accepted": 1}


def test_after_a_restore_nothing_is_called_before_release_nor_twice_after(
    calling: Calling,
) -> None:
    calling.fill(calling.person(), NOON)
    calling.sweep(NOON + 4 * MINUTE)
    restore_guard.write_generation(calling.config, 50)
    with pytest.raises(ConfigError, match="release"):
        calling.call(NOON + 4 * MINUTE)
    release.release(calling.store, calling.config, NOON + 5 * MINUTE)
    assert calling.call(NOON + 6 * MINUTE).counts == {}
    assert calling.list_called() == []
    assert [state for state, _ in calling.read_states()] == ["in_doubt"]


def test_what_a_program_wrote_about_somebody_goes_with_them(calling: Calling) -> None:
    calling.install("#!/bin/sh\necho no credit for 0151 2345; exit 3\n")
    who = calling.person()
    calling.fill(who, NOON)
    calling.sweep(NOON + 4 * MINUTE)
    calling.call(NOON + 4 * MINUTE)
    calling.store.erasure.erase([who], NOON + HOUR)
    assert calling.read_states() == [("rejected", None)]


def test_a_paused_step_waits_and_resuming_leaves_it_to_the_sweep(calling: Calling) -> None:
    calling.fill(calling.person(), NOON)
    calling.sweep(NOON + 4 * MINUTE)
    manage.pause(calling.store, "basket/1:exec", NOON + 4 * MINUTE)
    assert calling.call(NOON + 4 * MINUTE).counts == {}
    options = deliver.Options()
    now = NOON + 5 * MINUTE
    report = manage.resume(calling.store, calling.config, "basket/1:exec", now, options)
    assert "next sweep" in report.notes[0]
    assert calling.call(NOON + 5 * MINUTE).counts == {"accepted": 1}


def test_a_step_after_it_counts_from_its_acceptance(calling: Calling) -> None:
    more = '{ after = "10m", template = "one", from = "accepted" },\n]'
    calling.declare(EXEC.replace(']\n"""', "").replace("},\n]", "},\n  " + more))
    who = calling.person()
    calling.fill(who, NOON)
    calling.sweep(NOON + 4 * MINUTE)
    calling.call(NOON + 4 * MINUTE)
    from pushctl.jobs.sweep import sweep

    one = sweep._Sweep(calling.config, calling.store, NOON + 5 * MINUTE, sweep.Options())
    one.call_out()
    with calling.store.write():
        sweep.Dispatch(one._run, calling.config, 0.0, 1e12).note_accepted()
    calling.sweep(NOON + 15 * MINUTE)
    assert calling.got(who) == [("basket/2", NOON + 15 * MINUTE)]
