"""
Answers of whole tables, kept with a stamp of all that they were counted from.

An answer counts only while its stamp is that of now: it names the builds of the campaigns'
columns and of people's pages, the release of the time zones, and whatever else a
table reads. So nothing stale is ever shown, and deleting all of them changes no figure. Their
columns are needed no more then, nor numpy: what loads neither is done before both would be.
"""

import zoneinfo
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import orjson

import pushctl
from pushctl.errors import ConfigError, DatabaseBusyError
from pushctl.jobs.figures.columns import campaign_counts
from pushctl.jobs.figures.columns.campaign_counts import Progress, no_progress
from pushctl.store import Store
from pushctl.store.kept_pages import BITS, find_end

_VERSION = 2  # another where a table's answer means something else
_DIGEST_BYTES = 16
# Sources of pages besides people: who came and left when, and how each one stands now.
OTHERS = ("changes", "subscriptions")

# What orjson writes and reads: no two of its numbers become one.
Plain: TypeAlias = str | int | float | bool | list["Plain"] | dict[str, "Plain"] | None


@dataclass(frozen=True, slots=True)
class Sources:
    """
    What an answer is counted from.

    All messages of *campaigns* (their numbers); the columns *people* of
    ``store.kept_pages.PEOPLE``, and who is one person with whom; *rest*: what is known
    already, such as settings and rows, as orjson writes it; all pages of *others*, of
    OTHERS.
    """

    campaigns: Sequence[int]
    people: Sequence[str]
    rest: object = None
    others: Sequence[str] = ()


def load(
    store: Store,
    name: str,
    sources: Sources,
    count: Callable[[], Plain],
    progress: Progress = no_progress,
) -> Plain:
    """
    Return the answer *name*: what is kept, else what *count* says, which is kept then.

    *count* reads nothing but *sources*. Where those change meanwhile, or nothing can be
    written, nothing is kept.
    """
    stamp = find_stamp(store, sources)
    if stamp is None:
        _prepare(store, sources, progress)
        stamp = find_stamp(store, sources)
    if stamp is not None:
        known = store.kept_pages.read_answer(name, stamp)
        if known is not None:
            found: Plain = orjson.loads(known)
            return found
    made = count()
    if stamp is not None and find_stamp(store, sources) == stamp:
        _keep(store, name, stamp, made)
    return made


def _keep(store: Store, name: str, stamp: str, made: Plain) -> None:
    if not store.kept_pages.is_free():
        return
    # Somebody writes, or nobody can: it is counted each time.
    with suppress(DatabaseBusyError, ConfigError), store.kept_pages.keep():
        store.kept_pages.write_answer(name, stamp, orjson.dumps(made))


def _prepare(store: Store, sources: Sources, progress: Progress) -> None:
    """Build and keep the columns and pages of *sources*, without which there is no stamp."""
    campaign_counts.load_counts(store, sources.campaigns, progress)
    from pushctl.jobs.figures.columns import message_cache, pages
    from pushctl.jobs.figures.columns.people import load_people

    known = {campaign for campaign, _ in store.kept_columns.list_builds(sources.campaigns)}
    # After an erasure they lack whose their messages are.
    lacking = [one for one in sources.campaigns if one not in known]
    for _ in message_cache.load(store, lacking, ["subscription"]):
        pass
    load_people(store, ("person", *sources.people))
    if "changes" in sources.others:
        pages.load_changes(store)
    if "subscriptions" in sources.others:
        pages.load_subscriptions(store)


def find_stamp(store: Store, sources: Sources) -> str | None:
    """
    Return a digest of everything that *sources* are now; None where some is not kept.

    Builds are drawn by lots, so the same stamp later says that nothing has changed in between
    either.
    """
    with store.snapshot():
        builds = store.kept_columns.list_builds(sources.campaigns)
        if len(builds) < len(sources.campaigns):
            return None
        pages = list(_list_pages(store, "people", sources.people))
        for source in sources.others:
            pages += _list_pages(store, source, [""])
        pages.append(store.kept_pages.find_persons_build())
    if None in pages:
        return None
    known = [pushctl.__version__, _find_release(), builds, pages, sources.rest]
    digest = blake2b(orjson.dumps(known), digest_size=_DIGEST_BYTES).hexdigest()
    return f"{_VERSION}-{digest}"


def _list_pages(store: Store, source: str, names: Sequence[str]) -> Iterator[object]:
    """Yield the build of each page of *source*; None: it is not kept."""
    last = store.kept_pages.find_last(source)
    yield last
    kept = store.kept_pages.list_builds(source, names)
    for page in store.kept_pages.list_pages(source, BITS[source]):
        end = find_end(page, BITS[source], last)
        yield from (kept.get((page, name, end)) for name in names)


@cache
def _find_release() -> list[str]:
    """
    Return which releases of time zones are here: another one may move a message's hour.

    The system's, and the package's, which has whatever the system lacks.
    """
    package = find_spec("tzdata")
    parts = (package and package.submodule_search_locations) or ()
    lines = []
    for folder in (*zoneinfo.TZPATH, *(f"{part}/zoneinfo" for part in parts)):
        with suppress(OSError), (Path(folder) / "tzdata.zi").open(encoding="utf-8") as file:
            lines.append(file.readline())
    return lines


def list_kept(store: Store) -> dict[str, tuple[str, Plain]]:
    """Return the stamp of each answer that is kept in today's form, and what it says."""
    return {
        name: (stamp, orjson.loads(data))
        for name, stamp, data in store.kept_pages.list_answers()
        if stamp.startswith(f"{_VERSION}-")
    }
