"""The project of a generated history: settings, keys, people, invitations."""

import json
import os
from pathlib import Path

import numpy as np

from pushctl import config as configs
from pushctl.demo.history import planted, world
from pushctl.demo.history.people import Ints, People, make_endpoint
from pushctl.demo.history.rows import Rows, either, hide
from pushctl.demo.history.year import ACTIVE, LOST, STATES, Year
from pushctl.errors import UsageError
from pushctl.jobs.project import init
from pushctl.rules import units
from pushctl.store import Store

# The generator point of P-256: a valid key, and nobody's.
_POINT = bytes.fromhex(
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
_CONTACT = "mailto:push@shop.example"
_REASONS = np.array(
    ["a new registration", "by the subscriber", "410 unsubscribed", "refused"], dtype=object
)
_KINDS = np.array(["revived", *STATES[1:]], dtype=object)
_BROWSERS = ("Chrome", "Safari", "Firefox", "other")
_SETTINGS = """\
contact = "{contact}"

{sites}
[receiver]
url = ""

[messages]
topic = "promotion"

[holdout]
share = {holdout}
name  = "2026"

[triggers.welcome]
on      = "subscribed"
reentry = "never"
steps = [{{ after = "1m", template = "welcome" }}]

[triggers.basket]
on      = "cart_updated"
goal    = {{ event = "purchase", within = "24h" }}
holdout = {basket}
steps = [
  {{ after = "30m", template = "abandoned_basket_1" }},
  {{ after = "19h30m", template = "abandoned_basket_discount", promo = "BASKET15" }},
]

[triggers.win_back]
inactive = "30d"
steps = [{{ at = "18:00", template = "win_back", promo = "WELCOMEBACK", max_late = "1d" }}]
"""


def create(folder: Path) -> configs.Config:
    """Make the project in an empty *folder*; raises UsageError where something is there."""
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty. Name a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    sites = "".join(
        f'[sites.{one.name}]\norigin = "https://{one.name}.example"\n'
        f'language = "{one.language}"\nlanguages = {json.dumps(world.LANGUAGES)}\n'
        f'timezone = "{one.timezone}"\ncurrency = "{one.currency}"\n\n'
        for one in world.SITES
    )
    text = _SETTINGS.format(
        contact=_CONTACT, sites=sites, holdout=planted.HOLDOUT, basket=planted.BASKET_HOLDOUT
    )
    file = folder / configs.FILE
    file.write_text(text, "utf-8")
    answers = init.Answers(
        {one.name: f"https://{one.name}.example" for one in world.SITES},
        _CONTACT,
        world.LANGUAGES,
    )
    init.create(folder, answers, os.environ)
    return configs.load(file, os.environ)


def write_truths(folder: Path, lift: float) -> None:
    """Write what is planted, with the *lift* over all marketing that came of it."""
    text = json.dumps(planted.list_truths(lift), indent=2)
    (folder / "planted.json").write_text(text + "\n", "utf-8")


def write_sites(store: Store) -> None:
    store.sites.sync({one.name: f"https://{one.name}.example" for one in world.SITES})


def write_people(rows: Rows, year: Year, key_id: str) -> None:
    """Write the subscriptions as they are at the year's end."""
    people = year.people
    for start in range(0, people.count, 20_000):
        who = np.arange(start, min(start + 20_000, people.count))
        _write_page(rows, year, who[~people.erased[who]], key_id)


def _write_page(rows: Rows, year: Year, who: Ints, key_id: str) -> None:
    people = year.people
    ids = [people.public_ids[one] for one in who.tolist()]
    browsers = [world.BROWSERS[one] for one in people.browser[who].tolist()]
    countries = [world.COUNTRIES[one] for one in people.country[who].tolist()]
    made = [
        make_endpoint(browser, public_id)
        for browser, public_id in zip(people.browser[who].tolist(), ids, strict=True)
    ]
    landings = people.landing[who].tolist()
    aliases = zip(people.person[who].tolist(), people.has_alias[who].tolist(), strict=True)
    cities = zip(countries, people.city[who].tolist(), strict=True)
    state = year.state[who]
    rows.add(
        "subscriptions",
        {
            "id": who + 1,
            "public_id": ids,
            "site_id": people.site[who] + 1,
            "endpoint": [endpoint for endpoint, _ in made],
            "endpoint_hash": [digest for _, digest in made],
            "p256dh": _POINT,
            "auth": [digest for _, digest in made],
            "key_id": key_id,
            "state": np.array(STATES, dtype=object)[state],
            "state_reason": either(state == ACTIVE, None, _REASONS[state]),
            "state_at": year.state_at[who],
            "alias": [f"customer-{one}" if has else None for one, has in aliases],
            "alias_trusted": people.has_alias[who].astype(np.int64),
            "language": [one.language for one in countries],
            "timezone": [one.timezone for one in countries],
            "country": [one.code for one in countries],
            "city": [one.cities[city] for one, city in cities],
            "browser": [one.name for one in browsers],
            "os": [one.os for one in browsers],
            "source": [world.SOURCES[one] for one in people.source[who].tolist()],
            "attributes": [
                f'{{"device":"{browser.device}","landing_page":"{world.LANDINGS[landing]}"}}'
                for browser, landing in zip(browsers, landings, strict=True)
            ],
            "subscribed_at": people.subscribed[who],
            "last_seen_at": year.seen_at[who],
            "verified_at": hide(year.shown_at[who], year.shown_at[who] > 0),
        },
    )


def write_changes(rows: Rows, year: Year) -> None:
    """Write who left and who came back since the last call."""
    who, state, at = year.take_changes()
    kept = ~year.people.erased[who]
    order = np.argsort(at[kept], kind="stable")
    who, state, at = (one[kept][order] for one in (who, state, at))
    rows.add(
        "subscription_changes",
        {
            "id": rows.number("subscription_changes", len(who)),
            "subscription_id": who + 1,
            "kind": _KINDS[state],
            "reason": _REASONS[state],
            "at": at,
            "cause": either(state == LOST, "gone", None),
        },
    )


def write_prompts(rows: Rows, people: People, day: int, chance: np.random.Generator) -> None:
    """Write how many saw the invitation on *day*, so that as many agreed as subscribed."""
    start = people.first + day * units.DAY
    first, last = np.searchsorted(people.subscribed, [start, start + units.DAY])
    sites = people.site[first:last]
    found = []
    for site, one in enumerate(world.SITES):
        agreed = int((sites == site).sum())
        for variant, rate in planted.INVITED.items():
            share = rate / sum(planted.INVITED.values())
            for browser, part in zip(_BROWSERS, (0.65, 0.2, 0.1, 0.05), strict=True):
                allowed = int(chance.binomial(agreed, share * part))
                accepted = allowed + int(
                    chance.negative_binomial(allowed, planted.ALLOWED) if allowed else 0
                )
                seen = accepted + int(
                    chance.negative_binomial(accepted, rate) if accepted else 0
                )
                unasked = chance.negative_binomial(seen, planted.SEEN) if seen else 0
                counts = {
                    "visit": seen + int(unasked),
                    "seen": seen,
                    "accepted": accepted,
                    "allowed": allowed,
                    "denied": int((accepted - allowed) * 0.7),
                    "dismissed": int((seen - accepted) * 0.6),
                }
                found += [
                    (site + 1, start, variant, one.language, browser, stage, count)
                    for stage, count in counts.items()
                    if count
                ]
    names = ("site_id", "day", "variant", "language", "browser", "stage", "count")
    columns = [list(column) for column in zip(*found, strict=True)] if found else []
    if columns:
        rows.add("prompt_counts", dict(zip(names, columns, strict=True)))


def find_key(config: configs.Config) -> str:
    """Return the name of the project's own VAPID key."""
    return next(file.stem.removeprefix("vapid-") for file in config.keys.glob("vapid-*.pem"))
