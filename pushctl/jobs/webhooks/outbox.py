"""
Delivers the calls of webhooks: at least once each, under one id, never in the way of messages.

A call is claimed first: its try and the time of the next are committed, then it is made. A kill
repeats it at that time. It runs under a lock of its own, after the sweep has given back its
own: a receiver that takes its time costs no message a second. A webhook that fails rests, and
one call at a time finds out whether it is back.
"""

import os
import random
import threading
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import orjson

from pushctl import lock, log, web
from pushctl.config import Config
from pushctl.errors import BusyError, NotFoundError
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.jobs.webhooks import events, request, secrets
from pushctl.jobs.webhooks.events import write_time
from pushctl.jobs.webhooks.request import Result
from pushctl.jobs.webhooks.secrets import Secret
from pushctl.model import Millis
from pushctl.rules.units import HOUR, SECOND
from pushctl.rules.web import standard_webhooks as standard
from pushctl.rules.web.webhooks import Webhook
from pushctl.store import Store, clocks
from pushctl.store.webhooks import Call

# Calls to one webhook at a time, and to all of them.
_SIDE_BY_SIDE, _MOST = 8, 32

_FAILURES = 3  # in a row, after which a webhook rests
_SHORTEST_REST: Millis = 30 * SECOND
_LONGEST_REST: Millis = HOUR


@dataclass
class Report:
    delivered: int = 0
    failed: int = 0
    dead: int = 0


def name_lock(store: Store) -> Path:
    return store.path.with_name(f"{store.path.name}.webhooks")


def deliver(store: Store, config: Config, now: Millis, seconds: float) -> Report:
    """
    Find what is new, and make the calls that are due at *now*, for *seconds* at most and what
    is under way then.

    Nothing where another process does so already. Raises ConfigError for a restored database.
    """
    known = store.webhooks.load_states()
    hooks = {one.name: one for one in config.webhooks if one.name in known}
    if not hooks:
        return Report()
    restore_guard.check(store, config)
    end = clocks.read_seconds() + seconds
    try:
        with lock.hold(name_lock(store), "delivery to webhooks"):
            events.find(store, config, now, lambda: clocks.read_seconds() > end)
            if not store.webhooks.count_due(now):
                return Report()
            return _Delivery(store, config, hooks, now, end - clocks.read_seconds()).run()
    except BusyError:
        return Report()


class _Delivery:
    def __init__(
        self, store: Store, config: Config, hooks: Mapping[str, Webhook], now: Millis,
        seconds: float,
    ) -> None:  # fmt: skip
        self._store = store
        self._began, self._now = clocks.read_seconds(), now
        self._end = self._began + seconds
        self._hooks = hooks
        self._secrets: dict[str, Secret] = {
            name: secrets.ensure(config, name) for name in hooks
        }
        self._policies = {name: request.make_policy(config, it) for name, it in hooks.items()}
        self._busy: dict[str, set[Future[Result]]] = {name: set() for name in hooks}
        self._calls: dict[Future[Result], Call] = {}
        self._clients = threading.local()
        self._report = Report()

    def run(self) -> Report:
        most = min(_MOST, _SIDE_BY_SIDE * len(self._hooks))
        with ThreadPoolExecutor(most, thread_name_prefix="webhook") as pool:
            while True:
                for name in self._hooks:
                    self._begin(name, pool)
                if not self._calls:
                    break
                done, _ = wait(self._calls, return_when=FIRST_COMPLETED)
                self._book(done)
        for name in self._hooks:
            before = self._read_now() - standard.GIVE_UP_AFTER
            self._report.dead += self._store.webhooks.bury(name, before, self._read_now())
        return self._report

    def _read_now(self) -> Millis:
        return self._now + int((clocks.read_seconds() - self._began) * 1000)

    def _begin(self, name: str, pool: ThreadPoolExecutor) -> None:
        """Claim calls of a webhook and start them, as many as it may have under way."""
        if clocks.read_seconds() > self._end:
            return
        now, state = self._read_now(), self._store.webhooks.load_states().get(name)
        if state is None or (state.open_until or 0) > now:
            return
        # One that failed is asked by one call whether it works again.
        room = (1 if state.failures else _SIDE_BY_SIDE) - len(self._busy[name])
        calls = self._store.webhooks.list_due(name, now, room) if room > 0 else []
        if not calls:
            return
        tries = [
            (one.id, now + standard.compute_delay(one.attempts + 1, random.random()))
            for one in calls
        ]
        self._store.webhooks.claim(tries, now)
        for one in calls:
            future = pool.submit(self._post, one._replace(attempts=one.attempts + 1))
            self._busy[name].add(future)
            self._calls[future] = one._replace(attempts=one.attempts + 1)

    def _post(self, call: Call) -> Result:
        """Make one call; in a thread, whose connection is kept for the next."""
        clients = self._clients.__dict__
        client = clients.setdefault(call.webhook, web.Client())
        now, hook = request.read_wall_clock(), self._hooks[call.webhook]
        valid = self._secrets[call.webhook].list_valid(now)
        policy = self._policies[call.webhook]
        return request.post(client, policy, hook, valid, call.message, now, call.payload)

    def _book(self, done: set[Future[Result]]) -> None:
        with self._store.write():
            for future in done:
                call = self._calls.pop(future)
                self._busy[call.webhook].discard(future)
                result, now = _get_result(future), self._read_now()
                if result.taken:
                    self._store.webhooks.accept(call, result.status or 0, now)
                    self._report.delivered += 1
                else:
                    self._fail(call, result, now)

    def _fail(self, call: Call, result: Result, now: Millis) -> None:
        delay = max(standard.compute_delay(call.attempts, random.random()), result.wait)
        over = now + delay - call.created_at > standard.GIVE_UP_AFTER
        self._report.failed += 1
        self._report.dead += over
        store, next_at = self._store.webhooks, None if over else now + delay
        store.fail(call, result.why, now, http_status=result.status, next_at=next_at)
        state = store.load_states()[call.webhook]
        if state.failures >= _FAILURES:
            # Half as long again as it has failed already, a fifth more or less.
            lasted = (now - (state.failing_since or now)) // 2
            rest = min(max(lasted, _SHORTEST_REST), _LONGEST_REST) * random.uniform(0.8, 1.2)
            store.rest(call.webhook, now + max(int(rest), result.wait))
        log.note(
            "webhooks", "call failed", webhook=call.webhook, message=call.message,
            tries=call.attempts, why=result.why, dead=over,
        )  # fmt: skip


def _get_result(future: Future[Result]) -> Result:
    """Return what a call came to; a fault of ours with one of them is no end of the others."""
    try:
        return future.result()
    except Exception as error:
        log.note_error("webhooks", "failed", error)
        return Result(None, f"a fault of pushctl: {type(error).__name__}")


def get_webhook(config: Config, name: str) -> Webhook:
    """Return the webhook called *name*; NotFoundError lists all names."""
    for one in config.webhooks:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in config.webhooks) or "none yet; see docs/webhooks.md"
    raise NotFoundError(f"no webhook is called {name!r}. In pushctl.toml: {known}.")


def try_out(store: Store, config: Config, name: str, now: Millis) -> Result:
    """Make one call of the type "test" to a webhook; it is not repeated."""
    hook = get_webhook(config, name)
    restore_guard.check(store, config)
    valid = secrets.ensure(config, name).list_valid(now)
    payload = orjson.dumps(request.make_test_payload(hook, write_time(now))).decode()
    message = standard.make_id(os.urandom(16), "test", name, now)
    policy = request.make_policy(config, hook)
    return request.post(web.Client(), policy, hook, valid, message, now, payload)
