"""Experiments: which arm a message fell to, how probable that was, and what was decided."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m027_experiments(db: Database) -> None:
    script(
        db,
        """
        -- The probability with which a random choice fell as it did; NULL: there was none.
        ALTER TABLE deliveries ADD COLUMN variant_probability REAL;

        ALTER TABLE deliveries ADD COLUMN holdout_probability REAL;

        ALTER TABLE deliveries ADD COLUMN hour_probability REAL;

        CREATE TABLE experiments (
            id             INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
            -- a broadcast's name, or that of a step: "basket/1"
            name           TEXT NOT NULL,
            campaign_id    INTEGER UNIQUE REFERENCES campaigns(id),
            trigger        TEXT,
            step           INTEGER,
            -- JSON: [{"variant": "a", "weight": 0.5, "template": "sale", "time": "09:00"}]
            arms           TEXT NOT NULL,
            differ         TEXT NOT NULL CHECK (differ IN ('text', 'template', 'time')),
            rule           TEXT NOT NULL CHECK (rule IN ('fixed', 'anytime', 'bandit')),
            on_tie         TEXT NOT NULL CHECK (on_tie IN ('best', 'first', 'stop')),
            test_share     REAL NOT NULL,
            -- a word of its lots; the name may have been taken meanwhile
            seed           TEXT NOT NULL,
            decide_at      INTEGER,
            -- when the sweep looks at it next; NULL: never
            look_at        INTEGER,
            state          TEXT NOT NULL
                           CHECK (state IN ('testing', 'decided', 'stopped', 'replaced')),
            winner         TEXT,
            -- rules/figures/experiments.Cause, or 'picked', 'stopped'
            cause          TEXT,
            why            TEXT,
            decided_at     INTEGER,
            -- its messages have numbers behind this one
            after_delivery INTEGER NOT NULL,
            created_at     INTEGER NOT NULL,
            CHECK ((campaign_id IS NULL) = (trigger IS NOT NULL))
        ) STRICT;

        CREATE INDEX experiments_look ON experiments(look_at) WHERE look_at IS NOT NULL;

        CREATE UNIQUE INDEX experiments_step ON experiments(trigger, step)
            WHERE trigger IS NOT NULL AND state <> 'replaced';

        -- of a bandit: what each arm's probability was from then on, and from which counts
        CREATE TABLE propensities (
            experiment_id INTEGER NOT NULL REFERENCES experiments(id) ON DELETE CASCADE,
            version       INTEGER NOT NULL,
            at            INTEGER NOT NULL,
            -- JSON by variant: {"a": 0.25, "b": 0.75} and {"a": [accepted, clickers], ...}
            arms          TEXT NOT NULL,
            counts        TEXT NOT NULL,
            PRIMARY KEY (experiment_id, version)
        ) STRICT, WITHOUT ROWID;
        """,
    )
