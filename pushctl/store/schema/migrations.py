"""The register that each migration enters itself in, and how one runs its statements."""

from sqlite_utils import Database, Migrations

migrations = Migrations("pushctl")


def script(db: Database, statements: str) -> None:
    """Run *statements* one by one: executescript() would commit the migration's transaction."""
    for statement in statements.split(";\n"):
        if statement.strip():
            db.execute(statement)
