"""
Alerts: looks at what [[alerts]] watch, and tells once when one begins and once when it ends.

After sending, without the sweep's lock, at most every five minutes. What is told is committed
before: a kill in between tells nothing, and nothing is told twice.
"""

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

import orjson

from pushctl import log, web
from pushctl.config import Config
from pushctl.errors import NotFoundError, PushctlError
from pushctl.jobs.webhooks import outbox, ping, programs, request, secrets
from pushctl.jobs.webhooks.events import write_time
from pushctl.model import Json, Millis
from pushctl.rules import timing, units
from pushctl.rules.figures import alerts as rules
from pushctl.rules.figures.alerts import State, Verdict
from pushctl.rules.limits import CALL_SECONDS
from pushctl.rules.web import standard_webhooks
from pushctl.rules.web.alerts import Alert, Kind
from pushctl.store import Store, clocks

_EVERY: Millis = 5 * units.MINUTE
_APART: Millis = units.HOUR
_LEARNING: Millis = 7 * units.DAY
_HISTORY: Millis = 28 * units.DAY
# A campaign's clicks come within hours; before that it would look bad.
_RIPE: Millis = 3 * units.HOUR
_MOST_CAMPAIGNS = 10
_SECONDS = CALL_SECONDS  # for a program, which is killed then
_FACTORS = {Kind.CHURN: 2.0, Kind.CTR: 0.5}


class Told(NamedTuple):
    """What became of sending alerts; *untold*: for certain nobody was."""

    why: str = ""
    untold: bool = False


def sync(store: Store, config: Config, now: Millis) -> None:
    """Store which alerts pushctl.toml has."""
    store.alerts.sync([one.name for one in config.alerts], now)


def run(store: Store, config: Config, now: Millis, seconds: float) -> list[str]:
    """Look, and tell for at most *seconds*; return what failed. Nothing here is repeated."""
    if not config.alerts or not store.alerts.take_look(now, now + _EVERY):
        return []
    end, failed = clocks.read_seconds() + seconds, []
    for one in config.alerts:
        if clocks.read_seconds() > end:
            break
        found = look(store, config, one, now)
        store.alerts.save(one.name, found.state, found.text, now)
        known = store.alerts.load_states()[one.name]
        begins = found.state is State.ON
        if begins == known.told:
            continue
        if not store.alerts.claim(one.name, told=begins, now=now, before=now - _APART):
            continue
        told = tell(store, config, one, "began" if begins else "ended", found.text, now)
        log.note("alerts", "told", alert=one.name, began=begins, why=told.why)
        if told.why:
            store.alerts.note_failure(one.name, told.why, told=begins, again=told.untold)
            failed.append(f"alert {one.name}: {told.why}")
    return failed


def look(store: Store, config: Config, one: Alert, now: Millis) -> Verdict:
    """Return what *one* sees at *now*."""
    within = timing.duration(one.stretch)
    site = store.sites.load_ids().get(one.site, -1) if one.site else None
    return _LOOKS[Kind(one.kind)](store, one, now, within, site)


def _look_at_churn(
    store: Store, one: Alert, now: Millis, within: Millis, site: int | None
) -> Verdict:
    first = store.alerts.find_beginning()
    if first is None or now - first < _LEARNING:
        return rules.LEARNING
    since = now - within
    begin = max(first, since - _HISTORY)
    lost = store.losses.count_unsubscribed(since, now, site)
    usual = store.losses.count_unsubscribed(begin, since, site)
    days, usual_days = within / units.DAY, (since - begin) / units.DAY
    factor = one.factor or _FACTORS[Kind.CHURN]
    return rules.judge_churn(lost, days, usual, usual_days, factor)


def _look_at_ctr(
    store: Store, one: Alert, now: Millis, within: Millis, site: int | None
) -> Verdict:
    first = store.alerts.find_beginning()
    if first is None or now - first < _LEARNING:
        return rules.LEARNING
    since, ripe = now - within - _RIPE, now - _RIPE
    latest = [
        rules.Sent(*row)
        for row in store.alerts.list_campaigns(since, ripe, _MOST_CAMPAIGNS, site=site)
    ]
    if not latest:
        return Verdict(State.QUIET, "no campaign in that time")
    earlier: list[rules.Sent] = []
    for topic in {it.topic for it in latest}:
        rows = store.alerts.list_campaigns(0, since, _MOST_CAMPAIGNS, [topic], site=site)
        earlier += [rules.Sent(*row) for row in rows]
    return rules.judge_ctr(latest, earlier, one.factor or _FACTORS[Kind.CTR])


