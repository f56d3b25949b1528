"""
Experiments: their arms, their state, what was decided; experiment_rows.py has their messages.

A broadcast's experiment has its campaign. A step's has trigger and step, and as many
campaigns as templates; its messages are those behind ``after_delivery``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import orjson

from pushctl.errors import NotFoundError
from pushctl.model import Json, Millis
from pushctl.rules import wording
from pushctl.rules.figures.experiments.decision import Arm as CountedArm
from pushctl.rules.messages.arms import Arm, Differ, read_arm
from pushctl.store.experiment_rows import ArmCounts, ExperimentRows
from pushctl.store.idle import EXPERIMENT_DUE
from pushctl.store.noun import as_json


class State(StrEnum):
    TESTING = "testing"
    DECIDED = "decided"  # by the rule or by hand: *winner* is set
    STOPPED = "stopped"  # without a winner
    REPLACED = "replaced"  # a step's arms were changed: its next experiment has begun


@dataclass(frozen=True, slots=True)
class Experiment:
    id: int
    name: str  # of the campaign, or of the step: "basket/1"
    campaign: int | None  # of a broadcast
    trigger: str | None  # of a step
    step: int | None
    arms: tuple[Arm, ...]
    differ: Differ
    rule: str  # fixed, anytime or bandit
    on_tie: str  # best, first or stop
    test_share: float  # of people; 1.0: all of them
    seed: str  # a word of its lots
    decide_at: Millis | None
    look_at: Millis | None  # when the sweep looks at it next
    state: State
    winner: str | None
    cause: str | None
    why: str | None
    decided_at: Millis | None
    after_delivery: int
    created_at: Millis


_FIELDS = (
    "id", "name", "campaign_id", "trigger", "step", "arms", "differ", "rule", "on_tie",
    "test_share", "seed", "decide_at", "look_at", "state", "winner", "cause", "why",
    "decided_at", "after_delivery", "created_at",
)  # fmt: skip
_SELECT = f"SELECT {', '.join(_FIELDS)} FROM experiments"  # noqa: S608 - our own names


class Experiments(ExperimentRows):
    def add(
        self,
        *,
        name: str,
        arms: Sequence[Arm],
        differ: Differ,
        rule: str,
        seed: str,
        now: Millis,
        campaign: int | None = None,
        trigger: str | None = None,
        step: int | None = None,
        on_tie: str = "best",
        test_share: float = 1.0,
        decide_at: Millis | None = None,
        look_at: Millis | None = None,
    ) -> int:
        """Write an experiment and return its row; a step's earlier one is replaced."""
        # A broadcast's rows are all its own, also those written before.
        sql = """
            INSERT INTO experiments (name, campaign_id, trigger, step, arms, differ, rule,
                                     on_tie, test_share, seed, decide_at, look_at, state,
                                     after_delivery, created_at)
            VALUES (:name, :campaign, :trigger, :step, :arms, :differ, :rule, :on_tie,
                    :test_share, :seed, :decide_at, :look_at, 'testing',
                    iif(:campaign IS NULL, (SELECT coalesce(max(id), 0) FROM deliveries), 0),
                    :now)
            RETURNING id
        """
        stored = orjson.dumps([arm.as_json() for arm in arms]).decode()
        with self._store.write():
            self.replace(trigger, step)
            return self._insert(
                sql, name=name, campaign=campaign, trigger=trigger, step=step, arms=stored,
                differ=differ, rule=rule, on_tie=on_tie, test_share=test_share, seed=seed,
                decide_at=decide_at, look_at=look_at, now=now,
            )  # fmt: skip

    def replace(self, trigger: str | None, step: int | None) -> None:
        """End a step's test: its arms were changed, or it is no test any more."""
        sql = """
            UPDATE experiments SET state = 'replaced', look_at = NULL
             WHERE trigger = :trigger AND step = :step AND state <> 'replaced'
        """
        self._write(sql, trigger=trigger, step=step)

    def get(self, name: str) -> Experiment:
        """Return the experiment of a broadcast or step; NotFoundError lists the latest."""
        sql = f"{_SELECT} WHERE name = :name ORDER BY state = 'replaced', id DESC LIMIT 1"
        row = self._read(sql, name=name).fetchone()
        if row is None:
            raise NotFoundError(
                f"no test is called {name!r}. {self._suggest(name)} (pushctl ab list)"
            )
        return _build(row)

    def _suggest(self, name: str) -> str:
        """Return a sentence with the names nearest to *name*, else with the latest ones."""
        sql = "SELECT DISTINCT name FROM experiments ORDER BY id DESC"
        names = [known for (known,) in self._read(sql)]
        latest = f"The latest: {', '.join(names[:5])}." if names else "There is none yet."
        return wording.ask_nearest(name, names) or latest

    def find(self, campaign: int) -> Experiment | None:
        """Return the experiment that a broadcast is."""
        row = self._read(f"{_SELECT} WHERE campaign_id = :id", id=campaign).fetchone()
        return _build(row) if row else None

    def find_by_campaign(self, campaign: int) -> Experiment | None:
        """Return the experiment that a broadcast is, or the present one of a step."""
        sql = f"""
            {_SELECT} WHERE campaign_id = :id
                OR state <> 'replaced'
               AND (trigger, step) = (SELECT trigger, step FROM campaigns WHERE id = :id)
        """  # noqa: S608 - our own names
        row = self._read(sql, id=campaign).fetchone()
        return _build(row) if row else None

    def list_all(self) -> list[Experiment]:
        """Return all experiments, the newest first; those that were replaced are among them."""
        return [_build(row) for row in self._read(f"{_SELECT} ORDER BY id DESC")]

    def list_due(self, now: Millis) -> list[Experiment]:
        """Return the experiments that a sweep looks at now, but of paused campaigns."""
        sql = f"{_SELECT} AS e WHERE {EXPERIMENT_DUE} ORDER BY look_at"
        return [_build(row) for row in self._read(sql, now=now)]

    def load_steps(self) -> dict[tuple[str, int], Experiment]:
        """Return the present experiments of triggers' steps, by trigger and step."""
        sql = f"{_SELECT} WHERE trigger IS NOT NULL AND state <> 'replaced'"
        found = map(_build, self._read(sql))
        return {(one.trigger or "", one.step or 0): one for one in found}

    def list_counted(self, one: Experiment) -> list[CountedArm]:
        """Return what is counted of each arm now, in the sequence of the arms."""
        counts = self.count_arms(one.id)
        return [
            CountedArm(
                variant=arm.variant,
                weight=arm.weight,
                **counts.get(arm.variant, ArmCounts())._asdict(),
            )
            for arm in one.arms
        ]

    def list_campaigns(self, experiment: int) -> list[int]:
        """Return the campaigns that have messages of an experiment."""
        sql = """
            SELECT c.id FROM experiments AS e CROSS JOIN campaigns AS c
                ON c.id = e.campaign_id OR c.trigger = e.trigger AND c.step = e.step
             WHERE e.id = :id
        """
        return [one for (one,) in self._read(sql, id=experiment)]

    def find_arms(self, experiment: int, deliveries: Iterable[int]) -> dict[int, str]:
        """Return the variant of those of *deliveries* that the experiment compares."""
        sql = """
            SELECT d.id, d.variant FROM json_each(:ids) AS j
              JOIN deliveries AS d ON d.id = j.value
             WHERE d.variant_probability < 1
               AND d.id > (SELECT after_delivery FROM experiments WHERE id = :id)
        """
        return dict(self._read(sql, id=experiment, ids=as_json(deliveries)).fetchall())

    def postpone(self, experiment: int, look_at: Millis | None) -> None:
        """Set when the sweep looks at a running test next."""
        sql = "UPDATE experiments SET look_at = :at WHERE id = :id AND state = 'testing'"
        self._write(sql, id=experiment, at=look_at)

    def begin_anew(self, experiment: int, campaign: int, at: Millis) -> bool:
        """
        Decide at *at* if a message of the test is still to be sent; return whether one is.

        Who waits is due no sooner, and their messages live as long as before.
        """
        is_unsent = """
            SELECT EXISTS (SELECT 1 FROM deliveries
                            WHERE campaign_id = :campaign AND status = 'planned'
                              AND variant_probability < 1)
        """
        later = """
            UPDATE experiments SET decide_at = :at, look_at = :at
             WHERE id = :id AND state = 'testing' AND decide_at < :at
        """
        wait = """
            UPDATE deliveries
               SET expires_at = expires_at + max(0, :at - next_attempt_at),
                   next_attempt_at = max(next_attempt_at, :at)
             WHERE campaign_id = :campaign AND status = 'planned' AND cause = 'awaits_winner'
        """
        with self._store.write():
            if not self._read_value(is_unsent, campaign=campaign):
                return False
            if self._write(later, id=experiment, at=at):
                self._write(wait, campaign=campaign, at=at)
        return True

    def end(
        self, experiment: int, winner: str | None, cause: str, why: str, now: Millis
    ) -> bool:
        """Decide a test, or stop it (no *winner*); return whether it was still running."""
        sql = """
            UPDATE experiments
               SET state = iif(:winner IS NULL, 'stopped', 'decided'), winner = :winner,
                   cause = :cause, why = :why, decided_at = :now, look_at = NULL
             WHERE id = :id AND state = 'testing'
        """
        values = {"id": experiment, "winner": winner, "cause": cause, "why": why, "now": now}
        return self._write(sql, **values) == 1

    def add_propensities(
        self,
        experiment: int,
        arms: Mapping[str, float],
        counts: Mapping[str, Sequence[int]],
        now: Millis,
    ) -> int:
        """Write the next version of a bandit's propensities; return its number."""
        sql = """
            INSERT INTO propensities (experiment_id, version, at, arms, counts)
            SELECT :id, coalesce(max(version), 0) + 1, :now, :arms, :counts
              FROM propensities WHERE experiment_id = :id
            RETURNING version
        """
        return self._insert(
            sql, id=experiment, now=now, arms=orjson.dumps(dict(arms)).decode(),
            counts=orjson.dumps(dict(counts)).decode(),
        )  # fmt: skip

    def load_propensities(self, experiment: int) -> tuple[Millis, dict[str, float]] | None:
        """Return a bandit's newest propensities and since when they hold; None: no version."""
        sql = """
            SELECT at, arms FROM propensities WHERE experiment_id = :id
             ORDER BY version DESC LIMIT 1
        """
        row = self._read(sql, id=experiment).fetchone()
        return (row[0], orjson.loads(row[1])) if row else None


def _build(row: Iterable[Json]) -> Experiment:
    values = dict(zip(_FIELDS, row, strict=True))
    values["campaign"] = values.pop("campaign_id")
    values["arms"] = tuple(map(read_arm, orjson.loads(values["arms"])))
    values["differ"] = Differ(values["differ"])
    values["state"] = State(values["state"])
    return Experiment(**values)
