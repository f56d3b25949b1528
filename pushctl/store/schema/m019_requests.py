"""Requests of the server API, and calls that left none."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m019_requests(db: Database) -> None:
    # result: what the receiver answers from, as JSON; it names nobody.
    script(
        db,
        """
        CREATE TABLE api_requests (
            id      TEXT PRIMARY KEY,
            key     TEXT NOT NULL,
            site_id INTEGER NOT NULL REFERENCES sites(id),
            route   TEXT NOT NULL,
            at      INTEGER NOT NULL,
            digest  BLOB NOT NULL,
            state   TEXT NOT NULL,
            items   INTEGER NOT NULL,
            refused INTEGER NOT NULL,
            result  TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;

        CREATE INDEX api_requests_at ON api_requests(at);

        CREATE INDEX api_requests_key ON api_requests(key, at);

        CREATE INDEX api_requests_refused ON api_requests(at) WHERE refused > 0;

        -- refused calls and reads, counted for a minute each; key is '' where it is unknown
        CREATE TABLE api_calls (
            at    INTEGER NOT NULL,
            key   TEXT NOT NULL,
            route TEXT NOT NULL,
            what  TEXT NOT NULL,
            calls INTEGER NOT NULL,
            PRIMARY KEY (at, key, route, what)
        ) STRICT, WITHOUT ROWID;
        """,
    )
