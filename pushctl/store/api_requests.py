"""
Requests of the server API, each applied once, and counts of calls that left none.

A request's ``result`` is what the receiver answers from; no row names a subscriber.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import orjson

from pushctl.model import Json, Millis
from pushctl.store.noun import Noun


class ApiRequest(NamedTuple):
    id: str
    key: str  # the id of its API key
    site_id: int
    route: str
    at: Millis
    digest: bytes  # of its body: a second one with this id and another body is refused
    state: str
    items: int
    refused: int  # items that were not applied
    result: Mapping[str, Json]


class ApiCall(NamedTuple):
    """Calls of one minute that left no request."""

    at: Millis
    key: str
    route: str
    what: str  # "read", or why they were refused
    calls: int


class ApiRequests(Noun):
    def find_digest(self, request: str) -> bytes | None:
        """Return the digest of a known request's body, None for a new one."""
        sql = "SELECT digest FROM api_requests WHERE id = :id"
        found: bytes | None = self._read_value(sql, id=request)
        return found

    def add(self, made: ApiRequest) -> None:
        sql = """
            INSERT INTO api_requests (id, key, site_id, route, at, digest, state, items,
                                      refused, result)
            VALUES (:id, :key, :site_id, :route, :at, :digest, :state, :items,
                    :refused, :result)
        """
        result = orjson.dumps(made.result).decode()
        self._write(sql, **made._replace(result=result)._asdict())  # type: ignore[arg-type]

    def set_result(
        self, request: str, state: str, result: Mapping[str, Json], *, refused: bool
    ) -> None:
        """Note what has become of a request since it was taken; the caller publishes it."""
        sql = """
            UPDATE api_requests SET state = :state, result = :result, refused = :refused
             WHERE id = :id
        """
        text = orjson.dumps(result).decode()
        self._write(sql, id=request, state=state, result=text, refused=int(refused))

    def add_calls(self, calls: Iterable[ApiCall]) -> None:
        sql = """
            INSERT INTO api_calls (at, key, route, what, calls) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT DO UPDATE SET calls = calls + excluded.calls
        """
        self._write_each(sql, calls)

    def list_results(self, since: Millis) -> Iterator[tuple[str, Mapping[str, Json]]]:
        """Yield id and result of the requests that came since."""
        sql = "SELECT id, result FROM api_requests WHERE at >= :since"
        for request, result in self._read(sql, since=since).fetchall():
            yield request, orjson.loads(result)

    def list_newest(
        self, *, key: str | None = None, since: Millis = 0, last: int | None = None,
        refused: bool = False,
    ) -> list[dict[str, Json]]:  # fmt: skip
        """Return requests as dicts, newest first; *refused*: those with a refused item."""
        wanted = "r.refused > 0 AND" if refused else ""
        sql = f"""
            SELECT r.at, r.id, r.key, t.name AS site, r.route, r.state, r.items, r.refused,
                   r.result
              FROM api_requests AS r JOIN sites AS t ON t.id = r.site_id
             WHERE {wanted} r.at >= :since AND (:key IS NULL OR r.key = :key)
             ORDER BY r.at DESC, r.id DESC LIMIT :last
        """  # noqa: S608
        most = -1 if last is None else last
        rows = self._read_dicts(sql, key=key, since=since, last=most)
        return [{**row, "result": orjson.loads(row["result"])} for row in rows]

    def list_calls(
        self, *, key: str | None = None, since: Millis = 0, refused: bool = False
    ) -> list[ApiCall]:
        """Return counts of calls that left no request, newest first."""
        wanted = "what <> 'read' AND" if refused else ""
        sql = f"""
            SELECT at, key, route, what, calls FROM api_calls
             WHERE {wanted} at >= :since AND (:key IS NULL OR key = :key)
             ORDER BY at DESC, key, route, what
        """  # noqa: S608
        return [ApiCall._make(row) for row in self._read(sql, key=key, since=since)]

    def list_last_uses(self) -> dict[str, Millis]:
        """Return when each key was last let in, by its id."""
        # One look into the index for each key.
        sql = """
            WITH RECURSIVE keys(key) AS (
                SELECT min(key) FROM api_requests
                 UNION ALL
                SELECT (SELECT min(key) FROM api_requests WHERE key > keys.key)
                  FROM keys WHERE keys.key IS NOT NULL)
            SELECT key, (SELECT max(at) FROM api_requests AS r WHERE r.key = keys.key)
              FROM keys WHERE key IS NOT NULL
        """
        reads = "SELECT key, max(at) FROM api_calls WHERE what = 'read' GROUP BY key"
        uses: dict[str, Millis] = dict(self._read(sql))
        for key, at in self._read(reads):
            uses[key] = max(at, uses.get(key, 0))
        return uses
