"""Campaigns of the past, with what became of their messages, for tests of figures."""

from collections.abc import Sequence

from pushctl.model import CampaignStatus, Millis
from pushctl.rules.units import HOUR
from tests.support.sending import Field


def send_past(
    field: Field,
    name: str,
    people: Sequence[int],
    at: Millis,
    *,
    clicked: int,
    shown: int | None = None,
    gone: int = 0,
    topic: str | None = None,
    template: str = "sale",
    options: dict[str, object] | None = None,
) -> int:
    """
    Write a campaign of *at* to *people*, and return its id.

    The first *clicked* have clicked, the first *shown* (most of them) have seen it, the
    last *gone* could not be reached.
    """
    store = field.store
    shown = len(people) - gone if shown is None else shown
    with store.write() as connection:
        campaign = store.campaigns.create(
            name=name, template=template, audience="everyone", sources={},
            options=options or {}, now=at, expires_at=None, topic=topic,
        )  # fmt: skip
        store.campaigns.change_status(campaign.id, CampaignStatus.RUNNING, at)
        connection.executemany(
            "INSERT INTO deliveries (campaign_id, subscription_id, status, changed_at)"
            " VALUES (?, ?, ?, ?)",
            [
                (campaign.id, one, "gone" if place >= len(people) - gone else "accepted", at)
                for place, one in enumerate(people)
            ],
        )
        rows = connection.execute(
            "SELECT id FROM deliveries WHERE campaign_id = ? ORDER BY id", (campaign.id,)
        ).fetchall()
        reports = [(row, "shown") for (row,) in rows[:shown]]
        reports += [(row, "clicked") for (row,) in rows[:clicked]]
        connection.executemany(
            "INSERT INTO interactions (delivery_id, kind, at, dedupe_key) VALUES (?, ?, ?, ?)",
            [(row, kind, at + HOUR, f"{kind} {row}") for row, kind in reports],
        )
        connection.execute(
            "UPDATE campaigns SET status = 'finished', finished_at = ? WHERE id = ?",
            (at + HOUR, campaign.id),
        )
    return campaign.id
