"""
Two pairs of eyes: what goes to many waits until another user of the machine approved it.

``judge`` is asked when a campaign is frozen; ``admit`` again at the door of each run, so no
way out goes round it. Decided once is what was counted; compared each time is what goes out
with what was counted or approved. Whoever can write the database can bypass all this.
"""

import json
import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from pushctl import approval_files, log
from pushctl.config import Config
from pushctl.errors import ConfigError
from pushctl.model import Campaign, CampaignStatus, Cause, Json, Millis
from pushctl.rules import approvals as rules
from pushctl.rules import timing
from pushctl.rules.contact_policy import describe_exempt
from pushctl.rules.shops.promo_codes import POOL, mask
from pushctl.rules.wording import counted, moment
from pushctl.store import Store
from pushctl.store.approvals import Approval

UIDS = "uids"  # the option with the users who asked for a campaign
_UNSAID = (UIDS, "left_out", "extra")  # values may have a promo code
_EXEMPT = {"test", "transactional", "channel"}
_DAYS = 40  # that a campaign is counted on; it lasts 4 weeks and a day at most


@dataclass(frozen=True)
class Gate:
    """The rule of one project, [approval]."""

    config: Config
    attended: bool = False  # who asks sees an error: nothing is asked that can't be written

    def is_exempt(self, campaign: Campaign, store: Store) -> bool:
        """Steps react to one person each; tests and transactional messages are no campaigns."""
        options = campaign.options
        exempt = options.keys() & _EXEMPT
        return bool(exempt) or store.triggers.get_trigger(campaign.id) is not None

    def judge(
        self, store: Store, campaign: Campaign, now: Millis, *, timed: bool = False
    ) -> bool:
        """
        Decide whether *campaign* needs approval, and have it wait if so; in a transaction.

        Return whether it waits. A request is written into the folder beside it.
        """
        if self.config.approval is None or self.is_exempt(campaign, store):
            return False
        with store.write():
            before = store.approvals.find(campaign.id)
            asked = campaign.options.get(UIDS, ())
            uids = approval_files.list_own_uids().union(asked, before.uids if before else ())
            people = store.approvals.count_people(campaign.id)
            times = store.approvals.find_times(campaign.id, now)
            why = self._find_need(store, campaign.id, campaign.topic, people, times, now)
            if before is not None and before.needed and why is None:
                why = "its texts, people or times were changed since it needed approval"
            content = rules.encode(make_content(store, campaign, erased=0))
            if why is None:
                store.approvals.save(
                    campaign.id, needed=False, content=content, uids=uids, timed=timed, now=now
                )
                return False
            if self.attended:
                approval_files.check_writable(self.config.approval.folder)
            request = rules.encode(self._make_request(store, campaign, why, content, uids, now))
            store.approvals.save(
                campaign.id, needed=True, content=content, uids=uids, timed=timed, now=now,
                request=request, hash=rules.hash_text(request),
            )  # fmt: skip
            self._pause(store, campaign, f"{why}; {describe_remedy(campaign.name)}", now)
        log.note("approval", "asked", campaign=campaign.name, reason=why)
        self._publish(request)
        return True

    def admit(self, store: Store, campaign: Campaign, now: Millis) -> bool:
        """Return whether *campaign* may go out now; have it wait for approval if not."""
        if self.config.approval is None or self.is_exempt(campaign, store):
            return True
        found = store.approvals.find(campaign.id)
        grouped = "grouped" in campaign.options
        if found is None or (grouped and not found.needed) or is_changed(store, campaign):
            timed = found.timed if found else "at" in campaign.options
            return not self.judge(store, campaign, now, timed=timed)
        if not found.needed:
            return True
        return self._is_approved(store, campaign, found, now)

    def _is_approved(
        self, store: Store, campaign: Campaign, found: Approval, now: Millis
    ) -> bool:
        settings, name = self.config.approval, found.hash
        assert settings is not None
        if name is None or found.request is None or not _is_whole(found):
            return not self.judge(store, campaign, now, timed=found.timed)
        barred = found.uids
        seen = approval_files.find_approval(settings.folder, name, barred, settings.approvers)
        if seen.uid is None:
            if not approval_files.has_request(settings.folder, name):
                self._publish(found.request)
            why = seen.fault or "it waits for approval"
            self._pause(store, campaign, f"{why}; {describe_remedy(campaign.name)}", now)
            return False
        self._let_go(store, campaign, found, seen.uid, now)
        return True

    def _let_go(
        self, store: Store, campaign: Campaign, found: Approval, uid: int, now: Millis
    ) -> None:
        """Note who approved it; what is too late for its own time ends."""
        settings = self.config.approval
        assert settings is not None
        with store.write():
            store.approvals.note_approved(campaign.id, uid, now)
            if campaign.cause is Cause.NEEDS_APPROVAL and found.timed:
                late = now - timing.duration(settings.late)
                ended = store.approvals.lapse(
                    campaign.id, late, "approved too late for its time", now
                )
                log.note("approval", "too late", campaign=campaign.name, count=ended)
        who = approval_files.name_user(uid)
        log.note("approval", "approved", campaign=campaign.name, by=who)

    def _pause(self, store: Store, campaign: Campaign, note: str, now: Millis) -> None:
        campaigns = store.campaigns
        if campaigns.get_status(campaign.id) is CampaignStatus.FINISHED:
            campaigns.change_status(campaign.id, CampaignStatus.RUNNING, now)
        campaigns.change_status(
            campaign.id, CampaignStatus.PAUSED, now, note, Cause.NEEDS_APPROVAL
        )

    def _publish(self, request: str) -> None:
        """Write the request for others to read; sweeps try again where that fails."""
        settings = self.config.approval
        assert settings is not None
        try:
            approval_files.write_request(settings.folder, request)
        except ConfigError as error:
            log.note_error("approval", "a request could not be written", error)

    def foresee(
        self,
        store: Store,
        options: Mapping[str, Json],
        topic: str | None,
        people: int,
        times: tuple[Millis, Millis],
        now: Millis,
    ) -> str | None:
        """Return why what is not frozen yet will need approval, None where it will not."""
        if self.config.approval is None or options.keys() & _EXEMPT:
            return None
        return self._find_need(store, 0, topic, people, times, now)

    def _find_need(
        self,
        store: Store,
        campaign: int,
        topic: str | None,
        people: int,
        times: tuple[Millis, Millis],
        now: Millis,
    ) -> str | None:
        """
        Return why a campaign needs approval, None where it needs none.

        *times* are those of its first and last message; *campaign* 0 is not frozen yet.
        """
        settings = self.config.approval
        assert settings is not None
        above = settings.above
        if people > above:
            return f"{counted(people, 'person', 'people')}, above {above:,}"
        if not people:
            return None
        most = above + 1 - people
        for start, end in self._list_days(times, now):
            others = store.approvals.count_others(
                campaign, topic, start, end, now, most,
                all_topics=not settings.per_topic,
            )  # fmt: skip
            if others >= most:
                about = f" about {topic}" if settings.per_topic and topic else ""
                return (
                    f"with {counted(people, 'person', 'people')} more than {above:,} messages "
                    f"a day{about}"
                )
        return None

    def _list_days(
        self, times: tuple[Millis, Millis], now: Millis
    ) -> Iterator[tuple[Millis, Millis]]:
        """Yield beginning and end of each day on which a campaign's messages go out."""
        first, last = times
        zone = self.config.zone
        day = timing.local(max(first, now), zone).date()
        end = timing.local(max(last, now), zone).date()
        for _ in range(_DAYS):
            start = datetime(day.year, day.month, day.day, tzinfo=zone)
            day += timedelta(days=1)
            until = datetime(day.year, day.month, day.day, tzinfo=zone)
            yield int(start.timestamp() * 1000), int(until.timestamp() * 1000)
            if day > end:
                return

    def _make_request(
        self,
        store: Store,
        campaign: Campaign,
        why: str,
        content: str,
        uids: Collection[int],
        now: Millis,
    ) -> Mapping[str, Json]:
        """Return all that a person needs who approves it: nobody's data, and no promo code."""
        options, first_last = campaign.options, store.approvals.find_times(campaign.id, now)
        grouped = "grouped" in options
        named = describe_exempt(options) if options.get("exempt") else None
        audience = "people named one by one" if named else rules.hide_people(campaign.audience)
        return {
            "pushctl_approval": rules.FORMAT,
            "nonce": secrets.token_hex(16),  # no approval is of two campaigns or projects
            "content": json.loads(content),
            "campaign": campaign.name,
            "why": why,
            "asked_by": ", ".join(map(approval_files.name_user, sorted(uids))),
            "uids": sorted(uids),
            "asked_at": now,
            "template": campaign.template,
            "topic": campaign.topic,
            "audience": "whom a program names, today" if grouped else audience,
            "people": store.approvals.count_people(campaign.id),
            "states": store.approvals.count_states(campaign.id),
            "languages": store.approvals.count_languages(campaign.id),
            "first": first_last[0],
            "last": first_last[1],
            "zone": str(self.config.first_site.timezone),
            "expires_at": campaign.expires_at,
            "manners": describe_exempt(options) or "quiet hours, cap, control group, sunset",
            "promo": options.get(POOL),
            "options": _show_options(options),
            "test": _describe_test(store, campaign.id),
            "texts": dict(campaign.sources),
            "sites": {
                name: {
                    "origin": site.origin,
                    "language": site.language,
                    "brand": _known(asdict(site.brand)),
                    "utm": _known(asdict(site.utm)),
                }
                for name, site in self.config.sites.items()
            },
        }


