"""People whose browser still runs a former service's worker: its form, or no message yet."""

from pushctl.demo.pushservice import PushService
from pushctl.jobs.figures.tables import funnels
from pushctl.jobs.figures.tables.campaign_details import load_details
from pushctl.model import Cause, InteractionKind
from pushctl.rules.figures.tables import campaigns
from pushctl.store.interactions import Interaction
from tests.support import NOON
from tests.support.sending import Field, soon


def runs(sender: Field, row: int, worker: str | None) -> None:
    sender.store.connection.execute(
        "UPDATE subscriptions SET worker = ? WHERE id = ?", (worker, row)
    )


def rows_of(sender: Field, campaign: int) -> dict[int, tuple[str, str | None]]:
    sql = "SELECT subscription_id, status, cause FROM deliveries WHERE campaign_id = ?"
    found = sender.store.connection.execute(sql, (campaign,))
    return {one: (status, cause) for one, status, cause in found}


def test_their_form_where_it_is_known_and_nothing_where_not(
    sender: Field, push_service: PushService
) -> None:
    ours, bridged, waiting = sender.people(3)
    runs(sender, bridged, "onesignal")
    runs(sender, waiting, "unknown")
    before = len(push_service.receipts())
    campaign = sender.send(soon()).campaign
    assert rows_of(sender, campaign.id) == {
        ours: ("accepted", None),
        bridged: ("accepted", None),
        waiting: ("skipped", Cause.OTHER_WORKER),
    }
    assert len(push_service.receipts(before)) == 2
    (row,) = funnels.load_funnel(sender.store, campaign.name)
    assert (row["accepted"], row["unreported"], row["shown"]) == (2, 1, 0)
    (delivery,) = sender.store.connection.execute(
        "SELECT id FROM deliveries WHERE subscription_id = ?", (ours,)
    ).fetchone()
    clicked = InteractionKind.CLICKED
    sender.store.interactions.add(Interaction(delivery, clicked, None, NOON, "c"))
    (row,) = funnels.load_funnel(sender.store, campaign.name)
    assert (row["shown"], row["ctr"], row["ctr_shown"]) == (1, 1.0, 1.0), "of those that report"
    assert funnels.sum_rows(funnels.load_funnel(sender.store))["ctr"] == 1.0


def test_reports_that_nobody_could_make_are_unknown_not_zero(sender: Field) -> None:
    for row in sender.people(2):
        runs(sender, row, "onesignal")
    campaign = sender.send(soon()).campaign
    (row,) = funnels.load_funnel(sender.store, campaign.name)
    assert (row["accepted"], row["unreported"]) == (2, 2)
    assert {row[name] for name in ("shown", "clicked", "clicks", "ctr", "ctr_shown")} == {None}
    details = load_details(sender.store, sender.config, campaign.name)[1]
    (english,) = [one for one in details if one["by"] == "language"]
    assert (english["unreported"], english["shown"], english["ctr"]) == (2, None, None)
    assert campaigns.UNREPORTED in campaigns.STATS.figures


def test_who_has_visited_gets_our_form(sender: Field) -> None:
    (row,) = sender.people(1)
    runs(sender, row, "onesignal")
    sender.send(soon(), name="before")
    sender.store.subscriptions.own(row)
    campaign = sender.send(soon(), name="after").campaign
    (told,) = funnels.load_funnel(sender.store, campaign.name)
    assert (told["unreported"], told["shown"]) == (0, 0)
