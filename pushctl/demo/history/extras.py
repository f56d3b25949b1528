"""Tags of a generated history, and campaigns that were only tests."""

import json

import numpy as np

from pushctl.demo.history.broadcasts import make_sources, write_campaign
from pushctl.demo.history.people import Ints
from pushctl.demo.history.rows import Rows
from pushctl.demo.history.year import Mailing, Year
from pushctl.rules import units
from pushctl.rules.web.fields import fold_tag

_TAGS = ("Looked at lamps", "VIP", "Yeni gelenler", "عروض")


def write_tags(rows: Rows, year: Year) -> None:
    """Write a few tags, each of which some people have."""
    people = year.people
    numbers = rows.number("tags", len(_TAGS))
    folded = [fold_tag(name) for name in _TAGS]
    rows.add("tags", {"id": numbers, "name": list(_TAGS), "folded": folded})
    for tag, share in zip(numbers.tolist(), (0.2, 0.05, 0.1, 0.1), strict=True):
        has = (year.chance.random(people.count) < share) & ~people.erased
        who = np.flatnonzero(has)
        rows.add(
            "subscription_tags",
            {"tag_id": tag, "subscription_id": who + 1, "set_at": people.subscribed[who]},
        )


def send_test(year: Year, rows: Rows, day: int) -> None:
    """Send a test to somebody of the shop, which no figure counts."""
    at = year.people.first + day * units.DAY + 9 * units.HOUR
    active = year.list_active(day)[:2]
    campaign = int(rows.number("campaigns", 1)[0])
    sources = make_sources("promotion", asks=False, variants=False)
    write_campaign(
        rows,
        {
            "id": campaign,
            "name": f"test {campaign}",
            "template": "promotion",
            "audience": "everyone",
            "sources": json.dumps(sources, ensure_ascii=False),
            "options": '{"test":true}',
            "created_at": at,
            "started_at": at,
            "finished_at": at + units.MINUTE,
            "is_test": 1,
        },
    )
    times: Ints = np.full(len(active), at)
    year.send(Mailing(campaign=campaign, rate=0.5, who=active, at=times, converts=0.0))
