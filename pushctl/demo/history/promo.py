"""Promo codes of a generated history: which message carries which, and who uses them."""

import numpy as np

from pushctl.demo.history.rows import ACCEPTED, Rows
from pushctl.demo.history.year import Mailing, Sent, Year
from pushctl.model import Json, Millis
from pushctl.rules import units

_MOST_CODES = 4_000  # of a campaign
_REDEEMS = 0.3  # of who clicked a message with a code, with their next order


def give_codes(year: Year, rows: Rows, mailing: Mailing, sent: Sent, now: Millis) -> None:
    """Bind a code to each accepted message of *mailing*; some of who clicks will use it."""
    places = np.flatnonzero(sent.status == ACCEPTED)[:_MOST_CODES]
    pool = int(rows.number("promo_pools", 1)[0])
    values: dict[str, Json] = {
        "id": pool,
        "name": f"SALE-{mailing.campaign}",
        "expires_at": now + 14 * units.DAY,
        "low": 100,
        "longest": 12,
        "created_at": now - units.DAY,
    }
    rows.add("promo_pools", {name: [value] for name, value in values.items()})
    codes = rows.number("promo_codes", len(places))
    texts = [f"SALE{mailing.campaign}X{code}" for code in codes.tolist()]
    rows.add("promo_codes", {"id": codes, "pool_id": pool, "code": texts, "state": "bound"})
    who = mailing.who[places]
    kept = ~year.people.erased[who]
    rows.add(
        "promo_bindings",
        {
            "delivery_id": sent.numbers[places][kept],
            "code_id": codes[kept],
            "subscription_id": who[kept] + 1,
            "scope": mailing.campaign,
            "at": mailing.at[places][kept],
        },
    )
    uses = sent.clicked[places] & kept & (year.chance.random(len(places)) < _REDEEMS)
    for place in np.flatnonzero(uses).tolist():
        year.codes[int(who[place])] = int(codes[place]), texts[place]
