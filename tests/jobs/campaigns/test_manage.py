"""Campaigns: names, states, and what people do to them."""

from pathlib import Path

import pytest

from pushctl.errors import NotFoundError, UsageError
from pushctl.jobs.campaigns import manage
from pushctl.jobs.delivery import deliver
from pushctl.model import Campaign, CampaignStatus
from pushctl.store import Store
from pushctl.store.ledger_rows import FinishedRow
from tests.support import HOUR, NOON, program, sending
from tests.support.sending import Field, soon


@pytest.fixture
def field(tmp_path: Path) -> Field:
    made = sending.field(tmp_path)
    made.people(4)
    return made


def test_a_name_is_taken_once(field: Field) -> None:
    field.freeze(name="sale")
    with pytest.raises(UsageError, match="already"):
        field.freeze(name="sale")


def test_a_name_of_its_own_is_the_template_and_the_day(field: Field) -> None:
    first, second = field.freeze(), field.freeze()
    assert first.name == "sale 2026-04-28"
    assert second.name == "sale 2026-04-28 2"


def test_an_unknown_name_is_answered_with_the_known_ones(field: Field) -> None:
    with pytest.raises(NotFoundError, match="There is none yet"):
        field.store.campaigns.get("sael")
    field.freeze(name="sale")
    with pytest.raises(NotFoundError, match="Did you mean 'sale'"):
        field.store.campaigns.get("sael")
    with pytest.raises(NotFoundError, match="The latest: sale"):
        field.store.campaigns.get("wholly other")


@pytest.mark.parametrize(
    ("before", "may"),
    [
        ("scheduled", {"running", "paused", "cancelled"}),
        ("running", {"running", "paused", "cancelled", "finished"}),
        ("paused", {"running", "paused", "cancelled"}),
        ("finished", {"running"}),
        ("cancelled", set()),
    ],
)
def test_which_states_follow_each_other(store: Store, before: str, may: set[str]) -> None:
    goals = set(CampaignStatus) - {CampaignStatus.SCHEDULED}
    for number, goal in enumerate(sorted(goals)):
        made = store.campaigns.create(
            name=f"c{number}",
            template="t",
            audience="everyone",
            sources={},
            options={},
            now=NOON,
            expires_at=None,
            status=CampaignStatus(before),
        )
        assert store.campaigns.change_status(made.id, goal, NOON) is (goal.value in may)


def test_a_triggers_campaign_never_ends(store: Store) -> None:
    made = store.campaigns.create(
        name="c",
        template="t",
        audience="everyone",
        sources={},
        options={},
        now=NOON,
        expires_at=None,
        trigger="basket",
        step=1,
    )
    assert not store.campaigns.finish_if_done(made.id, NOON)


def test_pausing_and_cancelling_say_when_there_is_nothing_to_do(field: Field) -> None:
    name = field.freeze(name="sale").name
    assert manage.pause(field.store, name, NOON).status is CampaignStatus.PAUSED
    cancelled, dropped = manage.cancel(field.store, field.config, name, NOON + HOUR)
    assert (cancelled.status, dropped) == (CampaignStatus.CANCELLED, 4)
    with pytest.raises(UsageError, match="nothing to pause"):
        manage.pause(field.store, name, NOON)
    with pytest.raises(UsageError, match="nothing to cancel"):
        manage.cancel(field.store, field.config, name, NOON)


def test_resuming_what_has_ended_says_so_and_changes_nothing(field: Field) -> None:
    made = field.freeze(soon(), name="sale")
    _end(field, made)
    folder, before = field.config.folder, field.store.campaigns.get("sale")
    assert before.status is CampaignStatus.FINISHED
    run = program.pushctl("campaigns", "resume", "sale", "--csv", cwd=folder)
    assert (run.code, "sale has ended" in run.err) == (0, True), run.err
    assert run.out.splitlines()[1:] == ['"accepted","",4']
    assert field.store.campaigns.get("sale") == before
    # The engine itself, whoever asks it: a sweep, a script.
    deliver.run(field.store, field.config, before, soon() + HOUR)
    assert field.store.campaigns.get("sale") == before


def test_a_finished_campaign_with_rows_again_is_resumed(field: Field) -> None:
    made = field.freeze(soon(), name="sale")
    _end(field, made, "in_doubt")
    assert manage.explain_nothing_to_resume(field.store, "sale", soon()) is not None
    assert manage.send_again(field.store, field.config, "sale", soon()) == 4
    assert manage.explain_nothing_to_resume(field.store, "sale", soon()) is None


