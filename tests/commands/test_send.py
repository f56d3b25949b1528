"""`pushctl send` and `campaigns resume` as people and cron run them."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pushctl.demo.pushservice import PushService
from tests.support import program, project, sending
from tests.support.program import pushctl
from tests.support.sending import MOZILLA, Field, soon


@pytest.fixture(scope="module")
def service() -> Iterator[PushService]:
    with PushService(checks=False) as running:
        yield running


@pytest.fixture
def field(tmp_path: Path, service: PushService) -> Iterator[Field]:
    service.play([])
    made = sending.field(tmp_path)
    sending.lead_to(made.config.folder, service)
    made.people(5, now=soon())
    yield made
    service.play([])
    made.store.close()


def test_send_shows_asks_sends_and_sums_up(field: Field) -> None:
    folder = field.config.folder
    command = [*program.PROGRAM, "send", "--tag", "Sale"]
    run = program.on_terminal(command, answers=["y"], cwd=folder)
    assert run.code == 0, run.out
    for part in (
        "5 people",
        "tag('Sale')",
        "Everything must go",
        "Send this to 5 people?",
        "accepted",
    ):
        assert part in run.out
    assert "THIS MACHINE" in run.out


def test_no_is_no(field: Field) -> None:
    command = [*program.PROGRAM, "send", "--tag", "Sale"]
    run = program.on_terminal(command, answers=["n"], cwd=field.config.folder)
    assert (run.code, "Nothing was sent" in run.out) == (0, True)
    assert field.store.campaigns.list_newest() == []


def test_without_a_terminal_it_wants_yes(field: Field) -> None:
    run = pushctl("send", "--tag", "Sale", cwd=field.config.folder)
    assert (run.code, "--yes" in run.err) == (2, True)
    assert field.store.campaigns.list_newest() == []


def test_a_dry_run_answers_on_stdout_and_writes_nothing(field: Field) -> None:
    run = pushctl(
        "send", "--everyone", "--template", "sale", "--dry-run", cwd=field.config.folder
    )
    assert run.code == 0
    assert "5 people" in run.out
    assert "Everything must go" in run.out
    assert field.store.campaigns.list_newest() == []


def test_the_table_alone_stands_on_stdout(field: Field) -> None:
    run = pushctl("send", "--tag", "Sale", "--yes", "--csv", cwd=field.config.folder)
    assert run.code == 0, run.err
    assert run.out.splitlines() == ['"status","reason","count"', '"accepted","",5']
    assert "[push.loopback] is on" in run.err


def test_nobody_meant_is_nothing_done(field: Field) -> None:
    run = pushctl(
        "send", "--where", "country = 'IS'", "--template", "sale", "--yes",
        cwd=field.config.folder,
    )  # fmt: skip
    assert (run.code, "0 people" in run.err) == (0, True)
    assert field.store.campaigns.list_newest() == []


def test_a_tag_that_nobody_ever_had_is_a_mistake(field: Field) -> None:
    folder = field.config.folder
    words = ("send", "--template", "sale", "--yes")
    run = pushctl(*words, "--tag", "Salle", cwd=folder)
    assert run.code == 4 and "nobody ever had the tag 'Salle'. Did you mean 'Sale'?" in run.err
    run = pushctl(*words, "--where", "seen within 30d and tag('sal')", cwd=folder)
    assert run.code == 4 and "Did you mean 'Sale'?" in run.err
    # Behind "not" it means everybody, perhaps rightly: it is said, and sent.
    run = pushctl(*words, "--where", "not tag('Salle')", "--dry-run", cwd=folder)
    assert run.code == 0 and "nobody ever had" in run.err and "5 people" in run.out
    # Counting is no mistake.
    run = pushctl("segments", "count", "--tag", "Salle", cwd=folder)
    assert (run.code, run.out) == (0, "0\n") and "Did you mean 'Sale'?" in run.err


def test_a_tag_that_pushctl_toml_sets_is_no_mistake(field: Field) -> None:
    rule = '[[tag_rules]]\ntag = "Saw lamps"\nwhen = { page = "/lamps/*" }'
    project.add(field.config.folder, rule)
    words = ("send", "--template", "sale", "--yes", "--tag", "saw LAMPS")
    run = pushctl(*words, cwd=field.config.folder)
    assert run.code == 0 and "No subscriber matches" in run.err


def test_what_waits_in_the_inbox_is_said(field: Field) -> None:
    (field.config.inbox / "1790000000000-abcd.seg").write_bytes(b"not read yet\n")
    run = pushctl("send", "--tag", "Sale", "--dry-run", cwd=field.config.folder)
    assert "1 file waits in the inbox: pushctl import" in run.out
    run = pushctl(
        "send", "--tag", "Nope", "--template", "sale", "--yes", cwd=field.config.folder
    )
    assert run.code == 4 and "1 file waits in the inbox: pushctl import" in run.err


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ([{"do": "answer", "status": 410}], 0),
        ([{"do": "answer", "status": 413}], 5),
        ([{"do": "answer", "status": 401}], 77),
        ([{"do": "answer", "status": 400, "body": '{"errno": 113}'}], 77),
        ([{"do": "silence"}], 5),
    ],
)
def test_exit_codes(
    field: Field, service: PushService, script: list[dict[str, object]], code: int
) -> None:
    service.play(script)
    run = pushctl(
        *("send", "--tag", "Sale", "--yes"),
        cwd=field.config.folder,
        PUSHCTL_PUSH__TIMEOUT="1",
    )
    assert run.code == code, run.err
    assert MOZILLA + "/wpush" not in run.out + run.err, "an endpoint is a secret"


def test_other_exit_codes(field: Field) -> None:
    folder = field.config.folder
    assert pushctl("send", "--tag", "Other", "--yes", cwd=folder).code == 4
    assert pushctl("send", "--where", "colour = 'red'", "--yes", cwd=folder).code == 2
    (folder / "templates" / "sale" / "en.toml").write_text("title = ", "utf-8")
    assert pushctl("send", "--tag", "Sale", "--yes", cwd=folder).code == 3


def test_a_second_process_leaves_with_75(field: Field, service: PushService) -> None:
    service.play([{"delay": [5.0, 5.0]}])
    folder, before = field.config.folder, len(service.receipts())
    first = started(folder, "send", "--tag", "Sale", "--name", "x", "--yes")
    await_receipts(service, before + 1)
    run = pushctl("campaigns", "resume", "x", cwd=folder)
    first.kill()
    first.wait()
    assert (run.code, "sending x" in run.err) == (75, True)


@pytest.mark.parametrize(
    ("number", "people"),
    [(signal.SIGTERM, 1500), (signal.SIGINT, 1500), (signal.SIGTERM, 4000)],
    ids=["SIGTERM", "SIGINT", "SIGTERM with workers"],
)
def test_a_signal_stops_in_good_order_and_resume_goes_on(
    field: Field, service: PushService, number: signal.Signals, people: int
) -> None:
    folder, before = field.config.folder, len(service.receipts())
    field.people(people, first=100, now=soon())
    service.play([{"delay": [0.2, 0.4]}])
    process = started(folder, "send", "--tag", "Sale", "--name", "x", "--yes")
    await_receipts(service, before + 20)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert b"To continue: pushctl campaigns resume 'x'" in err
    counts = field.counts(field.store.campaigns.get("x"))
    assert set(counts) == {"accepted", "planned"}, "nothing is in doubt"
    service.play([])
    assert pushctl("campaigns", "resume", "x", cwd=folder).code == 0
    assert field.counts(field.store.campaigns.get("x")) == {"accepted": people + 5}
    receipts = [one.path for one in service.receipts(before)]
    assert len(receipts) == len(set(receipts)) == people + 5


def test_a_second_signal_stops_at_once_and_leaves_doubts(
    field: Field, service: PushService
) -> None:
    service.play([{"delay": [20.0, 20.0]}])
    folder, before = field.config.folder, len(service.receipts())
    process = started(folder, "send", "--tag", "Sale", "--name", "x", "--yes")
    await_receipts(service, before + 5)
    began = time.monotonic()
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - began < 10
    assert b"pushctl campaigns resume 'x'" in said
    # They can be seen at once: no sweep looks after a campaign that a person stopped.
    assert field.counts(field.store.campaigns.get("x")) == {"in_doubt": 5}
    service.play([])
    assert pushctl("campaigns", "resume", "x", cwd=folder).code in (0, 5)
    assert field.counts(field.store.campaigns.get("x")) == {"in_doubt": 5}
    assert len(service.receipts(before)) == 5


def test_help_leads_with_an_example() -> None:
    run = pushctl("send", "--help")
    assert run.code == 0
    assert 'pushctl send --tag "Abandoned basket 1"' in run.out
    for words in (["campaigns"], ["in-doubt"], ["campaigns", "resume"], ["in-doubt", "resend"]):
        assert pushctl(*words, "--help").code == 0


def test_json_is_json(field: Field) -> None:
    run = pushctl("send", "--tag", "Sale", "--yes", "--json", cwd=field.config.folder)
    assert json.loads(run.out) == [{"status": "accepted", "reason": "", "count": 5}]


def started(folder: Path, *words: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [*program.PROGRAM, *words],
        cwd=folder,
        env=program.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def await_receipts(service: PushService, count: int) -> None:
    deadline = time.monotonic() + 30
    while len(service.receipts()) < count:
        assert time.monotonic() < deadline, "the push service got nothing"
        time.sleep(0.02)


def test_two_campaigns_at_once_get_the_rate_of_a_service_together(field: Field) -> None:
    rate, each = 100, 200
    for name in ("one", "two"):
        field.people(each, first=1_000 if name == "one" else 2_000, tag=name, now=soon())
    command = [*program.PROGRAM, "send", "--template", "sale", "--yes"]
    environment = program.environment({"PUSHCTL_PUSH__RATE": str(rate)})
    sending_both = [
        subprocess.Popen(
            [*command, "--tag", name, "--name", name],
            cwd=field.config.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    for process in sending_both:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    sql = "SELECT changed_at FROM deliveries WHERE status = 'accepted' ORDER BY 1"
    times = [at for (at,) in field.store.connection.execute(sql)]
    assert len(times) == 2 * each
    # Half a second's worth may go at once, and answers are booked by the handful.
    assert times[-1] - times[0] >= 1_000 * (2 * each - rate) / rate


# --- where nobody reads -------------------------------------------------------------------


def shell(field: Field, redirected: str) -> "subprocess.CompletedProcess[str]":
    command = f"{' '.join(program.PROGRAM)} send --everyone --template sale --yes {redirected}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=field.config.folder,
        env=program.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("redirected", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_keep_nobody_from_sending(field: Field, redirected: str) -> None:
    done = shell(field, redirected)
    assert done.returncode == 0, done.stderr
    (campaign,) = field.store.campaigns.list_newest()
    assert field.counts(campaign) == {"accepted": 5}


def test_a_table_that_cannot_be_written_is_no_reason_to_send_again(field: Field) -> None:
    done = shell(field, "> /dev/full")
    assert done.returncode == 3
    assert "Don't send it again" in done.stderr
    assert "then run the command again" not in done.stderr
    (campaign,) = field.store.campaigns.list_newest()
    assert field.counts(campaign) == {"accepted": 5}


def ancestor_of(pid: int) -> int | None:
    """Return the process that the senders of *pid* are forked from, once it is there."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(OSError):
            if b"forkserver" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    return None