def make_content(store: Store, campaign: Campaign, erased: int) -> dict[str, Json]:
    """
    Return what must not change between the judgement and the sending.

    *erased* is the sum of the rows whose person was erased since.
    """
    made: dict[str, Json] = {
        "name": campaign.name,
        "template": campaign.template,
        "texts": rules.hash_text(rules.encode(dict(campaign.sources))),
        "options": {
            key: value for key, value in campaign.options.items() if key not in _UNSAID
        },
        "values": rules.hash_text(rules.encode(campaign.options.get("extra"))),
        "topic": campaign.topic,
        "created_at": campaign.created_at,
        "test": _describe_test(store, campaign.id),
    }
    if "grouped" not in campaign.options:  # those a program names as the day goes on
        count, total = store.approvals.sum_rows(campaign.id)
        made["rows"] = count
        made["people"] = f"{rules.add_sums(total, erased):x}"
    return made


def is_changed(store: Store, campaign: Campaign) -> bool:
    """Return whether a campaign is another one than was judged."""
    known = store.approvals.find(campaign.id)
    if known is None:
        return True
    return known.content != rules.encode(make_content(store, campaign, known.erased))


def _is_whole(found: Approval) -> bool:
    """Return whether the request is what its name says, and says what was judged."""
    if found.request is None or rules.hash_text(found.request) != found.hash:
        return False
    read = rules.read_request(found.request)
    return read is not None and bool(rules.encode(read["content"]) == found.content)