def _look_at_purchases(
    store: Store, one: Alert, now: Millis, within: Millis, site: int | None
) -> Verdict:
    first = store.alerts.find_first_purchase(site)
    if first is None or now - first < _LEARNING:
        return rules.LEARNING
    since = now - within
    days = min(since - first, _HISTORY) // units.DAY
    bought = store.alerts.count_purchases(since, now + 1, now, within, site)
    usual = store.alerts.count_purchases(
        now - days * units.DAY - within, since, now, within, site
    )
    return rules.judge_purchases(bought, usual / max(days, 1), within / units.HOUR)


def _look_at_queue(
    store: Store, one: Alert, now: Millis, within: Millis, site: int | None
) -> Verdict:
    waiting = store.alerts.count_waiting(now - within, site)
    return rules.judge_queue(waiting, one.above, one.stretch)


_LOOKS: dict[Kind, Callable[[Store, Alert, Millis, Millis, int | None], Verdict]] = {
    Kind.CHURN: _look_at_churn,
    Kind.CTR: _look_at_ctr,
    Kind.NO_PURCHASE: _look_at_purchases,
    Kind.QUEUE: _look_at_queue,
}


def tell(store: Store, config: Config, one: Alert, state: str, text: str, now: Millis) -> Told:
    """
    Tell by the way of *one* that it *state* (began, ended, test); never raises for that.

    At most ten seconds. A campaign's name in *text* comes as JSON, or as one argument.
    """
    data: Json = {"alert": one.name, "kind": one.kind, "state": state, "text": text}
    try:
        if one.exec:
            arguments = [*one.exec, one.name, state, text.replace("\0", "")]
            ran = programs.run(config.folder, arguments, orjson.dumps(data), _SECONDS)
            if ran.fault:
                return Told(ran.fault, untold=True)
            if ran.code is None:
                return Told(f"{one.exec[0]} was ended after 10 s")
            return Told(
                f"{one.exec[0]} ended with {ran.code}: {ran.output}" if ran.code else ""
            )
        if one.webhook:
            return _tell_webhook(config, one.webhook, data, now)
        return Told(ping.send(one.ping or "", good=state != "began") or "")
    except (PushctlError, OSError) as error:
        return Told(str(error))


def _tell_webhook(config: Config, name: str, data: Json, now: Millis) -> Told:
    hook = outbox.get_webhook(config, name)
    payload = orjson.dumps({"type": "alert", "timestamp": write_time(now), "data": data})
    message = standard_webhooks.make_id(os.urandom(16), "alert", name, now)
    wall = request.read_wall_clock()
    valid = secrets.ensure(config, name).list_valid(wall)
    policy = request.make_policy(config, hook)
    found = request.post(web.Client(), policy, hook, valid, message, wall, payload.decode())
    # An answer other than 2xx is a no; without one, what was begun may have arrived.
    return Told(
        found.why, untold=bool(found.why) and (found.status is not None or not found.begun)
    )


def get(config: Config, name: str) -> Alert:
    """Return the alert called *name*; NotFoundError lists all names."""
    for one in config.alerts:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in config.alerts) or "none yet; see docs/alerts.md"
    raise NotFoundError(f"no alert is called {name!r}. In pushctl.toml: {known}.")


def list_alerts(store: Store, config: Config, now: Millis) -> Iterator[dict[str, Json]]:
    """Yield a row for each alert of the file: what it sees now, what it told last."""
    known = store.alerts.load_states()
    for one in config.alerts:
        found, before = look(store, config, one, now), known.get(one.name)
        told = "began" if before and before.told else "ended"
        yield {
            "name": one.name,
            "kind": one.kind,
            "site": one.site,
            "way": one.way,
            "state": found.state.value,
            "since": before.since if before and before.state == found.state else None,
            "text": found.text,
            "told": told if before and before.told_at is not None else None,
            "told_at": before.told_at if before else None,
            "failure": before.failure if before else None,
        }
