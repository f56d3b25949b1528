"""
Prompts: how many saw the invitation, and how far they went with it.

Counted, not listed: nobody is known at that time. Strangers can send such counts, so
what they make up is bounded too: beyond MAX_PROMPT_ROWS it is counted under "other".
"""

from typing import TYPE_CHECKING

from pushctl.model import Json, Millis
from pushctl.rules import limits, units
from pushctl.rules.figures.figure import Row

if TYPE_CHECKING:
    from pushctl.store import Store

OTHER = "other"

STAGES = ("seen", "accepted", "allowed", "denied", "dismissed")


class Prompts:
    def __init__(self, store: "Store") -> None:
        self._store = store

    def count(
        self, site: int, at: Millis, variant: str, language: str, browser: str, stage: str
    ) -> None:
        """Count one more; the day is that of UTC."""
        values: dict[str, Json] = {
            "site": site,
            "day": at // units.DAY * units.DAY,
            "variant": variant,
            "language": language,
            "browser": browser,
            "stage": stage,
        }
        again = """
            UPDATE prompt_counts SET count = count + 1
             WHERE site_id = :site AND day = :day AND variant = :variant
               AND language = :language AND browser = :browser AND stage = :stage
        """
        new = """
            INSERT INTO prompt_counts (site_id, day, variant, language, browser, stage, count)
            VALUES (:site, :day, :variant, :language, :browser, :stage, 1)
        """
        with self._store.write() as connection:
            if connection.execute(again, values).rowcount:
                return
            if self._rows(site, values["day"]) >= limits.MAX_PROMPT_ROWS:
                values |= {"variant": OTHER, "language": OTHER, "browser": OTHER}
                if connection.execute(again, values).rowcount:
                    return
            connection.execute(new, values)

    def _rows(self, site: int, day: Millis) -> int:
        sql = "SELECT count(*) FROM prompt_counts WHERE site_id = :site AND day = :day"
        row = self._store.connection.execute(sql, {"site": site, "day": day}).fetchone()
        return int(row[0])

    def funnel(
        self, by: str, since: Millis | None = None, site: str | None = None
    ) -> list[Row]:
        """
        Return the count of every stage by "variant", "language" or "browser", most first.

        Raises KeyError for another *by*.
        """
        column = {"variant": "variant", "language": "language", "browser": "browser"}[by]
        sums = ", ".join(f"sum(count * (stage = '{stage}'))" for stage in STAGES)
        sql = f"""
            SELECT {column}, {sums}
              FROM prompt_counts AS p JOIN sites AS s ON s.id = p.site_id
             WHERE (:since IS NULL OR day >= :since) AND (:site IS NULL OR s.name = :site)
             GROUP BY {column} ORDER BY 2 DESC, 1
        """  # noqa: S608
        rows = self._store.connection.execute(sql, {"since": since, "site": site})
        return [dict(zip((by, *STAGES), row, strict=True)) for row in rows]
