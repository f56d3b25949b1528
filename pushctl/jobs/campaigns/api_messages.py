"""
Plans the messages that servers asked for, and follows what becomes of them.

Many single messages (order confirmations) share one campaign: of one API key, template and
day. An audience is frozen as a campaign of its own, and waits for a person where it is large.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence

import orjson

from pushctl import log
from pushctl.config import Config
from pushctl.errors import InputError, NotFoundError, PushctlError, TemplateError, UsageError
from pushctl.jobs.campaigns import api_audiences, api_results
from pushctl.jobs.campaigns.api_batch import ApiBatch
from pushctl.jobs.campaigns.duplicates import NobodyLeftError
from pushctl.jobs.delivery.claims.promo_codes import name_pool
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.jobs.ingest import matching
from pushctl.jobs.subscribers import audience, suppression
from pushctl.model import Json, Millis
from pushctl.rules import limits, topics, units
from pushctl.rules.messages import api_message
from pushctl.rules.messages.api_message import Wanted
from pushctl.rules.messages.content import hash_content
from pushctl.rules.shops import server_items
from pushctl.store import Store
from pushctl.store.faults import DATABASE_FAULTS, concerns_one
from pushctl.store.messages import ApiMessage

BATCH = 200  # messages in one transaction
_NAMED = 500  # ids in one expression, which may have 20,000 characters
# Campaigns that messages of one kind have a day: a watch sends so many urgent ones at once.
SHARDS = 4
# A campaign that waits for an answer so long gets no new messages meanwhile. Others it
# takes up while it is being sent; each further campaign may need a process of its own.
_PATIENCE: Millis = 500
_LINK = re.compile(r"(?:templates/api/\S+: )?'.*' is no(?= http)")
_KEPT_OPEN: Millis = 2 * units.DAY  # the campaigns that messages share


def work(
    store: Store, config: Config, now: Millis, limit: int = BATCH, *, all_sizes: bool = True
) -> int:
    """
    Plan what came, look at what is under way, publish both; return how many messages.

    In a database that was restored nothing is planned before `pushctl release`. A kill costs
    nothing: what was published and not committed is published once more, with the same words.
    Without *all_sizes* large audiences are left to a sweep.
    """
    if not (due := store.messages.list_due(now, limit, all_sizes=all_sizes)):
        return 0
    received = [one for one in due if one.state == "received"]
    planner = None
    if received:
        restore_guard.check(store, config)
        planner = _Planner(ApiBatch(store, config, now), all_sizes=all_sizes)
        planner.prepare(received)
    numbers = {one.id for one in due}
    with store.write():
        # Once more: another process may have done it meanwhile.
        still = store.messages.list_due(now, limit, all_sizes=all_sizes)
        done = [one for one in still if one.id in numbers]
        if planner is not None:
            done = [planner.plan(one) if one.state == "received" else one for one in done]
        api_results.follow(store, config, done, now)
    return len(due)


def work_off(store: Store, config: Config, now: Millis, *, all_sizes: bool = True) -> int:
    """As ``work``, until nothing is left; return how many messages."""
    count = 0
    while done := work(store, config, now, all_sizes=all_sizes):
        count += done
        if done < BATCH:
            break
    return count


def close_old(store: Store, now: Millis) -> None:
    """Finish the campaigns of earlier days."""
    store.messages.close_groups(now - _KEPT_OPEN, now)


class _Planner:
    """Plans the messages of one batch."""

    def __init__(self, batch: ApiBatch, *, all_sizes: bool) -> None:
        self._batch, self._all_sizes = batch, all_sizes
        self._drafts: dict[int, api_audiences.Draft | Exception] = {}

    def prepare(self, messages: Iterable[ApiMessage]) -> None:
        """Do beforehand what only reads and takes long: others may write meanwhile."""
        for one in messages:
            try:
                site, wanted = self._batch.read(one)
                if not wanted.people:
                    self._drafts[one.id] = api_audiences.draft(
                        self._batch, one, wanted, site.name, all_sizes=self._all_sizes
                    )
            except Exception as error:
                if isinstance(error, DATABASE_FAULTS):
                    raise
                self._drafts[one.id] = error

    def plan(self, one: ApiMessage) -> ApiMessage:
        """Return *one* planned, or refused with the reason."""
        try:
            with self._batch.store.savepoint():
                return self._plan(one)
        except api_audiences.TooManyError:
            return one._replace(own=True)
        except NobodyLeftError as error:
            return _refuse(one, error.left_out.describe(), self._batch.now)
        except (InputError, NotFoundError, TemplateError, UsageError) as error:
            return _refuse(one, _explain(error), self._batch.now)
        except Exception as error:
            if not concerns_one(error):
                raise
            log.note_error("api", "a message could not be planned", error)
            return _refuse(one, f"a fault of pushctl: {type(error).__name__}", self._batch.now)

    def _plan(self, one: ApiMessage) -> ApiMessage:
        drafted = self._drafts.get(one.id)
        if isinstance(drafted, Exception):
            raise drafted
        _, wanted = self._batch.read(one)
        planned = one._replace(
            due_at=wanted.at, changed_at=self._batch.now, state="sending", own=False
        )
        if drafted is not None:
            return api_audiences.freeze(self._batch, planned, drafted)
        return self._plan_people(planned, wanted)

    def _plan_people(self, one: ApiMessage, wanted: Wanted) -> ApiMessage:
        people = self._find_people(one, wanted)
        name, sources, template = self._batch.load(wanted)
        ttl = template.settings.ttl if wanted.ttl is None else wanted.ttl
        assert one.due_at is not None
        expires_at = one.due_at + api_message.find_life(ttl)
        if expires_at <= self._batch.now:
            raise InputError("its time was over before it could be sent")
        options = _make_group_options(one, wanted, ttl)
        options |= name_pool(self._batch.store, template.settings.promo)
        verdict = self._batch.rehearse(name, template, wanted, sources, people, options)
        able = [person for person in people if person not in verdict.without]
        if not able:
            raise InputError(next(iter(verdict.without.values()))[1])
        campaign = self._find_group(one, wanted, name, sources, options)
        self._batch.store.messages.plan(
            one.id, campaign, able, now=self._batch.now, due=max(one.due_at, self._batch.now),
            expires_at=expires_at,
        )  # fmt: skip
        content = dict(wanted.variables)
        if wanted.topic is not None:
            content["topic"] = wanted.topic
        return one._replace(campaign=campaign, content=content)

    def _find_people(self, one: ApiMessage, wanted: Wanted) -> Sequence[int]:
        """Return the active browsers of all people; raises InputError without any."""
        found: dict[int, None] = {}
        reasons: list[str] = []
        for item in wanted.people:
            clues = server_items.read_person(item)
            match = matching.find(self._batch.store, one.site_id, clues)
            if match.owner is None:
                reasons.append(match.why_not or "nobody was found")
            elif not match.subscriptions:
                reasons.append("the person has no active subscription")
            elif clues.alias is None and clues.email_hash is None:
                # An id and a cart key name one browser.
                if match.owner in match.subscriptions:
                    found[match.owner] = None
                else:
                    reasons.append("the subscription is not active")
            else:
                found |= dict.fromkeys(match.subscriptions)
        if not found:
            raise InputError(reasons[0])
        if wanted.is_transactional:
            return list(found)
        without = self._find_suppressed(list(found))
        if not (kept := [row for row in found if row not in without]):
            raise InputError("the person asked for a pause, or for fewer messages")
        return kept

    def _find_suppressed(self, rows: Sequence[int]) -> frozenset[int]:
        store, found = self._batch.store, set[int]()
        for start in range(0, len(rows), _NAMED):
            people = store.subscriptions.get_many(rows[start : start + _NAMED])
            names = ", ".join(f"'{it.public_id}'" for it in people)
            _, expression = audience.build(self._batch.config, where=[f"id in ({names})"])
            found.update(suppression.find_suppressed(store, expression, self._batch.now))
        return frozenset(found)

    def _find_group(
        self,
        one: ApiMessage,
        wanted: Wanted,
        name: str,
        sources: Mapping[str, str],
        options: Mapping[str, Json],
    ) -> int:
        """
        Return the campaign that messages like this one share, a new one each day.

        A process may wait for a push service with that campaign: then it is another one.
        """
        day = self._batch.day
        content = hash_content(sources, {}).hex()
        kind = [one.key, one.site_id, wanted.name, name, content, options, day]
        digests = [_digest([*kind, number]) for number in range(SHARDS)]
        for digest in digests:
            known = self._batch.store.messages.find_group(digest)
            if known is None:
                return self._begin_group(digest, f"{wanted.name or name} {day}", name, sources,
                                         options)  # fmt: skip
            if not self._batch.store.messages.is_stuck(known, self._batch.now - _PATIENCE):
                return known
        found = self._batch.store.messages.find_group(digests[one.id % SHARDS])
        assert found is not None
        return found

    def _begin_group(
        self,
        digest: bytes,
        title: str,
        template: str,
        sources: Mapping[str, str],
        options: Mapping[str, Json],
    ) -> int:
        self._batch.store.messages.close_groups(self._batch.now - _KEPT_OPEN, self._batch.now)
        made = self._batch.store.campaigns.create(
            name=self._batch.store.campaigns.find_free_name(title),
            template=template,
            audience="single people, by the API",
            sources=sources,
            options=options,
            now=self._batch.now,
            expires_at=None,
            topic=topics.read_topic(sources) or self._batch.config.messages.topic,
        )
        self._batch.store.messages.save_group(digest, made.id, self._batch.now)
        return made.id


def _make_group_options(one: ApiMessage, wanted: Wanted, ttl: int) -> dict[str, Json]:
    """
    Return the options of the campaign that a message goes into.

    Its time to live is that of its deliveries, and no option: each may have another one.
    """
    return {
        **wanted.options, "kind": "api", "key": one.key, "grouped": True, "urgent": True,
        "ttl": limits.MAX_TTL_SECONDS if ttl else 0,
    }  # fmt: skip


def _refuse(one: ApiMessage, reason: str, now: Millis) -> ApiMessage:
    # A link may name the person, and reasons are kept longer than messages.
    text = _LINK.sub("a link is no", " ".join(reason.split()))[:500]
    return one._replace(state="refused", reason=text, content={}, changed_at=now)


def _digest(kind: Sequence[Json]) -> bytes:
    text = orjson.dumps(kind, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).digest()[:16]


def _explain(error: PushctlError) -> str:
    problems = getattr(error, "problems", ())
    text = f"{error}: {problems[0].fault}" if problems else str(error)
    # An audience may name the person: where it can't be read, its own line is left out.
    return "\n".join(line for line in text.split("\n") if not line.startswith("    "))
