"""Runs: which command worked when, and how it ended; the first look after a bad night."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pushctl.model import Json, Millis
from pushctl.rules.limits import MAX_RUN_FAULTS, MAX_RUN_ROWS, MAX_SWEEP_ROWS
from pushctl.store import clocks
from pushctl.store.noun import Noun

# What people look at, and an assistant's calls, are listed by commands of their own.
_WORK = "command <> 'people' AND command NOT LIKE 'mcp %'"
_FAULT_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as it is stored; *finished_at* is None while it works, and when it died."""

    id: int
    command: str
    started_at: Millis
    finished_at: Millis | None
    exit_code: int | None
    counts: Mapping[str, int]
    faults: Sequence[str]
    stages: Mapping[str, float]  # seconds
    process: str | None


@dataclass(frozen=True, slots=True)
class RunTotal:
    """Runs since the first one: *kind* is started, ended (by exit code) or count."""

    command: str
    kind: str
    name: str
    total: int


class Runs(Noun):
    def start(self, command: str, now: Millis) -> int:
        """Note that *command* began in this process; return the run's number."""
        sql = """
            INSERT INTO runs (command, started_at, process) VALUES (:command, :now, :process)
            RETURNING id
        """
        return self._insert(sql, command=command, now=now, process=name_process())

    def finish(
        self,
        run: int,
        now: Millis,
        exit_code: int,
        summary: Mapping[str, Json],
        *,
        faults: Sequence[str] = (),
        stages: Mapping[str, float] | None = None,
    ) -> None:
        """
        Note how a run ended: with which counts, what it stumbled over, seconds by stage.

        *faults* must hold no secret: log.hide_secrets takes addresses and keys out.
        """
        sql = """
            UPDATE runs SET finished_at = :now, exit_code = :exit_code, summary = :summary,
                   faults = :faults, stages = :stages
             WHERE id = :run
        """
        kept = [fault[:_FAULT_CHARACTERS] for fault in faults[:MAX_RUN_FAULTS]]
        if more := len(faults) - len(kept):
            kept.append(f"and {more} more")
        self._write(
            sql,
            run=run,
            now=now,
            exit_code=exit_code,
            summary=json.dumps(dict(summary), ensure_ascii=False),
            faults=json.dumps(kept, ensure_ascii=False),
            stages=json.dumps(dict(stages or {})),
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

    def list_latest(
        self,
        limit: int = 20,
        command: str | None = None,
        *,
        since: Millis = 0,
        failed: bool = False,
    ) -> list[StoredRun]:
        """Return the last runs, newest first; *failed*: without those that ended with 0."""
        sql = f"""
            SELECT id, command, started_at, finished_at, exit_code, summary, faults, stages,
                   process
              FROM runs
             WHERE {_WORK} AND (:command IS NULL OR command = :command)
               AND started_at >= :since AND (NOT :failed OR exit_code IS NOT 0)
             ORDER BY id DESC LIMIT :limit
        """  # noqa: S608
        rows = self._read(sql, limit=limit, command=command, since=since, failed=failed)
        return [_build(row) for row in rows]

    def find(self, run: int) -> StoredRun | None:
        """Return a run by its number."""
        sql = f"""
            SELECT id, command, started_at, finished_at, exit_code, summary, faults, stages,
                   process
              FROM runs WHERE id = :run AND {_WORK}
        """  # noqa: S608
        row = self._read(sql, run=run).fetchone()
        return None if row is None else _build(row)

    def list_commands(self) -> list[str]:
        """Return the commands that have runs."""
        sql = "SELECT DISTINCT command FROM run_totals ORDER BY command"
        return [command for (command,) in self._read(sql)]

    def load_totals(self) -> list[RunTotal]:
        """Return the counts of all runs since the first one, pruned ones too."""
        sql = "SELECT command, kind, name, total FROM run_totals ORDER BY command, kind, name"
        return [RunTotal(*row) for row in self._read(sql)]

    def load_last_good(self) -> dict[str, Millis]:
        """Return by command when the last run that did its work began (exit code 0 or 5)."""
        sql = """
            SELECT command, max(started_at) FROM runs
             WHERE exit_code IN (0, 5) AND command IN (SELECT command FROM run_totals)
             GROUP BY command
        """
        return dict(self._read(sql).fetchall())

    def drop_surplus(self) -> int:
        """Delete all but the newest of sweeps and of the others, however old."""
        sql = f"""
            DELETE FROM runs
             WHERE command = 'sweep' AND id <= (
                    SELECT id FROM runs WHERE command = 'sweep'
                     ORDER BY id DESC LIMIT 1 OFFSET :sweeps)
                OR command <> 'sweep' AND {_WORK} AND id <= (
                    SELECT id FROM runs WHERE command <> 'sweep' AND {_WORK}
                     ORDER BY id DESC LIMIT 1 OFFSET :others)
        """  # noqa: S608
        return self._write(sql, sweeps=MAX_SWEEP_ROWS, others=MAX_RUN_ROWS)


def _build(row: tuple[Json, ...]) -> StoredRun:
    number, command, started, finished, code, summary, faults, stages, process = row
    found = json.loads(summary)
    counts = {name: value for name, value in found.items() if type(value) is int and value}
    lists = json.loads(faults), json.loads(stages)
    return StoredRun(number, command, started, finished, code, counts, *lists, process)


def name_process() -> str:
    """Return what names this process and no later one: its start has no other of its number."""
    return _name(os.getpid()) or ""


def may_run(process: str | None) -> bool:
    """
    Return whether the process of a run may still be at work.

    Also where that can't be known: in another container, or of an earlier version.
    """
    if not process:
        return True
    boot, space, number, _ = process.split(" ")
    if boot != clocks.read_boot().id:
        return False  # the machine was started anew
    if space != _read_space():
        return True
    found = _name(int(number))
    return found == process or (found is None and _is_hidden(int(number)))


def _is_hidden(number: int) -> bool:
    """Return whether there is a process that /proc does not show, as in a service's unit."""
    try:
        os.kill(number, 0)
    except PermissionError:
        return True  # another account's
    except ProcessLookupError:
        return False
    return False  # ours, which is always shown: it ended without being waited for


def _name(number: int) -> str | None:
    """Return start of the machine, container, number and start of a process; None: no such."""
    with suppress(OSError, IndexError):
        started = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        if started[0] not in "ZX":
            return f"{clocks.read_boot().id} {_read_space()} {number} {started[19]}"
    return None


def _read_space() -> str:
    with suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return "-"