def test_resuming_what_is_scheduled_keeps_the_schedule(field: Field) -> None:
    made = field.freeze(soon(), name="sale", at="2099-01-01 09:00")
    run = program.pushctl("campaigns", "resume", "sale", cwd=field.config.folder)
    assert (run.code, "sale is scheduled: its first message" in run.err) == (0, True), run.err
    assert field.store.campaigns.get("sale") == made


def test_pausing_what_is_paused_keeps_the_reason(field: Field) -> None:
    made = field.freeze(name="sale")
    paused = CampaignStatus.PAUSED
    assert field.store.campaigns.change_status(made.id, paused, NOON, "too many errors")
    with pytest.raises(UsageError, match=r"paused already \(too many errors\)"):
        manage.pause(field.store, "sale", NOON + HOUR)
    assert field.store.campaigns.get("sale").note == "too many errors"
    for at in (NOON, NOON + HOUR):
        field.store.triggers.set_paused("basket", at)
    assert field.store.triggers.load_states()["basket"].paused_at == NOON


def _end(field: Field, campaign: Campaign, status: str = "accepted") -> None:
    """Give all rows of *campaign* a status, and finish it."""
    rows, _ = field.store.deliveries.claim_fresh(campaign.id, 0, 100, NOON)
    field.store.deliveries.finish((FinishedRow(row.id, status) for row in rows), NOON)
    field.store.campaigns.finish_if_done(campaign.id, NOON)


def test_states_come_with_their_reasons_and_add_up(field: Field) -> None:
    made = field.freeze(name="sale")
    rows, _ = field.store.deliveries.claim_fresh(made.id, 0, 3, NOON)
    ends = [("accepted", None), ("rejected", "403 forbidden"), ("rejected", "413 too large")]
    field.store.deliveries.finish(
        (
            FinishedRow(row.id, status, reason, language="en")
            for (status, reason), row in zip(ends, rows, strict=True)
        ),
        NOON,
    )
    states = [
        (it.status, it.reason, it.count) for it in manage.count_states(field.store, made.id)
    ]
    assert states == [
        ("planned", "waits its turn", 1),
        ("accepted", "", 1),
        ("rejected", "403 forbidden", 1),
        ("rejected", "413 too large", 1),
    ]


def test_the_commands_tell_what_they_did(field: Field) -> None:
    field.freeze(name="sale")
    folder = field.config.folder
    listed = program.pushctl("campaigns", "list", "--csv", cwd=folder)
    assert listed.code == 0
    assert listed.out.splitlines()[1].startswith('"sale","running",')
    shown = program.pushctl("campaigns", "show", "sale", "--json", cwd=folder)
    assert '"waits its turn"' in shown.out
    assert program.pushctl("campaigns", "pause", "sale", cwd=folder).code == 0
    assert program.pushctl("campaigns", "cancel", "sale", cwd=folder).code == 2
    dry = program.pushctl("campaigns", "cancel", "sale", "--dry-run", cwd=folder)
    assert (dry.code, "4 messages not sent yet" in dry.err) == (0, True)
    assert program.pushctl("campaigns", "cancel", "sale", "--yes", cwd=folder).code == 0
    again = program.pushctl("campaigns", "resume", "sale", cwd=folder)
    assert again.code == 2
    assert "cancelled" in again.err
    assert program.pushctl("campaigns", "show", "nothing", cwd=folder).code == 4


def test_doubts_are_listed_and_settled_by_commands(field: Field) -> None:
    made = field.freeze(soon(), name="sale")
    rows, _ = field.store.deliveries.claim_fresh(made.id, 0, 2, NOON)
    field.store.deliveries.finish(
        (FinishedRow(row.id, "in_doubt", "timeout", language="en") for row in rows), NOON
    )
    folder = field.config.folder
    listed = program.pushctl("in-doubt", "list", "--csv", cwd=folder)
    assert len(listed.out.splitlines()) == 3
    assert "https://" not in listed.out, "an endpoint is a secret"
    assert program.pushctl("in-doubt", "resend", "sale", cwd=folder).code == 2
    assert program.pushctl("in-doubt", "resend", "sale", "--yes", cwd=folder).code == 0
    assert field.counts(made) == {"planned": 4}
    settled = program.pushctl("in-doubt", "assume-sent", "--yes", cwd=folder)
    assert (settled.code, "0 messages" in settled.err) == (0, True)
