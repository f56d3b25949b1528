"""Approvals: what was asked for each campaign, and the counts by which one needs approval."""

import json
from collections.abc import Collection, Iterator
from typing import NamedTuple

from pushctl.model import Cause, Json, Millis
from pushctl.rules import approvals as rules
from pushctl.store.noun import Noun, as_json

_NEEDS = Cause.NEEDS_APPROVAL.value

# Rows that somebody gets, got or may have got.
_REACHED = "d.status IN ('planned', 'sending', 'accepted', 'in_doubt')"


class Approval(NamedTuple):
    """What was asked for a campaign."""

    campaign: int
    needed: bool
    content: str  # JSON of what must not change
    request: str | None
    hash: str | None  # of the request
    uids: frozenset[int]  # who can't approve it
    timed: bool  # its messages have times of their own
    erased: int  # the sum of rows whose person was erased
    asked_at: Millis
    approved_at: Millis | None
    approved_by: int | None


class Approvals(Noun):
    def find(self, campaign: int) -> Approval | None:
        sql = """
            SELECT campaign_id, needed, content, request, hash, uids, timed, erased, asked_at,
                   approved_at, approved_by
              FROM approvals WHERE campaign_id = :campaign
        """
        row = self._read(sql, campaign=campaign).fetchone()
        if row is None:
            return None
        found = Approval._make(row)
        uids = frozenset(json.loads(row[5]))
        erased = int(row[7], 16)
        return found._replace(needed=bool(row[1]), uids=uids, timed=bool(row[6]), erased=erased)

    def save(
        self,
        campaign: int,
        *,
        needed: bool,
        content: str,
        uids: Collection[int],
        timed: bool,
        now: Millis,
        request: str | None = None,
        hash: str | None = None,
    ) -> None:
        """Write what was judged of a campaign, in the place of what was before."""
        sql = """
            INSERT OR REPLACE INTO approvals (campaign_id, needed, content, request, hash, uids,
                                              timed, asked_at)
            VALUES (:campaign, :needed, :content, :request, :hash, :uids, :timed, :now)
        """
        self._write(
            sql, campaign=campaign, needed=int(needed), content=content, request=request,
            hash=hash, uids=json.dumps(sorted(uids)), timed=int(timed), now=now,
        )  # fmt: skip

    def note_approved(self, campaign: int, uid: int, now: Millis) -> None:
        """Note who approved it, and when that was seen first."""
        sql = """
            UPDATE approvals SET approved_at = coalesce(approved_at, :now), approved_by = :uid
             WHERE campaign_id = :campaign AND approved_by IS NOT :uid
        """
        self._write(sql, campaign=campaign, uid=uid, now=now)

    def void_all(self) -> list[str]:
        """Delete what was judged of campaigns that have not ended; return their hashes."""
        # The restore itself ends those whose messages all came in doubt.
        which = f"""
            WHERE campaign_id IN (SELECT id FROM campaigns
                                   WHERE status NOT IN ('finished', 'cancelled')
                                      OR cause = '{Cause.DATABASE_RESTORED.value}')
        """  # noqa: S608
        sql = f"SELECT hash FROM approvals {which} AND hash IS NOT NULL"  # noqa: S608
        hashes = [name for (name,) in self._read(sql).fetchall()]
        self._write(f"DELETE FROM approvals {which}")  # noqa: S608
        return hashes

    def list_waiting(self) -> list[int]:
        """Return the campaigns that wait for approval, oldest first."""
        sql = f"""
            SELECT id FROM campaigns
             WHERE cause = '{_NEEDS}' AND status = 'paused' ORDER BY id
        """  # noqa: S608
        return [number for (number,) in self._read(sql)]

    def list_ended(self, before: Millis) -> list[tuple[int, str]]:
        """Return (campaign, hash) of requests whose campaign ended *before*."""
        sql = """
            SELECT a.campaign_id, a.hash FROM approvals AS a
              JOIN campaigns AS c ON c.id = a.campaign_id
             WHERE a.hash IS NOT NULL AND c.status IN ('finished', 'cancelled')
               AND c.finished_at < :before
        """
        return self._read(sql, before=before).fetchall()

    def forget_request(self, campaign: int) -> None:
        """Delete the request of a campaign that has ended; who approved it stays."""
        sql = "UPDATE approvals SET request = NULL, hash = NULL WHERE campaign_id = :campaign"
        self._write(sql, campaign=campaign)

    def sum_rows(self, campaign: int) -> tuple[int, int]:
        """Return how many messages a campaign has, and ``rules.sum_rows`` of those people."""
        sql = """
            SELECT id, subscription_id FROM deliveries
             WHERE campaign_id = :campaign AND subscription_id IS NOT NULL
        """
        count = "SELECT count(*) FROM deliveries WHERE campaign_id = :campaign"
        total = rules.sum_rows(self._read(sql, campaign=campaign))
        return int(self._read_value(count, campaign=campaign)), total

    def note_erased(self, ids: Collection[int]) -> None:
        """Before people are erased: keep the sums of approvals that they are counted in."""
        sql = """
            SELECT d.campaign_id, d.id, d.subscription_id
              FROM json_each(:ids) AS j
              JOIN deliveries AS d ON d.subscription_id = j.value
              JOIN approvals AS a ON a.campaign_id = d.campaign_id
        """
        for campaign, delivery, person in self._read(sql, ids=as_json(ids)).fetchall():
            before = str(
                self._read_value(
                    "SELECT erased FROM approvals WHERE campaign_id = :it", it=campaign
                )
            )
            total = rules.add_sums(int(before, 16), rules.sum_rows([(delivery, person)]))
            self._write(
                "UPDATE approvals SET erased = :total WHERE campaign_id = :it",
                total=f"{total:x}", it=campaign,
            )  # fmt: skip

    def count_people(self, campaign: int) -> int:
        """Return how many people get a campaign, or got it."""
        sql = f"SELECT count(*) FROM deliveries AS d WHERE campaign_id = :it AND {_REACHED}"  # noqa: S608
        return int(self._read_value(sql, it=campaign))

    def find_times(self, campaign: int, now: Millis) -> tuple[Millis, Millis]:
        """Return when the first and the last planned message are due; *now*: at once."""
        sql = """
            SELECT coalesce(min(coalesce(next_attempt_at, :now)), :now),
                   coalesce(max(coalesce(next_attempt_at, :now)), :now) FROM deliveries
             WHERE campaign_id = :campaign AND status = 'planned'
        """
        first, last = self._read(sql, campaign=campaign, now=now).fetchone()
        return first, last

    def count_languages(self, campaign: int) -> list[tuple[str, str, int]]:
        """Return (site, language, people) of those who get a campaign, the most first."""
        sql = f"""
            SELECT t.name, coalesce(s.language, ''), count(*)
              FROM deliveries AS d JOIN subscriptions AS s ON s.id = d.subscription_id
              JOIN sites AS t ON t.id = s.site_id
             WHERE d.campaign_id = :campaign AND {_REACHED}
             GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
        """  # noqa: S608
        return self._read(sql, campaign=campaign).fetchall()

    def count_states(self, campaign: int) -> dict[str, int]:
        """Return the messages of a campaign by what becomes of them, for a request."""
        sql = """
            SELECT CASE WHEN status = 'planned' THEN coalesce('waits: ' || cause, 'planned')
                        ELSE status || coalesce(': ' || cause, '') END, count(*)
              FROM deliveries WHERE campaign_id = :campaign GROUP BY 1 ORDER BY 2 DESC
        """
        return dict(self._read(sql, campaign=campaign).fetchall())

    def count_others(
        self,
        campaign: int,
        topic: str | None,
        start: Millis,
        end: Millis,
        now: Millis,
        most: int,
        *,
        all_topics: bool,
    ) -> int:
        """
        Count others' messages from *start* to *end* that nobody else has looked at.

        At most *most*. Steps of triggers, tests, calls and transactional messages are not
        among them, and no campaign that waits for approval or has it.
        """
        sql = f"""
            SELECT count(*) FROM (
                SELECT 1 FROM campaigns AS c CROSS JOIN deliveries AS d ON d.campaign_id = c.id
                 WHERE c.id <> :campaign AND c.trigger IS NULL AND c.is_test IS NULL
                   AND c.options ->> '$.channel' IS NULL
                   AND c.options ->> '$.transactional' IS NULL
                   AND (:every OR c.topic IS :topic)
                   AND (c.finished_at IS NULL OR c.finished_at >= :start)
                   AND c.cause IS NOT '{_NEEDS}'
                   AND NOT EXISTS (SELECT 1 FROM approvals AS a
                                    WHERE a.campaign_id = c.id AND a.needed)
                   AND ((d.status IN ('planned', 'sending')
                         AND max(coalesce(d.next_attempt_at, :now), :now) >= :start
                         AND max(coalesce(d.next_attempt_at, :now), :now) < :end)
                        OR (d.status IN ('accepted', 'in_doubt')
                            AND d.changed_at >= :start AND d.changed_at < :end))
                 LIMIT :most)
        """  # noqa: S608
        return int(
            self._read_value(
                sql, campaign=campaign, topic=topic, start=start, end=end, now=now, most=most,
                every=all_topics,
            )
        )  # fmt: skip

    def lapse(self, campaign: int, before: Millis, reason: str, now: Millis) -> int:
        """End planned messages whose own time was *before*; return how many."""
        sql = """
            UPDATE deliveries
               SET status = 'expired', reason = :reason, cause = 'time_over',
                   changed_at = :now, next_attempt_at = NULL
             WHERE campaign_id = :campaign AND status = 'planned' AND next_attempt_at < :before
               AND cause IS NOT 'awaits_winner'
        """
        return self._write(sql, campaign=campaign, before=before, reason=reason, now=now)

    def list_all(self) -> Iterator[dict[str, Json]]:
        """Yield campaign, whether it needed approval, when it was asked, who approved."""
        sql = """
            SELECT c.name, a.asked_at, a.approved_at, a.approved_by, a.hash
              FROM approvals AS a JOIN campaigns AS c ON c.id = a.campaign_id
             WHERE a.needed ORDER BY a.asked_at DESC
        """
        yield from self._read_dicts(sql)
