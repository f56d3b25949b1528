"""Tags that are one by the new folding (İNDİRİM, indirim) become one."""

from collections import defaultdict

from sqlite_utils import Database

from pushctl.rules.web.fields import fold_tag
from pushctl.store.schema.migrations import migrations


@migrations()
def m014_folding(db: Database) -> None:
    # The first spelling stays, as when a tag is set twice; nobody loses one, and of two
    # the longer life and the later time win.
    move = """
        INSERT INTO subscription_tags (tag_id, subscription_id, set_at, expires_at)
        SELECT ?, subscription_id, set_at, expires_at FROM subscription_tags WHERE tag_id = ?
        ON CONFLICT DO UPDATE
           SET set_at = max(set_at, excluded.set_at),
               -- NULL never expires, and max() of it is NULL
               expires_at = max(expires_at, excluded.expires_at)
    """
    same: dict[str, list[int]] = defaultdict(list)
    before = dict[int, str]()
    for row, name, folded in db.execute("SELECT id, name, folded FROM tags ORDER BY id"):
        same[fold_tag(name)].append(row)
        before[row] = folded
    for first, *others in same.values():
        for other in others:
            db.execute(move, (first, other))
            db.execute("DELETE FROM subscription_tags WHERE tag_id = ?", (other,))
            db.execute("DELETE FROM tags WHERE id = ?", (other,))
    for folded, (row, *_) in same.items():
        if before[row] != folded:
            db.execute("UPDATE tags SET folded = ? WHERE id = ?", (folded, row))
