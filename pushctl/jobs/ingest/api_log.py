"""The log of the server API: each request, and counts of reads and refused calls."""

from collections.abc import Mapping

from pushctl import apikeys, status
from pushctl.config import Config
from pushctl.model import Json, Millis
from pushctl.rules.units import DAY
from pushctl.store import Store
from pushctl.store.api_requests import ApiCall

UNUSED: Millis = 90 * DAY  # after which `check` names a key

Shown = dict[str, Json]


def load(
    config: Config,
    store: Store,
    *,
    key: str | None = None,
    since: Millis = 0,
    last: int | None = None,
    refused: bool = False,
) -> list[Shown]:
    """
    Return requests and counts of calls, newest first; *refused*: with something refused.

    *key* is the id or the label of an API key.
    """
    keys = apikeys.load(config.keys)
    wanted = None if key is None else apikeys.find(keys, key).id
    labels = {name: one.label for name, one in keys.items()}
    found = store.api_requests.list_newest(key=wanted, since=since, last=last, refused=refused)
    rows = [_show_request(row, labels) for row in found]
    calls = store.api_requests.list_calls(key=wanted, since=since, refused=refused)
    rows += [_show_call(one, labels) for one in calls[:last]]
    rows.sort(key=lambda row: -int(row["at"]))
    return rows[:last]


def _show_request(row: Mapping[str, Json], labels: Mapping[str, str]) -> Shown:
    result = row["result"]
    refused = result.get("refused") or []
    reason = result.get("reason") or (refused[0]["reason"] if refused else None)
    return {
        "at": row["at"],
        "key": row["key"],
        "label": labels.get(row["key"], ""),
        "route": row["route"],
        "state": row["state"],
        "items": row["items"],
        "refused": row["refused"],
        "reason": reason,
        "request": row["id"],
    }


def _show_call(call: ApiCall, labels: Mapping[str, str]) -> Shown:
    is_read = call.what == "read"
    return {
        "at": call.at,
        "key": call.key,
        "label": labels.get(call.key, ""),
        # As a request that was taken is called.
        "route": call.route.removeprefix("/v1/").removeprefix("server/"),
        "state": "read" if is_read else "not taken",
        "items": call.calls,
        "refused": 0 if is_read else call.calls,
        "reason": None if is_read else call.what,
        "request": None,
    }


def list_keys(config: Config, store: Store | None, now: Millis) -> list[Shown]:
    """Return all keys with when each was last let in, the oldest first."""
    uses = store.api_requests.list_last_uses() if store is not None else {}
    return [
        {
            "id": key.id,
            "label": key.label,
            "scopes": sorted(key.scopes),
            "site": key.site,
            "created": key.created,
            "expires": key.expires,
            "state": key.find_end(now) or "valid",
            "used": uses.get(key.id),
        }
        for key in apikeys.load(config.keys).values()
    ]


def list_unused(config: Config, store: Store, now: Millis) -> list[Shown]:
    """Return the valid keys that nobody has used for 90 days."""
    return [
        key
        for key in list_keys(config, store, now)
        if key["state"] == "valid" and max(key["used"] or 0, key["created"]) < now - UNUSED
    ]


def prune(config: Config, store: Store, now: Millis) -> None:
    """Delete what is kept no longer: rows, and the results that the receiver answers from."""
    kept = config.retention.find_lengths(config.sweep.keep_days)["api"]
    store.pruning.prune("api", now - kept)
    status.prune_requests(config.status, now - status.REQUESTS_KEPT)
