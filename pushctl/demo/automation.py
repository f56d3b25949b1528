"""
The demo's last chapter: messages sent by triggers, a month in seconds.

It switches on the triggers of pushctl.toml.example that a demo can play, lets visitors do what
enters each, and sweeps through the following 32 days. Then it compares what ``pushctl stats``
counts with what the visitors' browsers decrypted.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pushctl import config as configs
from pushctl import output
from pushctl.demo import presets, processes, verdict
from pushctl.demo.chapters import answer_messages, print_chapter, wait_until
from pushctl.demo.crowd import Crowd, ReceivedMessage
from pushctl.demo.month import VirtualMonth
from pushctl.demo.people import Person
from pushctl.demo.setup import Setup
from pushctl.errors import PushctlError
from pushctl.model import Millis
from pushctl.rules import timing, units
from pushctl.store import Store

DAYS = 32
_EXPLAINED = "abandoned_basket_1"

_COLUMNS = (
    output.Column("name", "Message"),
    output.Column("when", "Comes"),
    output.Column("accepted", "Reached", kind=output.Kind.NUMBER),
    output.Column("shown", "Shown", kind=output.Kind.NUMBER),
    output.Column("clicked", "Clicked", kind=output.Kind.NUMBER),
    output.Column("orders", "Orders", kind=output.Kind.NUMBER),
)


def run(setup: Setup, crowd: Crowd, real: int) -> None:
    """
    Run the chapter; PushctlError when a figure differs from what the visitors did.

    *real*, 0 or 1, counts the real browsers beside the crowd.
    """
    print_chapter(
        "While nobody watches", "The sweep that cron starts every minute, for a month."
    )
    processes.read_output(setup.folder, "sweep")  # triggers ignore the events before it
    names = presets.switch_on(setup)
    output.say(f"  {len(names)} triggers of pushctl.toml.example are on.")
    players = presets.assign_scenarios(crowd.members)
    newcomers = crowd.add_newcomers(
        max(len(crowd.members) // 12, 1),
        lambda person: setup.service.subscribe(person.service, setup.key),
    )
    _play_scenarios(setup, crowd, players, newcomers)
    messages = _pass_time(setup, crowd)
    figures = _read_figures(setup)
    _print_figures(figures)
    _check(
        setup,
        crowd,
        messages,
        presets.list_expected(crowd, players, newcomers),
        figures,
        real,
    )
    _explain(setup)


def _play_scenarios(
    setup: Setup,
    crowd: Crowd,
    players: Mapping[str, Sequence[Person]],
    newcomers: Sequence[Person],
) -> None:
    output.say(f"  {len(newcomers)} newcomers subscribe; others leave baskets, try, review ...")
    presets.import_prices(setup, old=True)
    crowd.send_requests([(person, [person.subscribe(setup.key)]) for person in newcomers])
    presets.play(setup, crowd, players)
    processes.read_output(setup.folder, "sweep")  # reads who looked at what
    output.say("  The kettle costs less, the blanket is back, and the blog has a new article.")
    presets.import_prices(setup, old=False)
    presets.write_feed(setup, 2)


def _pass_time(setup: Setup, crowd: Crowd) -> Mapping[str, Sequence[ReceivedMessage]]:
    """Sweep through the month; return what the visitors received, by campaign."""
    config = configs.load(setup.folder / "pushctl.toml", {})
    arrived = len(setup.service.delivered())
    with (
        Store(config.database) as store,
        answer_messages(setup, crowd) as done,
        output.progress(f"{DAYS} days pass", DAYS) as progress,
    ):

        def answered() -> None:
            wait_until(lambda: done() >= len(setup.service.delivered(arrived)), "the visitors")

        month = VirtualMonth(config, store, answered, progress)
        start = _read_clock()
        zones = {person.timezone for person in crowd.members}
        feed_is_read = start + 20 * units.MINUTE
        month.run_until(start + 6 * units.DAY, [feed_is_read, *_list_mornings(zones, start)])
        # Then nobody was seen for 30 days: the visitors' clock stands still.
        month.run_until(start + DAYS * units.DAY, [_read_clock() + 30 * units.DAY])
        month.sweep(start + DAYS * units.DAY)  # the last reports
        return _group_by_campaign(crowd.messages, store.histories.load_step_messages())


def _read_clock() -> Millis:
    return time.time_ns() // 1_000_000 + 1


def _list_mornings(zones: Iterable[str], start: Millis) -> Iterator[Millis]:
    """Yield ten o'clock tomorrow in each of *zones*, when birthday messages are due."""
    for zone in map(timing.zone, zones):
        tomorrow = timing.next_local(start, timing.clock("00:00"), zone)
        yield timing.next_local(tomorrow, timing.clock("10:00"), zone)


def _group_by_campaign(
    messages: Iterable[ReceivedMessage], campaigns: Mapping[int, str]
) -> Mapping[str, Sequence[ReceivedMessage]]:
    found: dict[str, list[ReceivedMessage]] = {name: [] for name in presets.STEPS}
    for message in messages:
        if message.delivery in campaigns:
            found.setdefault(campaigns[message.delivery], []).append(message)
    return found


def _read_figures(setup: Setup) -> Mapping[str, Mapping[str, int]]:
    """Return what ``pushctl stats campaigns`` counts, by campaign."""
    rows = json.loads(processes.read_output(setup.folder, "stats", "campaigns", "--json"))
    return {row["name"]: row for row in rows}


def _print_figures(figures: Mapping[str, Mapping[str, int]]) -> None:
    counted = ("accepted", "shown", "clicked", "orders")
    rows = [
        {"name": name, "when": when}
        | {word: figures.get(name, {}).get(word, 0) for word in counted}
        for name, when in presets.STEPS.items()
    ]
    total = {word: sum(int(row[word]) for row in rows) for word in counted}
    output.say("")
    output.rows(rows, _COLUMNS, total={"name": "Together", **total})


def _check(
    setup: Setup,
    crowd: Crowd,
    messages: verdict.Messages,
    meant: Mapping[str, set[int]],
    figures: Mapping[str, Mapping[str, int]],
    real: int,
) -> None:
    bought = {person.number for person in crowd.members if person.bought}
    wrong = list(
        verdict.find_faults(
            messages, meant, figures, bought=bought, baskets=presets.BASKETS, real=real
        )
    )
    # Whoever buys has just clicked, so each order is some message's.
    if (orders := sum(row["orders"] for row in figures.values())) != crowd.tally.bought:
        wrong.append(f"visitors bought {crowd.tally.bought} times, stats counts {orders}")
    if crowd.tally.unreadable:
        wrong.append(f"{crowd.tally.unreadable} messages could not be decrypted")
    if wrong:
        raise PushctlError(
            f"the month went wrong: {'; '.join(wrong)}. This is a bug; the project is in "
            f"{setup.folder}."
        )
    output.say(
        "  Each decrypted by the browser it was for, once, and none after a purchase.",
        "bold",
    )


def _explain(setup: Setup) -> None:
    """Explain the messages of a person who got both reminders of a basket, or one."""
    rows = json.loads(processes.read_output(setup.folder, "leads", _EXPLAINED, "--json"))
    lead = max(rows, key=lambda row: int(row["step"]))
    output.say("  Why somebody got what (the browsers' clock stays at today):")
    processes.run(setup.folder, "explain", str(lead["subscriber"]), _EXPLAINED)
