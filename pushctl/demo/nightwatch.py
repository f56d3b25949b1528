"""
The demo's last chapter: messages that nobody sends, a month told in seconds.

Every trigger of pushctl.toml.example is switched on, visitors do what begins each of
them, and sweeps live through the 32 days after that. In the end what ``pushctl stats``
counts is held against what the visitors' browsers decrypted.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pushctl import config as configs
from pushctl import output
from pushctl.demo import presets, processes, verdict
from pushctl.demo.crowd import Crowd, Letter
from pushctl.demo.month import Month
from pushctl.demo.people import Person
from pushctl.demo.telling import answering, chapter, wait
from pushctl.demo.world import World
from pushctl.errors import PushctlError
from pushctl.model import Millis
from pushctl.rules import timing
from pushctl.store import Store

DAYS = 32
_EXPLAINED = "abandoned_basket_1"

_COLUMNS = (
    output.Column("name", "Message"),
    output.Column("when", "Comes"),
    output.Column("accepted", "Reached", kind=output.Kind.NUMBER),
    output.Column("shown", "Shown", kind=output.Kind.NUMBER),
    output.Column("clicked", "Clicked", kind=output.Kind.NUMBER),
)


def tell(world: World, crowd: Crowd, real: int) -> None:
    """
    Tell the chapter; PushctlError when a figure isn't what the visitors did.

    *real* browsers, 0 or 1, are there beside the crowd.
    """
    chapter("While nobody watches", "The sweep that cron starts every minute, for a month.")
    processes.output_of(world.folder, "sweep")  # what came before tonight is old
    names = presets.switch_on(world)
    output.say(f"  All {len(names)} triggers of pushctl.toml.example are on.")
    played = presets.cast(crowd.members)
    newcomers = crowd.join(
        max(len(crowd.members) // 12, 1),
        lambda person: world.service.subscribe(person.service, world.key),
    )
    _go_through_the_evening(world, crowd, played, newcomers)
    letters = _pass_time(world, crowd)
    figures = _figures(world)
    _show(figures)
    _judge(world, crowd, letters, presets.meant(crowd, played, newcomers), figures, real)
    _explain(world)


def _go_through_the_evening(
    world: World,
    crowd: Crowd,
    played: Mapping[str, Sequence[Person]],
    newcomers: Sequence[Person],
) -> None:
    output.say(f"  {len(newcomers)} newcomers subscribe; others leave baskets, try, review ...")
    presets.price(world, old=True)
    crowd.act([(person, [person.subscribe(world.key)]) for person in newcomers])
    presets.begin(world, crowd, played)
    processes.output_of(world.folder, "sweep")  # knows now who looked at what
    output.say("  The kettle costs less, the blanket is back, and the blog has a new article.")
    presets.price(world, old=False)
    presets.publish(world, 2)


def _pass_time(world: World, crowd: Crowd) -> Mapping[str, Sequence[Letter]]:
    """Let the month pass; return what the visitors got, by campaign."""
    config = configs.load(world.folder / "pushctl.toml", {})
    arrived = len(world.service.delivered())
    with (
        Store(config.database) as store,
        answering(world, crowd) as done,
        output.progress(f"{DAYS} days pass", DAYS) as progress,
    ):

        def answered() -> None:
            wait(lambda: done() >= len(world.service.delivered(arrived)), "the visitors")

        month = Month(config, store, answered, progress)
        start = _clock()
        zones = {person.timezone for person in crowd.members}
        feed_is_read = start + 20 * timing.MINUTE
        month.live(start + 6 * timing.DAY, [feed_is_read, *_mornings(zones, start)])
        # By then nobody has been seen for 30 days: the visitors' own clock stands still.
        month.live(start + DAYS * timing.DAY, [_clock() + 30 * timing.DAY])
        month.sweep(start + DAYS * timing.DAY)  # the last reports
        return _by_campaign(crowd.letters, store.histories.steps_sent())


def _clock() -> Millis:
    return time.time_ns() // 1_000_000 + 1


def _mornings(zones: Iterable[str], start: Millis) -> Iterator[Millis]:
    """Yield when it is ten o'clock tomorrow in each of *zones*: birthdays."""
    for zone in map(timing.zone, zones):
        tomorrow = timing.next_local(start, timing.clock("00:00"), zone)
        yield timing.next_local(tomorrow, timing.clock("10:00"), zone)


def _by_campaign(
    letters: Iterable[Letter], campaigns: Mapping[int, str]
) -> Mapping[str, Sequence[Letter]]:
    found: dict[str, list[Letter]] = {name: [] for name in presets.STEPS}
    for letter in letters:
        if letter.delivery in campaigns:
            found.setdefault(campaigns[letter.delivery], []).append(letter)
    return found


def _figures(world: World) -> Mapping[str, Mapping[str, int]]:
    """Return what ``pushctl stats`` counts, by campaign."""
    rows = json.loads(processes.output_of(world.folder, "stats", "--json"))
    return {row["name"]: row for row in rows}


def _show(figures: Mapping[str, Mapping[str, int]]) -> None:
    counted = ("accepted", "shown", "clicked")
    rows = [
        {"name": name, "when": when}
        | {word: figures.get(name, {}).get(word, 0) for word in counted}
        for name, when in presets.STEPS.items()
    ]
    total = {word: sum(int(row[word]) for row in rows) for word in counted}
    output.say("")
    output.rows(rows, _COLUMNS, total={"name": "Together", **total})


def _judge(
    world: World,
    crowd: Crowd,
    letters: verdict.Letters,
    meant: Mapping[str, set[int]],
    figures: Mapping[str, Mapping[str, int]],
    real: int,
) -> None:
    bought = {person.number for person in crowd.members if person.bought}
    wrong = list(
        verdict.faults(
            letters, meant, figures, bought=bought, baskets=presets.BASKETS, real=real
        )
    )
    if crowd.tally.unreadable:
        wrong.append(f"{crowd.tally.unreadable} messages could not be decrypted")
    if wrong:
        raise PushctlError(
            f"the month went wrong: {'; '.join(wrong)}. This is a bug; the project is in "
            f"{world.folder}."
        )
    output.say(
        "  Each decrypted by the browser it was for, once, and none after a purchase.",
        "bold",
    )


def _explain(world: World) -> None:
    """Show the story of one who got both reminders of a basket, or at least one."""
    rows = json.loads(processes.output_of(world.folder, "leads", _EXPLAINED, "--json"))
    lead = max(rows, key=lambda row: int(row["step"]))
    output.say("  Why somebody got what (the browsers' clock stays at today):")
    processes.run(world.folder, "explain", str(lead["subscriber"]), _EXPLAINED)
