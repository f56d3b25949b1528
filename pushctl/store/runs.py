"""Runs: which command worked when, and how it ended; the first look after a bad night."""

import json
from collections.abc import Iterator, Mapping

from pushctl.model import Json, Millis
from pushctl.store.noun import Noun


class Runs(Noun):
    def start(self, command: str, now: Millis) -> int:
        """Note that *command* began; return the run's number."""
        sql = "INSERT INTO runs (command, started_at) VALUES (:command, :now) RETURNING id"
        return self._insert(sql, command=command, now=now)

    def finish(
        self, run: int, now: Millis, exit_code: int, summary: Mapping[str, Json]
    ) -> None:
        sql = """
            UPDATE runs SET finished_at = :now, exit_code = :exit_code, summary = :summary
             WHERE id = :run
        """
        self._write(
            sql,
            run=run,
            now=now,
            exit_code=exit_code,
            summary=json.dumps(dict(summary), ensure_ascii=False),
        )

    def note_look(self, command: str, by: str, now: Millis) -> int:
        """Note that somebody reads data that names people; return the run's number."""
        about = json.dumps({"command": command, "by": by}, ensure_ascii=False)
        sql = """
            INSERT INTO runs (command, started_at, summary) VALUES ('people', :now, :about)
            RETURNING id
        """
        return self._insert(sql, now=now, about=about)

    def finish_look(self, look: int, now: Millis, rows: int) -> None:
        sql = """
            UPDATE runs SET finished_at = :now, exit_code = 0,
                   summary = json_set(summary, '$.rows', :rows)
             WHERE id = :look
        """
        self._write(sql, look=look, now=now, rows=rows)

    def list_latest(self, limit: int = 20) -> Iterator[Mapping[str, Json]]:
        """Yield the last sweeps, newest first; *finished_at* is None for one that died."""
        sql = """
            SELECT id, command, started_at, finished_at, exit_code, summary FROM runs
             WHERE command = 'sweep' ORDER BY id DESC LIMIT :limit
        """
        for row in self._read_dicts(sql, limit=limit):
            yield row | {"summary": json.loads(row["summary"])}
