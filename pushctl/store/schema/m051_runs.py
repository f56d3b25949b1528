"""What runs stumbled over and which process did them, and counts of runs for monitoring."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script

# Looks at people and calls of assistants are rows, too, but no work that anybody monitors.
_WORK = "NEW.command <> 'people' AND NEW.command NOT LIKE 'mcp %'"


@migrations()
def m051_runs(db: Database) -> None:
    script(
        db,
        f"""
        -- start of the machine, process and its start: whether it still runs (store/runs.py)
        ALTER TABLE runs ADD COLUMN process TEXT;

        -- JSON: texts, most important first
        ALTER TABLE runs ADD COLUMN faults TEXT NOT NULL DEFAULT '[]';

        -- JSON: seconds by stage
        ALTER TABLE runs ADD COLUMN stages TEXT NOT NULL DEFAULT '{{}}';

        CREATE INDEX runs_command ON runs(command, started_at);

        -- Runs are pruned, but a counter of Prometheus must never fall: SQL's triggers add up
        -- what ended. kind: started, ended (name is the exit code), count (of a summary).
        CREATE TABLE run_totals (
            command TEXT NOT NULL,
            kind    TEXT NOT NULL,
            name    TEXT NOT NULL,
            total   INTEGER NOT NULL,
            PRIMARY KEY (command, kind, name)
        ) STRICT, WITHOUT ROWID;

        CREATE TRIGGER runs_started AFTER INSERT ON runs WHEN {_WORK}
        BEGIN INSERT INTO run_totals VALUES (NEW.command, 'started', '', 1)
              ON CONFLICT DO UPDATE SET total = total + 1; END;

        CREATE TRIGGER runs_ended AFTER UPDATE OF finished_at ON runs
        WHEN OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL AND {_WORK}
        BEGIN INSERT INTO run_totals VALUES (NEW.command, 'ended', NEW.exit_code, 1)
              ON CONFLICT DO UPDATE SET total = total + 1; END;

        CREATE TRIGGER runs_counted AFTER UPDATE OF finished_at ON runs
        WHEN OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL AND {_WORK}
        BEGIN INSERT INTO run_totals
              SELECT NEW.command, 'count', key, value FROM json_each(NEW.summary)
               WHERE type = 'integer' AND value > 0
              ON CONFLICT DO UPDATE SET total = total + excluded.total; END
        """,  # noqa: S608
    )
