"""What waits and what went wrong, by the database; nothing is written to it."""

from collections.abc import Iterator, Sequence

from pushctl import inbox
from pushctl.config import Config
from pushctl.errors import ConfigError, DatabaseBusyError
from pushctl.jobs.project.check_notes import Finding, Level, fine
from pushctl.model import Millis
from pushctl.rules import timing, units
from pushctl.rules.wording import clean, counted, duration, moment
from pushctl.store import Store

_LATELY: Millis = 7 * units.DAY
_SHOWN = 3  # campaigns that one line names


def look(config: Config, store: Store, now: Millis) -> Iterator[Finding]:
    """Yield each state that somebody may have to look after, with the command for it."""
    yield from _look_at_subscribers(store, now)
    yield from _look_at_messages(store, now)
    yield from _look_at_services(store, now)
    yield from _look_at_browsers(store, now)
    yield from _look_at_sweeps(config, store, now)


def _look_at_subscribers(store: Store, now: Millis) -> Iterator[Finding]:
    """Who is set aside, and who is spared although too many were gone at once."""
    aside = store.troubles.count_quarantined()
    if aside:
        reason, count = aside[0]
        people = counted(sum(number for _, number in aside), "subscriber")
        text = f"{people} in quarantine for a day, {count:,} of them by: {clean(reason)[:80]}"
        remedy = (
            "They are tried again by themselves, and come back at a visit. Which they are: "
            "pushctl subscribers list --all"
        )
        yield Finding("subscribers", Level.NOTE, "quarantine", text, remedy)
    else:
        yield fine("subscribers", "quarantine", "nobody is in it")
    spared = store.troubles.count_spared(now - _LATELY)
    for campaign, count in spared[:_SHOWN]:
        text = (
            f"{counted(count, 'subscriber')} of {campaign!r} were gone at once, which may be a "
            "fault of theirs or ours: nobody was deleted, and that service waits"
        )
        remedy = f"If it is right: pushctl campaigns resume {campaign!r} --accept-mass-gone"
        yield Finding("subscribers", Level.PROBLEM, "mass gone", text, remedy)


def _look_at_messages(store: Store, now: Millis) -> Iterator[Finding]:
    """What may or may not have arrived, what waits, which campaigns wait for a person."""
    doubt = store.troubles.count_in_doubt()
    if doubt:
        text = (
            f"{counted(sum(count for _, count in doubt), 'message')} may or may not have "
            f"arrived, after a crash or a timeout: {_name_campaigns(doubt)}"
        )
        remedy = "They are never sent again by themselves. See: pushctl in-doubt list"
        yield Finding("messages", Level.NOTE, "in doubt", text, remedy)
    else:
        yield fine("messages", "in doubt", "none")
    paused = store.troubles.list_paused()
    for name, note in paused[:_SHOWN]:
        text = f"is paused{': ' if note else ''}{clean(note)[:100]}"
        remedy = (
            f"Look: pushctl campaigns show {name!r}. Go on: pushctl campaigns resume {name!r}"
        )
        yield Finding("messages", Level.NOTE, name, text, remedy)
    waiting = store.troubles.count_waiting(now)
    text = "nothing waits"
    if waiting.messages:
        text = f"{counted(waiting.messages, 'message')} to go out, {waiting.due:,} of them now"
    if waiting.next_at is not None:
        text += f"; the next at {moment(waiting.next_at)}"
    yield fine("messages", "queue", text)


def _name_campaigns(counts: Sequence[tuple[str, int]]) -> str:
    named = [f"{count:,} of {name!r}" for name, count in counts[:_SHOWN]]
    if counts[_SHOWN:]:
        named.append(f"and of {len(counts) - _SHOWN} more campaigns")
    return ", ".join(named)


def _look_at_services(store: Store, now: Millis) -> Iterator[Finding]:
    """Push services that ask for a pause, allow fewer messages, or can't be reached."""
    found = []
    for one in store.origins.list_all():
        host = one.origin.partition("://")[2]
        why = clean(one.reason or "no reason given")[:100]
        if one.unreached_since is not None and (one.paused_until or 0) > now:
            text = f"no connection to it since {moment(one.unreached_since)}: {why}"
            remedy = "One message a minute tries it. Look at the network, DNS and push.proxy."
            found.append(Finding("services", Level.PROBLEM, host, text, remedy))
        elif (one.paused_until or 0) > now:
            left = duration((one.paused_until or now) - now)
            text = f"gets nothing for {left} more: {why}"
            remedy = "Messages wait and go out by themselves: see docs/push-services.md."
            found.append(Finding("services", Level.NOTE, host, text, remedy))
        elif one.rate is not None and one.changed_at > now - units.HOUR:
            text = f"gets at most {one.rate:g} messages a second, as it asked: {why}"
            remedy = "It rises again by itself: see docs/push-services.md."
            found.append(Finding("services", Level.NOTE, host, text, remedy))
    yield from found or [fine("services", "push services", "none asks to wait")]


def _look_at_browsers(store: Store, now: Millis) -> Iterator[Finding]:
    """Browsers that are near to taking the permission away: Chrome's and Safari's penalties."""
    from pushctl.jobs.figures.filters import Filter
    from pushctl.jobs.figures.tables import penalties

    try:
        warnings = penalties.warn(penalties.load(store, Filter(now=now)))
    except (ConfigError, DatabaseBusyError) as error:
        text, _, remedy = str(error).partition(". ")
        yield Finding("browsers", Level.NOTE, "penalties", text, remedy)
        return
    for text in warnings:
        said, _, remedy = text.partition(". ")
        more = "By campaign: pushctl stats leaving --penalties"
        yield Finding("browsers", Level.NOTE, "penalties", said, f"{remedy} {more}".strip())
    if not warnings:
        yield fine("browsers", "penalties", "none is near to taking the permission away")


def _look_at_sweeps(config: Config, store: Store, now: Millis) -> Iterator[Finding]:
    """How the newest sweep ended, and what waits for the next import."""
    last = store.troubles.find_last_sweep()
    if last is not None and last.exit_code:
        ago = timing.say(max(now - last.started_at, 0) // units.SECOND * units.SECOND)
        text = f"the newest one, {ago} ago, ended with exit code {last.exit_code}"
        remedy = "See what it said: pushctl runs list"
        yield Finding("sweeps", Level.NOTE, "pushctl sweep", text, remedy)
    unread = store.inbox_cursors.count_unread(config.inbox)
    aside = sum(1 for _ in (config.inbox / "quarantine").glob("*"))
    room = inbox.count_free_bytes(config.inbox) if aside else None
    if aside:
        text = f"{counted(aside, 'file')} of refused lines; room for {room or 0:,} bytes more"
        remedy = "Each line has its reason in front. Remove the files once you have seen them."
        yield Finding("inbox", Level.NOTE, "quarantine", text, remedy)
    if unread > 1:
        text = f"{counted(unread, 'file')} that no import has read"
        remedy = "Sweeps read them; at once: pushctl import"
        yield Finding("inbox", Level.NOTE, str(config.inbox), text, remedy)
