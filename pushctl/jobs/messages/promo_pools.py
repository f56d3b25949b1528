"""Pools of promo codes: filled from files or made here, shown, and kept an eye on."""

import io
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import time as Time
from datetime import timedelta
from pathlib import Path

from pushctl import durable, records
from pushctl.config import Config
from pushctl.errors import InputError, UsageError
from pushctl.model import Json, Millis
from pushctl.rules import limits, moments, schedule, timing
from pushctl.rules.shops import code_files, promo_codes
from pushctl.rules.shops.code_files import Discount, Shop
from pushctl.rules.wording import counted, moment
from pushctl.store import Store
from pushctl.store.promo_codes import Imported, Pool

LOW = 100  # free codes below which a pool is called low, where nothing else is said
# The usual time to use a code before it lapses.
REMIND = "3d"
_DAY = len("2026-12-31")
_LONGEST_LINE = 100_000  # characters of a file of codes


@dataclass(frozen=True)
class Settings:
    """What is said of a pool; None: it stays as it is."""

    expires: str | None = None  # "2026-12-31", "in 30 days", "never"
    remind: str | None = None  # so long before it lapses: "3d", "never"
    low: int | None = None
    fallback: str | None = None  # a code; "": none any more


def find_static_use(config: Config, name: str) -> list[str]:
    """Return the steps that send *name* as it is, as long as no pool is called so."""
    return [
        f"{trigger.name}/{number}"
        for trigger in config.triggers.values()
        for number, step in enumerate(trigger.steps, 1)
        if step.promo == name
    ]


def import_codes(
    store: Store, config: Config, name: str, file: Path, column: str | None,
    settings: Settings, now: Millis, *, shared: bool = False,
) -> tuple[Pool, Imported]:  # fmt: skip
    """
    Add the codes of a file to a pool, which is made where there is none; all or nothing.

    With *shared* the file has one code, which everybody gets. Raises InputError.
    """
    with records.open_seekable(file) as opened, store.write():
        text = io.TextIOWrapper(records.unpack(opened, str(file)), "utf-8", newline=None)
        try:
            codes = code_files.read(_list_lines(text), column)
            pool = _open_pool(store, name, now)
            done = (
                _share(store, pool, codes) if shared else store.promo_codes.add(pool.id, codes)
            )
        except UnicodeDecodeError:
            raise InputError(f"{file} is no UTF-8 text") from None
        except InputError as error:
            raise InputError(f"{file}: {error}. Nothing was imported.") from None
        return change(store, config, pool.name, settings, now), done


def read_one(file: Path) -> str:
    """Return the one code of a file: codes on the command line are seen by everybody."""
    with records.open_seekable(file) as opened:
        text = io.TextIOWrapper(records.unpack(opened, str(file)), "utf-8", newline=None)
        found = list(code_files.read(_list_lines(text)))
    if len(found) != 1:
        raise InputError(f"{file}: a code for everybody is one, and it has {len(found)}")
    return found[0]


def _list_lines(text: io.TextIOWrapper) -> Iterator[str]:
    """Yield the lines of a file; a compressed one may have a line of a gigabyte."""
    while line := text.readline(_LONGEST_LINE + 1):
        if len(line) > _LONGEST_LINE:
            raise InputError(f"a line has more than {_LONGEST_LINE:,} characters")
        yield line


def _share(store: Store, pool: Pool, codes: Iterator[str]) -> Imported:
    found = list(codes)
    if len(found) != 1:
        raise InputError(f"a code for everybody is one, and it has {len(found)}")
    store.promo_codes.share(pool.id, found[0])
    return Imported(1, 0)


def _open_pool(store: Store, name: str, now: Millis) -> Pool:
    plain = promo_codes.check_pool_name(name)
    return store.promo_codes.find(plain) or store.promo_codes.create(plain, LOW, now)


def generate(
    store: Store, config: Config, name: str, count: int, shop: Shop, file: Path,
    discount: Discount, settings: Settings, now: Millis,
) -> Pool:  # fmt: skip
    """
    Make *count* codes, add them to a pool and write the file that the shop imports.

    The file is written before the codes can be given out; it is readable by its owner alone.
    """
    if not 0 < count <= limits.MAX_NEW_CODES:
        raise InputError(f"from 1 to {limits.MAX_NEW_CODES:,} codes can be made at once")
    if file.exists():
        raise UsageError(f"{file} exists already: choose another --file")
    codes: set[str] = set()
    with store.write():
        pool = _open_pool(store, name, now)
        while len(codes) < count:
            made = {_make_code() for _ in range(count - len(codes))}
            codes |= made - set(store.promo_codes.find_ours(list(made)))
        store.promo_codes.add(pool.id, codes)
        pool = change(store, config, pool.name, settings, now)
        if pool.expires_at is not None and not discount.until:
            day = timing.local(pool.expires_at - 1, config.zone).date()
            discount = Discount(discount.percent, discount.amount, day.isoformat())
        durable.replace(file, code_files.write(shop, pool.name, codes, discount), 0o600)
    return pool


