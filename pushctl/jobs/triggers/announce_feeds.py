"""
New items of feeds: each is announced at once, or what is new since the last digest together.

What was found, chosen and told is in the database before the first enrolment begins, so that
a kill makes no second message of it, and loses none.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import time as Time
from datetime import tzinfo

from pushctl import log
from pushctl.jobs.triggers import feed_items, feeds
from pushctl.jobs.triggers.feed_items import Item, Reading
from pushctl.jobs.triggers.types import Run
from pushctl.model import Json, Millis
from pushctl.rules import timing
from pushctl.rules.triggers.feed import FOR_ALL, Digest, Feed, describe_news
from pushctl.rules.triggers.trigger import Trigger
from pushctl.store.feed_news import News
from pushctl.store.triggers import Candidate, TriggerState
from pushctl.web import WebError

# A candidate, the occurrence, its time, and the values for its messages.
Found = tuple[Candidate, str, Millis, Mapping[str, Json]]
# Each feed's text, or why there is none, by trigger and language.
Answers = Mapping[tuple[str, str], bytes | Exception]
Begin = Callable[[Run, Trigger, Iterator[Found]], None]


def list_wanted(run: Run) -> dict[tuple[str, str], str]:
    """Return the addresses to ask, by trigger and language."""
    paused = run.store.triggers.list_paused()
    return {
        (trigger.name, language): address
        for trigger in run.settings.triggers.values()
        if trigger.feed is not None and trigger.name not in paused
        for language, address in trigger.feed.addresses.items()
    }


def find_next(run: Run, trigger: Trigger, often: Millis) -> Millis:
    """Return when to look again: at the latest when a digest is due."""
    again = run.now + often
    if trigger.feed is None or trigger.feed.digest is None:
        return again
    return min(again, trigger.feed.digest.find_next(run.now, _find_zone(run)))


def announce(
    run: Run, trigger: Trigger, standing: TriggerState, answers: Answers, begin: Begin
) -> None:
    """Take what the feeds of *trigger* have, and begin the enrolments of what is to be told."""
    assert trigger.feed is not None
    asked = [one for one in trigger.feed.addresses if (trigger.name, one) in answers]
    for language in asked:
        reading = _read(run, trigger, answers[trigger.name, language])
        if reading is None:
            continue
        if trigger.feed.digest is not None:
            _keep(run, trigger, language, reading, standing)
        else:
            _announce_newest(run, trigger, language, reading, standing, begin)
    if trigger.feed.digest is not None:
        # Also without an answer: what was found before is told at its time.
        _tell(run, trigger, trigger.feed.digest, standing, begin)
    if asked:
        run.store.triggers.mark_scanned(trigger.name, run.now)


def _read(run: Run, trigger: Trigger, answer: bytes | Exception) -> Reading | None:
    try:
        if isinstance(answer, Exception):
            raise answer
        origins = tuple(one for site in run.settings.sites.values() for one in site.origins)
        return feed_items.read(answer, origins)
    except WebError as error:
        note = f"{trigger.name}: {error}. The next scan tries again."
        run.warn(note, "feed failed", trigger=trigger.name)
        return None


def _find_new(
    run: Run, trigger: Trigger, language: str, reading: Reading, standing: TriggerState
) -> tuple[list[Item], Collection[str]]:
    """Return the new items, newest first, and the keys of all that the feed has."""
    # Feeds of two languages may give an item the same id.
    prefix = f"{language}:" if language else ""
    keys = [f"{prefix}{one}" for one in (*(it.key for it in reading.items), *reading.left_out)]
    known = run.store.triggers.find_known_items(trigger.name, keys)
    for key, why in reading.left_out.items():
        if prefix + key not in known:  # said once
            run.leave_out(f"an item of the feed of {trigger.name}", why)
    plain = {one.removeprefix(prefix) for one in known}
    fresh = feeds.choose_new(reading.items, plain, since=standing.scanned_at, now=run.now)
    return list(fresh), keys


def _announce_newest(
    run: Run,
    trigger: Trigger,
    language: str,
    reading: Reading,
    standing: TriggerState,
    begin: Begin,
) -> None:
    """Begin the enrolments of a feed's newest item; only then is it old."""
    assert trigger.feed is not None
    fresh, keys = _find_new(run, trigger, language, reading, standing)
    most, news = trigger.feed.most_a_day, run.store.feed_news
    if fresh and most is not None:
        today = timing.local(run.now, _find_zone(run)).date()
        since = timing.instant(today, Time(0), _find_zone(run))
        if news.count_told(trigger.name, language, since) >= most:
            # Tomorrow the newest of them is news; what is known already stays known.
            log.note("sweep", "enough news today", trigger=trigger.name, waiting=len(fresh))
            waiting = {one.key for one in fresh}
            keys = [one for one in keys if one.rpartition(":")[2] not in waiting]
            fresh = []
    # A republished archive is one message, not two hundred.
    for item in fresh[:1]:
        begin(
            run,
            trigger,
            (
                (candidate, f"item:{item.key}", run.now, {"event": item.values})
                for candidate in _list_readers(run, trigger.feed, language)
            ),
        )
    with run.store.write():
        # As long as an item stands in the feed it is nothing new.
        run.store.triggers.save_items(trigger.name, keys, run.now)
        if most is not None:
            told = [News(one.key, one.values) for one in fresh[:1]]
            news.add(trigger.name, language, told, run.now)
            news.tell(trigger.name, language, run.now, 1)


def _keep(
    run: Run, trigger: Trigger, language: str, reading: Reading, standing: TriggerState
) -> None:
    """Keep a feed's new items for the next digest."""
    fresh, keys = _find_new(run, trigger, language, reading, standing)
    with run.store.write():
        kept = [News(one.key, one.values) for one in fresh]
        run.store.feed_news.add(trigger.name, language, kept, run.now)
        run.store.triggers.save_items(trigger.name, keys, run.now)


def _tell(
    run: Run, trigger: Trigger, digest: Digest, standing: TriggerState, begin: Begin
) -> None:
    """Begin the enrolments of a digest that is due, once; nothing new: nothing is sent."""
    assert trigger.feed is not None
    at = digest.find_last(run.now, _find_zone(run))
    key = f"digest.{trigger.name}"
    done = int(run.store.meta.get(key) or 0)
    if at is None or at <= done:
        return
    if standing.scanned_at is None:  # a new trigger: its first digest is the next one
        run.store.meta.set(key, str(at))
        return
    for language in trigger.feed.addresses:
        with run.store.write():
            # After a kill these are told already, and their enrolments begin once all the same.
            run.store.feed_news.tell(trigger.name, language, at, digest.least)
            items = run.store.feed_news.list_told(trigger.name, language, at)
        if not items:
            log.note("sweep", "a digest without news", trigger=trigger.name, feed=language)
            run.tally["digests without news"] += 1
            continue
        context = {
            "event": describe_news(items, digest.items),
            "digest": [trigger.name, language, at, digest.items],
        }
        readers = _list_readers(run, trigger.feed, language)
        begin(run, trigger, ((one, f"digest:{at}", at, context) for one in readers))
    run.store.meta.set(key, str(at))


def _list_readers(run: Run, feed: Feed, language: str) -> Iterator[Candidate]:
    """Yield the active subscribers who get the feed of *language*."""
    for candidate in run.store.triggers.list_active():
        if language == FOR_ALL or feed.choose(candidate.value) == language:
            yield candidate


def _find_zone(run: Run) -> tzinfo:
    """Return the first site's zone."""
    names = [site.timezone for site in run.settings.sites.values()]
    return timing.zone(names[0] if names else "UTC")
