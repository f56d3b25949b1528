"""`campaigns retry`: who was rejected is reached once the template is mended, nobody else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl import templates
from pushctl.demo.pushservice import PushService
from pushctl.errors import BusyError, TemplateError, UsageError
from pushctl.jobs.campaigns import manage, retry
from pushctl.jobs.delivery import deliver
from pushctl.model import CampaignStatus
from pushctl.rules.messages.content import hash_content
from pushctl.store.ledger_rows import FinishedRow
from tests.support import DAY, MINUTE, sending
from tests.support.program import pushctl
from tests.support.sending import Field, soon

SEND = ("send", "--everyone", "--template", "hello", "--name", "x", "--yes")
RETRY = ("campaigns", "retry", "x")
NEEDS_A_NAME = "Hi {{ attributes.first_name }}"


@pytest.fixture(scope="module")
def service() -> Iterator[PushService]:
    with PushService(checks=False) as running:
        yield running


@pytest.fixture
def field(tmp_path: Path, service: PushService) -> Iterator[Field]:
    """Five people of whom two have no first name, which the template needs."""
    service.play([])
    made = sending.field(tmp_path)
    sending.lead_to(made.config.folder, service)
    write(made, NEEDS_A_NAME)
    for row in made.people(5, now=soon())[2:]:
        made.store.subscriptions.set_attributes(row, {"first_name": "Ann"})
    yield made
    service.play([])
    made.store.close()


def write(field: Field, title: str) -> None:
    sending.template(field.config.folder, "hello", title=title, body="x")


def test_the_rejected_are_reached_after_the_template_is_mended(
    field: Field, service: PushService
) -> None:
    folder, before = field.config.folder, len(service.receipts())
    sent = pushctl(*SEND, cwd=folder)
    assert sent.code == 5
    assert "once the cause is mended: pushctl campaigns retry 'x'" in sent.err
    old = field.store.campaigns.get("x")
    assert field.counts(old) == {"accepted": 3, "rejected": 2}
    still = pushctl(*RETRY, "--yes", cwd=folder)
    assert (still.code, "'first_name' is undefined" in still.err) == (3, True), still.err
    assert field.store.campaigns.get("x") == old

    write(field, "Hi {{ attributes.first_name|default('you') }}")
    dry = pushctl(*RETRY, "--dry-run", cwd=folder)
    assert (dry.code, "x: 2 rejected messages can be sent now" in dry.out) == (0, True)
    assert "changed since then" in dry.out and "Hi you" in dry.out
    assert field.store.campaigns.get("x") == old
    assert pushctl(*RETRY, cwd=folder).code == 2, "without a terminal it wants --yes"
    done = pushctl(*RETRY, "--yes", "--csv", cwd=folder)
    assert (done.code, done.out.splitlines()[1:]) == (0, ['"accepted","",5']), done.err
    paths = [one.path for one in service.receipts(before)]
    assert (len(paths), len(set(paths))) == (5, 5), "nobody got it twice"

    again = pushctl(*RETRY, "--yes", cwd=folder)
    assert (again.code, "no message to an active" in again.err) == (0, True)
    assert len(service.receipts(before)) == 5


def test_a_refusal_of_the_push_service_is_retried_too(
    field: Field, service: PushService
) -> None:
    write(field, "Hi")
    service.play([{"do": "answer", "status": 413}])
    assert pushctl(*SEND, cwd=field.config.folder).code == 5
    service.play([])
    made = retry.plan(field.store, field.config, "x", soon())
    assert (len(made.receivers), made.is_changed) == (5, False)
    assert pushctl(*RETRY, "--yes", cwd=field.config.folder).code == 0
    assert field.counts(made.campaign) == {"accepted": 5}


def test_a_retry_gives_the_messages_a_new_life(field: Field) -> None:
    assert pushctl(*SEND, cwd=field.config.folder).code == 5
    write(field, "Hi")
    later = soon() + 3 * DAY
    made = retry.plan(field.store, field.config, "x", later)
    started = retry.start(field.store, field.config, made, later)
    assert (started.status, started.expires_at) == (CampaignStatus.RUNNING, later + DAY)
    sql = "SELECT count(*) FROM deliveries WHERE status = 'planned' AND expires_at = ?"
    assert field.store.connection.execute(sql, (later + DAY,)).fetchone() == (2,)
    assert field.store.deliveries.list_due_campaigns(later) == [started.id], "sweeps go on"


def test_a_campaign_that_stopped_for_its_template_goes_on_with_the_mended_one(
    field: Field,
) -> None:
    field.people(40, first=100, tag="Late", now=soon())
    wish = {"everyone": False, "tags": ["Late"], "template": "hello", "name": "x"}
    campaign = field.freeze(soon(), **wish)  # not rehearsed: a series does this
    with pytest.raises(TemplateError):
        deliver.run(field.store, field.config, campaign, soon())
    assert field.store.campaigns.get("x").status is CampaignStatus.PAUSED
    write(field, "Hi")
    done = pushctl(*RETRY, "--yes", cwd=field.config.folder)
    assert (done.code, "40 messages wait and get it, too" in done.err) == (0, True), done.err
    assert field.counts(campaign) == {"accepted": 40}


def test_some_may_still_get_none(field: Field) -> None:
    (row,) = field.store.connection.execute("SELECT min(id) FROM subscriptions").fetchone()
    assert pushctl(*SEND, cwd=field.config.folder).code == 5
    write(field, "Hi {{ attributes.nick }}")
    field.store.subscriptions.set_attributes(row, {"nick": "A"})
    made = retry.plan(field.store, field.config, "x", soon())
    assert (list(made.receivers), made.still_without) == ([row], 1)
    campaign = retry.start(field.store, field.config, made, soon())
    assert field.counts(campaign) == {"accepted": 3, "planned": 1, "rejected": 1}


def test_a_text_of_the_command_line_has_no_file_to_mend(field: Field) -> None:
    campaign = field.freeze(soon(), template=None, message="Hello", name="x")
    rows, _ = field.store.deliveries.claim_fresh(campaign.id, 0, 1, soon())
    field.store.deliveries.finish(
        (FinishedRow(row.id, "rejected", "413", http_status=413) for row in rows), soon()
    )
    made = retry.plan(field.store, field.config, "x", soon())
    assert (len(made.receivers), made.waiting, made.is_changed) == (1, 4, False)


def test_a_key_that_is_back_is_a_mended_cause(field: Field) -> None:
    lost = field.people(1, first=50, key="gone")
    assert pushctl(*SEND, cwd=field.config.folder).code == 5
    write(field, "Hi")
    rejected, waiting = field.store.doubts.list_rejected(field.store.campaigns.get("x").id)
    assert (lost[0] in rejected, len(rejected), waiting) == (True, 3, [])


def test_what_cannot_be_retried_says_why(field: Field) -> None:
    cancelled = field.freeze(soon(), name="x")
    manage.cancel(field.store, field.config, cancelled.name, soon())
    with pytest.raises(UsageError, match="cancelled for good"):
        retry.plan(field.store, field.config, "x", soon())
    field.store.campaigns.create(
        name="basket/1", template="sale", audience="", sources={}, options={}, now=soon(),
        expires_at=None, trigger="basket", step=1,
    )  # fmt: skip
    with pytest.raises(UsageError, match="step of a trigger"):
        retry.plan(field.store, field.config, "basket/1", soon())
    assert pushctl("campaigns", "retry", "nothing", cwd=field.config.folder).code == 4


def test_a_scheduled_campaign_keeps_its_schedule(field: Field) -> None:
    made = field.freeze(soon(), template="hello", name="x", at="2099-01-01 09:00")
    write(field, "Hi")
    run = pushctl(*RETRY, "--yes", cwd=field.config.folder)
    assert (run.code, "Nothing was changed" in run.err) == (0, True)
    assert field.store.campaigns.get("x") == made


@pytest.mark.parametrize("is_removed", [False, True])
def test_a_campaign_that_is_being_sent_is_left_alone(field: Field, is_removed: bool) -> None:
    """The other process has the older texts in its memory; a lock removed by hand ends none."""
    assert pushctl(*SEND, cwd=field.config.folder).code == 5
    write(field, "Hi")
    made = retry.plan(field.store, field.config, "x", soon())
    with deliver.hold(field.store, field.config, made.campaign.id, "a sweep"):
        if is_removed:
            deliver.lock_path(field.store, made.campaign.id).unlink()
        with pytest.raises(BusyError, match="a sweep"):
            retry.start(field.store, field.config, made, soon())
        field.store.campaigns.change_status(made.campaign.id, CampaignStatus.RUNNING, soon())
        with pytest.raises(BusyError):
            manage.send_again(field.store, field.config, "x", soon())
    assert field.counts(made.campaign) == {"accepted": 3, "rejected": 2}


def test_who_has_the_mended_words_by_another_campaign_is_left_out(
    field: Field, service: PushService
) -> None:
    folder, before = field.config.folder, len(service.receipts())
    assert pushctl(*SEND, cwd=folder).code == 5
    write(field, "Hi")
    other = ("send", "--where", "rejected('x')", "--template", "hello", "--name", "y", "--yes")
    assert pushctl(*other, cwd=folder).code == 0
    for more in ("--dry-run", "--yes"):
        run = pushctl(*RETRY, more, cwd=folder)
        said = run.out if more == "--dry-run" else run.err
        why = "x: 2 got this message within a day (campaign 'y'). Nothing was changed."
        assert (run.code, why in said) == (0, True), said
    paths = [one.path for one in service.receipts(before)]
    assert (len(paths), len(set(paths))) == (5, 5)

    made = retry.plan(field.store, field.config, "x", soon() + DAY + MINUTE)
    assert (len(made.receivers), made.left_out.count) == (2, 0)


def test_who_is_to_get_the_mended_words_meanwhile_is_left_out_too(field: Field) -> None:
    assert pushctl(*SEND, cwd=field.config.folder).code == 5
    write(field, "Hi")
    made = retry.plan(field.store, field.config, "x", soon())
    wish = {"everyone": False, "where": ["rejected('x')"], "template": "hello"}
    field.freeze(soon(), **wish, limit=1, name="y")
    (left,) = retry.plan(field.store, field.config, "x", soon()).receivers
    run = pushctl(*RETRY, "--dry-run", cwd=field.config.folder)
    assert "x: 1 rejected message can be sent now" in run.out
    assert "left out: 1 is to get it (campaign 'y')" in run.out
    campaign = retry.start(field.store, field.config, made, soon())
    sql = "SELECT subscription_id FROM deliveries WHERE campaign_id = ? AND status = 'planned'"
    assert field.store.connection.execute(sql, (campaign.id,)).fetchall() == [(left,)]


def test_where_all_have_the_words_meanwhile_nothing_is_changed(field: Field) -> None:
    assert pushctl(*SEND, cwd=field.config.folder).code == 5
    old = field.store.campaigns.get("x")
    write(field, "Hi")
    made = retry.plan(field.store, field.config, "x", soon())
    field.freeze(soon(), template="hello", name="y")
    with pytest.raises(UsageError, match=r"Nothing was sent: 2 are to get it \(campaign 'y'\)"):
        retry.start(field.store, field.config, made, soon())
    assert field.store.campaigns.get("x") == old


def test_a_message_that_waits_is_skipped_for_who_has_the_mended_words(field: Field) -> None:
    field.people(40, first=100, tag="Late", now=soon())
    wish = {"everyone": False, "tags": ["Late"], "template": "hello"}
    campaign = field.freeze(soon(), **wish, name="x")
    with pytest.raises(TemplateError):
        deliver.run(field.store, field.config, campaign, soon())
    write(field, "Hi")
    field.freeze(soon(), **wish, limit=10, name="y")
    done = pushctl(*RETRY, "--yes", cwd=field.config.folder)
    assert (done.code, "30 messages wait and get it, too" in done.err) == (0, True), done.err
    assert field.counts(campaign) == {"accepted": 30, "skipped": 10}
    causes = "SELECT DISTINCT cause, reason FROM deliveries WHERE status = 'skipped'"
    assert field.store.connection.execute(causes).fetchall() == [
        ("has_it", "has this message by another campaign")
    ]


def test_what_went_out_before_a_retry_counts_for_the_words_that_it_had(field: Field) -> None:
    assert pushctl(*SEND, cwd=field.config.folder).code == 5
    first = list_having(field)
    write(field, "Hi")
    assert pushctl(*RETRY, "--yes", cwd=field.config.folder).code == 0
    second = list_having(field)
    assert (len(first), len(second), first & second) == (3, 2, set())
    write(field, NEEDS_A_NAME)
    assert list_having(field) == first


def test_a_message_in_doubt_has_the_words_that_it_was_sent_with_last(field: Field) -> None:
    assert pushctl(*SEND, cwd=field.config.folder).code == 5
    campaign = field.store.campaigns.get("x")
    first = list_having(field)
    with field.store.write() as connection:
        connection.execute(
            "UPDATE deliveries SET status = 'in_doubt' WHERE status = 'accepted'"
        )
    write(field, "Hi")
    retry.start(
        field.store, field.config, retry.plan(field.store, field.config, "x", soon()), soon()
    )
    write(field, NEEDS_A_NAME)
    assert list_having(field) == first, "it may have arrived"
    assert manage.send_again(field.store, field.config, "x", soon()) == 3
    assert pushctl("campaigns", "resume", "x", cwd=field.config.folder).code == 0
    assert (field.counts(campaign), list_having(field)) == ({"accepted": 5}, set())
    write(field, "Hi")
    assert len(list_having(field)) == 5


def list_having(field: Field) -> set[int]:
    """Return who has the words of the template as they are now."""
    content = hash_content(templates.read(field.config.templates, "hello"), {})
    found = field.store.campaigns.list_holders(content, soon() - DAY, soon())
    return {row for row, later, _ in found if not later}
