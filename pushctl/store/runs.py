"""Runs: which command worked when, and how it ended; the first look after a bad night."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pushctl.model import Json, Millis

if TYPE_CHECKING:
    from pushctl.store import Store


class Runs:
    def __init__(self, store: "Store") -> None:
        self._store = store

    def start(self, command: str, now: Millis) -> int:
        """Note that *command* began; return the run's number."""
        sql = "INSERT INTO runs (command, started_at) VALUES (:command, :now)"
        with self._store.write() as connection:
            run = connection.execute(sql, {"command": command, "now": now}).lastrowid
        assert run is not None
        return run

    def finish(
        self, run: int, now: Millis, exit_code: int, summary: Mapping[str, Json]
    ) -> None:
        sql = """
            UPDATE runs SET finished_at = :now, exit_code = :exit_code, summary = :summary
             WHERE id = :run
        """
        values = {
            "run": run,
            "now": now,
            "exit_code": exit_code,
            "summary": json.dumps(dict(summary), ensure_ascii=False),
        }
        with self._store.write() as connection:
            connection.execute(sql, values)

    def latest(self, limit: int = 20) -> Iterator[Mapping[str, Json]]:
        """Yield the last runs, newest first; *finished_at* is None for one that died."""
        sql = """
            SELECT id, command, started_at, finished_at, exit_code, summary FROM runs
             ORDER BY id DESC LIMIT :limit
        """
        names = ("id", "command", "started_at", "finished_at", "exit_code", "summary")
        for row in self._store.connection.execute(sql, {"limit": limit}):
            yield dict(zip(names, row, strict=True)) | {"summary": json.loads(row[5])}
