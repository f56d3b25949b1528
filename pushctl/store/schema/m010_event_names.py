"""Known events in other cases (Purchase) get the names that triggers know."""

from sqlite_utils import Database

from pushctl.rules.events import KNOWN
from pushctl.store.schema.migrations import migrations


@migrations()
def m010_event_names(db: Database) -> None:
    marks = ", ".join("?" * len(KNOWN))
    # SQLite's lower() folds ASCII, which these names are; a scan of an index alone.
    sql = f"""
        UPDATE events SET name = lower(name)
         WHERE lower(name) IN ({marks}) AND name <> lower(name)
    """  # noqa: S608
    db.execute(sql, KNOWN)
