"""
Campaigns as text: compares campaigns/*.toml with what was applied, and plans the rest.

A file is known by its name. Nothing is changed here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from pushctl.config import Config
from pushctl.errors import Problem, PushctlError, UsageError
from pushctl.jobs.campaigns import broadcast, files, recurring
from pushctl.jobs.campaigns.draft import Draft
from pushctl.jobs.campaigns.recipients import find_receivers
from pushctl.jobs.messages.missing_languages import Readers, count_readers
from pushctl.model import Campaign, CampaignStatus, Cause, Millis
from pushctl.rules.campaign_files import CampaignFile, find_phase
from pushctl.store import Store
from pushctl.store.applied import AppliedFile
from pushctl.store.recurring import Series
from pushctl.templates import Template

_FROZEN = "what has begun is frozen: for another campaign, write another file"


class State(StrEnum):
    """What a file is to the database."""

    NEW = "new"
    CHANGED = "changed"
    RENAMED = "renamed"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    PASSED = "passed"  # its time is over, and it was never applied
    NOBODY = "nobody"  # is meant
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


ACTIONS = (State.NEW, State.CHANGED, State.RENAMED)


@dataclass(frozen=True)
class Item:
    """One file, what it is, and what applying it would do."""

    name: str
    state: State
    note: str = ""
    file: CampaignFile | None = None
    applied: AppliedFile | None = None  # what stands for it now
    draft: Draft | None = None
    plan: broadcast.Plan | None = None  # of what is new or changed
    before: Readers | None = None  # who it was frozen for
    after: Readers | None = None  # who is meant today
    phase: str = ""  # of its time
    sources_hash: str = ""

    @property
    def is_action(self) -> bool:
        return self.state in ACTIONS

    @property
    def people(self) -> int | None:
        """How many people are meant today; None: that is not asked of it."""
        if self.plan is not None:
            return self.plan.count
        return None if self.after is None else sum(self.after.texts.values())

    @property
    def people_before(self) -> int | None:
        return None if self.before is None else sum(self.before.texts.values())


def propose(
    store: Store, config: Config, names: Sequence[str], now: Millis, *, by: str = ""
) -> list[Item]:
    """
    Return what applying the files called *names* (none: all) would do; change nothing.

    Raises ConfigError with every problem of every file, NotFoundError for an unknown name.
    """
    current = {row.file: row for row in store.applied.list_current()}
    there = files.list_names(config)
    chosen = files.load_all(config, files.choose_names(config, names, list(current)))
    gone = {name: row for name, row in current.items() if name not in there}
    judged: list[Item] = []
    problems: list[Problem] = []
    planner = _Planner(store, config, now, by)
    for name, file in chosen.items():
        try:
            judged.append(planner.judge(file, current.get(name), gone))
        except PushctlError as error:
            problems.append(files.explain(config, name, error))
    files.refuse(problems)
    wanted = {Path(each).name.removesuffix(".toml") for each in names}
    judged += [
        found
        for name, row in gone.items()
        if (not names or name in wanted)
        and (found := planner.describe_removed(row)) is not None
    ]
    return sorted(judged, key=lambda item: item.name)


@dataclass
class _Planner:
    """Judges files one by one."""

    store: Store
    config: Config
    now: Millis
    by: str
    _planned: list[Item] = field(default_factory=list)

    def judge(
        self, file: CampaignFile, row: AppliedFile | None, gone: dict[str, AppliedFile]
    ) -> Item:
        """Return what *file* is; a name of *gone* that it takes over is taken out there."""
        if row is None:
            return self._judge_unknown(file, gone)
        if row.series is not None:
            return self._judge_series(file, row, find_series(self.store, row.series))
        campaign = self.store.campaigns.get_by_id(row.campaign or 0)
        if not can_give_way(self.store, campaign):
            return self._describe_begun(file, row, campaign)
        draft = files.make_draft(file)
        texts = files.hash_sources(files.load_message(self.config, draft)[1])
        is_other = file.settings_hash != row.settings_hash
        if not is_other and texts == row.sources_hash:
            before, after = self._read_before(campaign), self._read_after(draft, campaign)
            note = f"{campaign.name} is scheduled"
            return Item(
                file.name, State.UNCHANGED, note, file, row, draft, before=before, after=after
            )
        if self._is_over(file):
            note = f"its time has passed, so {campaign.name} stays as it is"
            return Item(file.name, State.PASSED, note, file, row)
        what = "the file" if is_other else "a text"
        item = self._plan(file, State.CHANGED, row, replaces=campaign.name)
        note = f"{what} was changed; {campaign.name}, which waits, gives way"
        if item.state is State.NOBODY:
            note = f"{item.note}, so {campaign.name} stays as it is"
        return replace(item, note=note, before=self._read_before(campaign))

    def _judge_unknown(self, file: CampaignFile, gone: dict[str, AppliedFile]) -> Item:
        alike = [row for row in gone.values() if row.settings_hash == file.settings_hash]
        if alike:
            row = gone.pop(alike[0].file)
            note = f"was {files.name_file(row.file)}: the same campaign under another name"
            phase = f"was {row.file}"
            return Item(file.name, State.RENAMED, note, file, row, phase=phase)
        if self._is_over(file):
            note = "its time has passed, and it was never applied"
            return Item(file.name, State.PASSED, note, file)
        if self.store.campaigns.exists(file.name):
            raise UsageError(
                f"there is a campaign called {file.name!r} already. Give the file another name."
            )
        return self._plan(file, State.NEW, None)

    def _judge_series(
        self, file: CampaignFile, row: AppliedFile, series: Series | None
    ) -> Item:
        is_other = file.settings_hash != row.settings_hash
        if series is None or series.next_at is None:
            note = "its series is over" + (f"; {_FROZEN}" if is_other else "")
            return Item(file.name, State.FINISHED, note, file, row)
        if not is_other:
            draft = files.make_draft(file)
            note = f"goes out every {series.said.removeprefix('every ')}"
            after = self._read_after(draft, None)
            return Item(file.name, State.UNCHANGED, note, file, row, draft, after=after)
        if self._is_over(file):
            note = "its time has passed, so the series stays as it is"
            return Item(file.name, State.PASSED, note, file, row)
        item = self._plan(file, State.CHANGED, row)
        return replace(item, note=item.note or "the file was changed; the series gives way")

    def _describe_begun(self, file: CampaignFile, row: AppliedFile, campaign: Campaign) -> Item:
        state = _STATES[campaign.status]
        changed = file.settings_hash != row.settings_hash
        note = f"{campaign.name} {_SAID[state]}" + (f"; {_FROZEN}" if changed else "")
        return Item(file.name, state, note, file, row, before=self._read_before(campaign))

    def describe_removed(self, row: AppliedFile) -> Item | None:
        """Return that a file is gone whose campaign or series goes on; None: it does not."""
        if row.series is not None:
            series = find_series(self.store, row.series)
            if series is None or series.next_at is None:
                return None
            way = f"pushctl schedules cancel {series.name!r}"
            note = f"its series goes on. To end it: {way}"
        else:
            campaign = self.store.campaigns.get_by_id(row.campaign or 0)
            if campaign.status in (CampaignStatus.FINISHED, CampaignStatus.CANCELLED):
                return None
            way = f"pushctl campaigns cancel {campaign.name!r}"
            note = f"{campaign.name} is {campaign.status.value} and stays. To end it: {way}"
        return Item(row.file, State.REMOVED, note, applied=row)

    def _plan(
        self, file: CampaignFile, state: State, row: AppliedFile | None, replaces: str = ""
    ) -> Item:
        if problem := files.find_problem(self.config, self.store, file):
            raise files.FileError(files.name_file(file.name), [problem])
        draft = files.make_draft(file, by=self.by, replaces=replaces)
        # A series finds its people on each of its days: here they are those of today.
        today = replace(draft, local=False) if draft.every else draft
        made = broadcast.plan(self.store, self.config, today, self.now)
        item = Item(
            file.name,
            state,
            file=file,
            applied=row,
            draft=draft,
            plan=made,
            after=made.readers,
            phase=self._find_phase(file),
            sources_hash=files.hash_sources(dict(made.sources)),
        )
        if made.count or draft.every:
            self._refuse_twice(item, made)
            return item
        note = "no subscriber matches"
        if made.left_out.count:
            note = f"left out: {made.left_out.describe()}; again = true sends to them, too"
        return replace(item, state=State.NOBODY, note=note)

    def _refuse_twice(self, item: Item, made: broadcast.Plan) -> None:
        """Raise UsageError where people would get the same texts by another file, too."""
        for other in self._planned:
            if (
                not made.again
                and other.plan is not None
                and other.sources_hash == item.sources_hash
                and not set(made.receivers).isdisjoint(other.plan.receivers)
            ):
                raise UsageError(
                    "the same texts go to some of the same people by "
                    f"{files.name_file(other.name)}. Write again = true where they shall get "
                    "both."
                )
        if not item.draft or not item.draft.every:
            self._planned.append(item)

    def _is_over(self, file: CampaignFile) -> bool:
        if not file.every:
            return self._find_phase(file) == "over"
        try:
            return not self._find_phase(file)
        except PushctlError:  # its only times have passed
            return True

    def _find_phase(self, file: CampaignFile) -> str:
        """Return what the clock says of *file*: of a series, its next time."""
        if file.every:
            times = recurring.find_next_times(self.config, files.make_draft(file), self.now, 1)
            return f"next {times[0]:%Y-%m-%d %H:%M}"
        return find_phase(file, self.config.zone, self.now)

    def _read_before(self, campaign: Campaign) -> Readers:
        rows = list(self.store.applied.list_receivers(campaign.id))
        template = Template.from_sources(campaign.template, campaign.sources)
        return self._count(template, rows)

    def _read_after(self, draft: Draft, campaign: Campaign | None) -> Readers:
        rows = find_receivers(self.store, self.config, draft, self.now)[1]
        if campaign is not None:
            template = Template.from_sources(campaign.template, campaign.sources)
        else:
            template = files.load_message(self.config, draft)[0]
        return self._count(template, rows)

    def _count(self, template: Template, rows: Sequence[int]) -> Readers:
        counts = self.store.reports.count_languages(rows)
        return count_readers(self.config, template, counts)


_STATES: Mapping[CampaignStatus, State] = {
    CampaignStatus.SCHEDULED: State.RUNNING,  # a message was claimed
    CampaignStatus.RUNNING: State.RUNNING,
    CampaignStatus.PAUSED: State.PAUSED,
    CampaignStatus.FINISHED: State.FINISHED,
    CampaignStatus.CANCELLED: State.CANCELLED,
}
_SAID = {
    State.RUNNING: "has begun",
    State.PAUSED: "is paused",
    State.FINISHED: "has gone out",
    State.CANCELLED: "was cancelled",
}


def find_series(store: Store, number: int) -> Series | None:
    return next((it for it in store.schedules.recurring.list_all() if it.id == number), None)


def can_give_way(store: Store, campaign: Campaign) -> bool:
    """Return whether no message of *campaign* was ever claimed, and nobody stopped it."""
    waits = campaign.status in (CampaignStatus.SCHEDULED, CampaignStatus.RUNNING)
    waits = waits or campaign.cause is Cause.NEEDS_APPROVAL
    return waits and not store.applied.has_begun(campaign.id)
