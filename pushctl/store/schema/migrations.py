"""The register that each migration enters itself in, and how they are applied."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

from sqlite_utils import Database, Migrations

migrations = Migrations("pushctl")


def script(db: Database, statements: str) -> None:
    """Run *statements* one by one: executescript() would commit the migration's transaction."""
    for statement in statements.split(";\n"):
        if statement.strip():
            db.execute(statement)


class _Together(Database):
    """A database whose transaction holds all migrations."""

    @contextmanager
    def atomic(self) -> Generator[Database, None, None]:
        # No savepoint for each: SQLite would keep in memory all pages that one changes.
        yield self


def apply_together(connection: sqlite3.Connection) -> None:
    """Apply all pending migrations in one transaction: all of them, or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        migrations.apply(_Together(connection))
        connection.execute("COMMIT")
    except BaseException:
        # A full disk has rolled back already.
        if connection.in_transaction:
            connection.rollback()
        raise