def describe_remedy(name: str) -> str:
    return f"somebody else has to run: pushctl approve {name!r}"


def describe(store: Store, campaign: Campaign) -> str | None:
    """Return how it stands with a campaign's approval, None where it needs none."""
    found = store.approvals.find(campaign.id)
    if found is None or not found.needed:
        return None
    if found.approved_at is None or found.approved_by is None:
        return f"asked for {moment(found.asked_at)}, not approved yet"
    return f"by {approval_files.name_user(found.approved_by)}, {moment(found.approved_at)}"


def _describe_test(store: Store, campaign: int) -> Json:
    one = store.experiments.find(campaign)
    if one is None:
        return None
    arms = [arm.as_json() for arm in one.arms]
    return {"arms": arms, "test_share": one.test_share, "rule": one.rule, "tie": one.on_tie}


def _show_options(options: Mapping[str, Json]) -> dict[str, Json]:
    shown = (
        "at",
        "local",
        "over",
        "rate",
        "ttl",
        "urgency",
        "limit",
        "language",
        "series",
        "key",
    )
    found = {key: options[key] for key in shown if key in options}
    if values := options.get("extra"):
        found["values"] = {
            key: mask(str(value)) if "promo" in key or "code" in key else value
            for key, value in values.items()
        }
    return found


def _known(table: Mapping[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in table.items() if value}