def test_who_workers_are_forked_from_may_be_killed_before_the_first(field: Field) -> None:
    """As the kernel does when memory runs out."""
    field.people(2_600, first=100, now=soon())
    process = started(field.config.folder, "send", "--tag", "Sale", "--name", "x", "--yes")
    deadline = time.monotonic() + 30
    while (ancestor := ancestor_of(process.pid)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(ancestor, signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert field.counts(field.store.campaigns.get("x")) == {"accepted": 2_605}


def test_the_question_says_who_gets_it_now_later_and_not_at_all(field: Field) -> None:
    folder = field.config.folder
    begin, end = (time.strftime("%H:00", time.gmtime(time.time() + d)) for d in (-7200, 7200))
    quiet = f'[quiet]\nhours = "{begin}-{end}"\n'
    project.add(folder, quiet + "[frequency]\nmessages = 1\n")
    command = [*program.PROGRAM, "send", "--everyone", "--template", "sale", "--ignore-cap"]
    run = program.on_terminal(command, answers=["n"], cwd=folder)
    assert "the frequency cap is ignored (--ignore-cap)" in run.out
    assert "after quiet hours 5" in run.out
    assert "Send this to 5 people, 5 of them later?" in run.out
    asked = pushctl(*command[len(program.PROGRAM) :], "--dry-run", "--json", cwd=folder)
    found = {row["what"]: row["people"] for row in json.loads(asked.out)}
    assert (found["now"], found["after quiet hours"], sum(found.values())) == (0, 5, 5)