def _make_code() -> str:
    return "".join(secrets.choice(promo_codes.ALPHABET) for _ in range(promo_codes.LENGTH))


def change(store: Store, config: Config, name: str, settings: Settings, now: Millis) -> Pool:
    """Change what is said of a pool; raises InputError, NotFoundError."""
    with store.write():
        pool = store.promo_codes.get(name)
        expires_at = pool.expires_at
        if settings.expires is not None:
            expires_at = _read_end(config, settings.expires, now)
        remind_at = _choose_reminder(pool, expires_at, settings.remind, now)
        low = pool.low if settings.low is None else settings.low
        store.promo_codes.change(pool.id, expires_at=expires_at, remind_at=remind_at, low=low)
        if settings.fallback is not None:
            code = promo_codes.read(settings.fallback) if settings.fallback else None
            store.promo_codes.share(pool.id, code)
        return store.promo_codes.get(name)


def _read_end(config: Config, text: str, now: Millis) -> Millis | None:
    """Return the time at which codes lapse; of a day alone its end."""
    if text.strip().casefold() == "never":
        return None
    day = timing.calendar_day(text.strip()) if len(text.strip()) == _DAY else None
    if day is not None:
        return timing.instant(day + timedelta(days=1), Time(0), config.zone)
    found, zone = moments.parse(text, now, config.zone)
    at = schedule.due(found, zone or config.zone, now)
    if at is None or at <= now:
        raise InputError(f"{text!r} has passed")
    return at


def _choose_reminder(
    pool: Pool, expires_at: Millis | None, remind: str | None, now: Millis
) -> Millis | None:
    """Return when people are reminded: as long before the end as is said, or was before."""
    if expires_at is None or (remind or "").casefold() == "never":
        return None
    if remind is not None:
        return expires_at - timing.duration(remind)
    if pool.expires_at is not None:  # of a later end the same time before it
        return (
            None if pool.remind_at is None else expires_at - (pool.expires_at - pool.remind_at)
        )
    at = expires_at - timing.duration(REMIND)
    return at if at > now else None


def list_pools(store: Store, now: Millis) -> list[dict[str, Json]]:
    """Return each pool with its counts; ``state`` says what is wrong with it."""
    return [describe(store, one, now) for one in store.promo_codes.list_pools()]


def describe(store: Store, pool: Pool, now: Millis) -> dict[str, Json]:
    counts = store.promo_codes.count_states(pool.id)
    shared = store.promo_codes.find_shared(pool.id)
    given = counts["bound"]
    imported = counts["free"] + given + counts["set_aside"]
    return {
        "name": pool.name,
        "codes": imported,
        "free": counts["free"],
        "given": given,
        "set_aside": counts["set_aside"],
        "redeemed": counts["redeemed"],
        "fallback": None if shared is None else promo_codes.mask(shared[1]),
        "expires_at": pool.expires_at,
        "remind_at": pool.remind_at,
        "reminded_at": pool.reminded_at,
        "low": pool.low,
        "state": _say_state(pool, counts, now),
    }


def _say_state(pool: Pool, counts: Mapping[str, int], now: Millis) -> str:
    if pool.has_lapsed(now):
        return "lapsed"
    single = counts["free"] + counts["bound"] + counts["set_aside"]
    if not single:
        return "one for all" if counts["shared"] else "empty"
    if not counts["free"]:
        return "empty"
    return "low" if counts["free"] < pool.low else "good"


def find_shortage(store: Store, pool: Pool, now: Millis) -> str | None:
    """Return what its owner has to know: a pool is low, empty or has lapsed."""
    if pool.has_lapsed(now):
        assert pool.expires_at is not None
        return f"the promo codes of {pool.name} lapsed {moment(pool.expires_at)}"
    free = store.promo_codes.count_free(pool.id, pool.low)
    if free >= pool.low or store.promo_codes.is_static(pool.id):
        return None
    then = "the fallback goes out" if store.promo_codes.find_shared(pool.id) else "it stops"
    left = counted(free, "promo code") if free else "no promo code"
    return f"{left} of {pool.name} left; without any {then}"
