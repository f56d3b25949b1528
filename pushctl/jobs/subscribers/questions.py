"""Ask, before an import begins, what values mean that may say that somebody left."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pushctl.errors import InputError
from pushctl.jobs.subscribers.files import Source
from pushctl.model import Json
from pushctl.rules.web import opt_out
from pushctl.rules.web.opt_out import Answers
from pushctl.rules.wording import counted

Answer = Literal["subscribed", "unsubscribed", "ignore"]

# Beyond it a column is no status but text of another kind.
_MOST_VALUES = 20


@dataclass(frozen=True)
class Question:
    column: str
    value: str
    lines: int  # in how many lines it stands
    first: int  # the number of the first of them


Ask = Callable[[Question], Answer]


def find_answers(source: Source, name: str, answers: Answers, ask: Ask | None) -> Answers:
    """
    Return *answers* with those to everything in *source* that is not understood.

    Raises InputError that names columns, values and options where *ask* is None.
    """
    questions = _collect(source, answers)
    if questions and ask is None:
        raise InputError(_describe(questions, name))
    said, ignored = dict(answers.said), set(answers.ignored)
    for question in questions:
        if ask is None or question.column in ignored:
            continue
        answer = ask(question)
        if answer == "ignore":
            ignored.add(question.column)
        else:
            state = opt_out.ACTIVE if answer == "subscribed" else opt_out.LEFT
            said[opt_out.make_key(question.column, question.value)] = state
    return Answers(said, frozenset(ignored))


def _collect(source: Source, answers: Answers) -> list[Question]:
    counts: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], int] = {}
    values: dict[tuple[str, str], str] = {}
    known: dict[tuple[str, str], bool] = {}  # whether it is unclear; few values are distinct
    for line in source.lines if source.says else ():
        says: Mapping[str, Json] = {}
        if not isinstance(line.fields, InputError):
            says = line.fields.get("says") or {}
        for column, value in says.items():
            text = str(value)
            unclear = known.get((column, text))
            if unclear is None:
                unclear = bool(opt_out.list_unclear({column: value}, answers))
                if len(known) < 100_000 and len(text) < 100:
                    known[column, text] = unclear
            if not unclear:
                continue
            key = opt_out.make_key(column, value)
            if key in first or sum(one == column for one, _ in first) < _MOST_VALUES:
                first.setdefault(key, line.number)
                values.setdefault(key, text)
                counts[key] += 1
    return [Question(key[0], values[key], counts[key], first[key]) for key in first]


def _describe(questions: list[Question], name: str) -> str:
    columns = dict.fromkeys(question.column for question in questions)
    faults = []
    for column in columns:
        mine = [one for one in questions if one.column == column]
        found = ", ".join(
            f"{one.value[:40]!r} ({counted(one.lines, 'line')})" for one in mine[:5]
        )
        more = ", and others" if len(mine) > 5 else ""
        faults.append(f"{column} is {found}{more}")
    one = questions[0]
    return (
        f"{name}: a column may say that people left, and its values are not understood: "
        f"{'; '.join(faults)}. Nothing was imported. Are these people subscribed? Answer for "
        f'each value with --subscribed "{one.column}={one.value[:40]}" or --unsubscribed '
        f'"{one.column}={one.value[:40]}"; --ignore {one.column} leaves the column out.'
    )
