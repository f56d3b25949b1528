"""What a check finds: how bad it is, where, and what mends it."""

from dataclasses import dataclass
from pathlib import Path

from pushctl.errors import ConfigError, Problem, PushctlError
from pushctl.jobs.triggers.lint import Level as Level

_WORST_FIRST = (Level.PROBLEM, Level.NOTE, Level.FINE)


@dataclass(frozen=True, slots=True)
class Finding:
    area: str
    level: Level
    place: str
    text: str
    remedy: str = ""  # empty: it is fine


def rank(found: Finding) -> int:
    """Return the place of *found* in a list that has the worst first."""
    return _WORST_FIRST.index(found.level)


def fine(area: str, place: Path | str, text: str) -> Finding:
    return Finding(area, Level.FINE, getattr(place, "name", str(place)), text)


def take_problem(area: str, problem: Problem) -> Finding:
    return Finding(area, Level.PROBLEM, problem.place, problem.fault, problem.remedy)


def explain(area: str, place: str, error: PushctlError) -> list[Finding]:
    """Return what *error* says as findings at *place*."""
    if isinstance(error, ConfigError) and error.problems:
        return [take_problem(area, each) for each in error.problems]
    # Our messages are one or two sentences: the fault, the remedy.
    text, _, remedy = str(error).partition(". ")
    return [Finding(area, Level.PROBLEM, place, text, remedy)]
