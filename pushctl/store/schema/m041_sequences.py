"""Numbers of the tables that are written most stand first where SQLite looks for them."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script

# A new subscription also asks for attribution_changes, which a trigger may write (m039).
_MOST_WRITTEN = (
    "events",
    "deliveries",
    "interactions",
    "subscriptions",
    "attribution_changes",
    "subscription_changes",
    "enrolments",
    "orders",
)


@migrations()
def m041_sequences(db: Database) -> None:
    # Each INSERT into a table with AUTOINCREMENT, and into one whose triggers write to such a
    # table, reads sqlite_sequence from its first row to that of the table: it has no index.
    # One without a row reads all of them.
    places = "\n".join(
        f"WHEN '{name}' THEN {place}" for place, name in enumerate(_MOST_WRITTEN)
    )
    named = ", ".join(f"('{name}')" for name in _MOST_WRITTEN)
    script(
        db,
        f"""
        CREATE TEMP TABLE numbers AS
        SELECT name, max(seq) AS seq
          FROM (SELECT name, seq FROM sqlite_sequence
                 UNION ALL SELECT column1, 0 FROM (VALUES {named}))
         GROUP BY name;

        DELETE FROM sqlite_sequence;

        INSERT INTO sqlite_sequence (name, seq)
        SELECT name, seq FROM numbers
         ORDER BY CASE name {places} ELSE 99 END, name;

        DROP TABLE numbers;
        """,  # noqa: S608 - our own names
    )
