"""
Outages: messages that never left this machine, because no connection came about.

Such a message is tried for as long as it is of use. A push service that has ever accepted
one, or whose host pushctl.toml names, exists: its outage ends. A host that only a
subscription names may be made up; nobody else must wait for it.
"""

from collections.abc import Iterable

from pushctl.config import Config
from pushctl.jobs.delivery.push_services.throttle import Throttle
from pushctl.jobs.delivery.types import LaneKey, RenderedRow
from pushctl.model import Answer, Cause, Millis, Outcome
from pushctl.store import Store


class Outages:
    """The outages that one run meets."""

    def __init__(self, store: Store, config: Config, throttle: Throttle) -> None:
        self._throttle = throttle
        self._proved = store.origins.list_proved()
        names = [name for name in config.push.allowed_hosts if not name.startswith(".")]
        self._named = {f"https://{name}" for name in (*names, *config.push.loopback.hosts)}

    def adjust(self, outcome: Outcome, row: RenderedRow) -> Outcome:
        """
        Return *outcome*; of a service that exists, an address that may not be dialled is none.

        A captive portal or a filter answers for every name with an address of its own.
        """
        blocked = outcome.cause is Cause.ADDRESS_NOT_ALLOWED
        if not (blocked and row.lane[0] in self._proved):
            return outcome
        reason = f"no network: {outcome.reason}"
        return outcome._replace(answer=Answer.RETRY, reason=reason, cause=Cause.NO_CONNECTION)

    def measure(self, key: LaneKey, now: Millis) -> Millis | None:
        """Return how long a lane is out of reach; None where its host may be made up."""
        if not self._exists(key[0]) and not self._is_network_down(now):
            return None
        since = self._throttle.load_lane(key, now).unreached_since
        return now - since if since else 0

    def leave_out_unproved(self, keys: Iterable[LaneKey]) -> list[LaneKey]:
        """Return *keys* without those out of reach that may be made up: nobody needs them."""
        lanes = self._throttle.lanes
        return [it for it in keys if not lanes[it].unreached_since or self._exists(it[0])]

    def describe(self) -> str | None:
        """Return the reason of the first service that is out of reach, None without one."""
        for key, lane in self._throttle.lanes.items():
            if lane.unreached_since:
                return f"{key[0].removeprefix('https://')}: {lane.why}"
        return None

    def _exists(self, origin: str) -> bool:
        return origin in self._proved or origin in self._named

    def _is_network_down(self, now: Millis) -> bool:
        """Return whether a service that exists can't be reached, and none has answered."""
        if any(lane.answered for lane in self._throttle.lanes.values()):
            return False
        return any(self._exists(origin) for origin in self._throttle.find_unreached(now))
