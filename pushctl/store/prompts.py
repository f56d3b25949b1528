"""
Prompts: counts of how far visitors went with the invitation to subscribe.

Anybody can send such counts, so their rows are bounded: what exceeds MAX_PROMPT_ROWS a
site and day, or one address's part of them, is counted under "other".
"""

from collections.abc import Iterator, Mapping

from pushctl.model import Json, Millis
from pushctl.rules import limits, units
from pushctl.rules.figures.figure import Row
from pushctl.store.noun import Noun

OTHER = "other"

# Of the invitation itself; before them all comes a visit.
STAGES = ("seen", "accepted", "allowed", "denied", "dismissed", "failed")
VISIT = "visit"


class Prompts(Noun):
    def count(
        self,
        site: int,
        at: Millis,
        variant: str,
        language: str,
        browser: str,
        stage: str,
        sender: str | None = None,
    ) -> None:
        """
        Count one more; the day is that of UTC.

        *sender* names the address of the day, None an unknown one.
        """
        values: dict[str, Json] = {
            "site": site,
            "day": at // units.DAY * units.DAY,
            "variant": variant,
            "language": language,
            "browser": browser,
            "stage": stage,
            "sender": sender,
        }
        again = """
            UPDATE prompt_counts SET count = count + 1
             WHERE site_id = :site AND day = :day AND variant = :variant
               AND language = :language AND browser = :browser AND stage = :stage
        """
        new = """
            INSERT INTO prompt_counts (site_id, day, variant, language, browser, stage, count,
                                       sender)
            VALUES (:site, :day, :variant, :language, :browser, :stage, 1, :sender)
        """
        with self._store.write():
            if self._write(again, **values):
                return
            if self._is_full(values):
                values |= {"variant": OTHER, "language": OTHER, "browser": OTHER}
                if self._write(again, **values):
                    return
            self._write(new, **values)

    def _is_full(self, values: Mapping[str, Json]) -> bool:
        """Return whether the site or the sender may begin no more rows on that day."""
        sql = """
            SELECT count(*) >= :most OR coalesce(sum(sender = :sender), 0) >= :most_of_sender
              FROM prompt_counts WHERE site_id = :site AND day = :day
        """
        bounds = {
            "most": limits.MAX_PROMPT_ROWS,
            "most_of_sender": limits.MAX_ADDRESS_PROMPT_ROWS,
        }
        return bool(self._read_value(sql, **values, **bounds))

    def load_funnel(
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
        rows = self._read(sql, since=since, site=site)
        return [dict(zip((by, *STAGES), row, strict=True)) for row in rows]

    def list_counts(self, by: str) -> Iterator[tuple[str, Millis, str, str, int]]:
        """Yield (site, UTC's day, value, stage, count) by variant, language or browser."""
        column = {"variant": "variant", "language": "language", "browser": "browser"}[by]
        sql = f"""
            SELECT s.name, p.day, p.{column}, p.stage, sum(p.count)
              FROM prompt_counts AS p JOIN sites AS s ON s.id = p.site_id
             GROUP BY 1, 2, 3, 4
        """  # noqa: S608
        yield from self._read(sql)
