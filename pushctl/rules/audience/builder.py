"""Builds the tree of an audience: the parser calls a method a rule, from the leaves up."""

from typing import Any

from lark import Token, Transformer, v_args

from pushctl.errors import InputError
from pushctl.rules import limits, timing
from pushctl.rules.audience import expression as tree
from pushctl.rules.audience.expression import Expression
from pushctl.rules.events import name_event


class Fault(Exception):
    """A fault that the grammar lets pass: at a position, with a remedy."""

    def __init__(self, token: Token, fault: str, remedy: str) -> None:
        super().__init__(fault)
        self.at = token.start_pos or 0
        self.fault = fault
        self.remedy = remedy


@v_args(inline=True)
class Builder(Transformer[Token, Expression]):
    """One method a rule; the tokens in it become frozen values."""

    def start(self, found: Expression) -> Expression:
        return found

    def either(self, *parts: Expression) -> Expression:
        return _bound(tree.any_of(parts))

    def both(self, *parts: Expression) -> Expression:
        return _bound(tree.all_of(parts))

    def negation(self, part: Expression) -> Expression:
        return _bound(tree.Not(part))

    def everyone(self, _word: Token) -> Expression:
        return tree.EVERYONE

    def tag(self, _word: Token, name: str) -> Expression:
        return tree.Tag(name)

    def segment(self, _word: Token, name: str) -> Expression:
        return tree.Segment(name)

    def field(self, name: Token, compared: tuple[str, tuple[str, ...]]) -> Expression:
        return tree.Field(name.lower(), *compared)

    def attribute(
        self, _word: Token, name: str, compared: tuple[str, tuple[tree.Value, ...]] | None
    ) -> Expression:
        return tree.Attribute(name, *(compared or ("known", ())))

    def age(self, of: Token, within: int) -> Expression:
        return tree.Age(of.lower(), within)

    def event(
        self, _word: Token, name: str, times: tuple[str, int] | None, within: int | None
    ) -> Expression:
        return tree.Event(name_event(name), tree.Count(*(times or (">=", 1)), within))

    def reaction(
        self,
        kind: Token,
        campaign: str | int | None,
        window: int | None,
        times: tuple[str, int] | None,
        within: int | None,
    ) -> Expression:
        count = tree.Count(*(times or (">=", 1)), _choose_window(kind, window, within))
        if isinstance(campaign, int):
            return _choose_step(kind, campaign, count)
        return tree.Reaction(kind.lower(), campaign, count)

    def outcome(
        self, kind: Token, campaign: str | int, window: int | None, within: int | None
    ) -> Expression:
        length = _choose_window(kind, window, within)
        if isinstance(campaign, int):
            return _choose_step(kind, campaign, tree.Count(within=length))
        return tree.Outcome(kind.lower(), campaign, length)

    def step(self, which: Token) -> int:
        if which.type == "BEFORE":
            return tree.BEFORE
        if not which.isdecimal() or len(which) > 4 or not int(which):
            raise Fault(which, "steps are counted from 1", "Write step 1, or step before.")
        return int(which)

    def is_(self, op: Token, operand: Any = ()) -> tuple[str, tuple[Any, ...]]:
        return _compare(op, operand)

    def measure(self, op: Token, operand: Any = ()) -> tuple[str, tuple[Any, ...]]:
        if op.type == "ORDER" and isinstance(operand, bool):
            raise Fault(op, "true and false have no order", "Write = true.")
        return _compare(op, operand)

    def times(self, op: Token, count: int) -> tuple[str, int]:
        return str(op), count

    def within(self, length: int) -> int:
        return length

    def texts(self, *found: str) -> tuple[str, ...]:
        return found

    def values(self, *found: tree.Value) -> tuple[tree.Value, ...]:
        return found

    def text(self, token: Token) -> str:
        quote = token[0]
        plain = token[1:-1].replace(quote * 2, quote)
        if not plain.strip():
            raise Fault(token, "this text is empty", "Write what is looked for.")
        if len(plain) > (most := limits.MAX_QUOTED_CHARACTERS):
            fault = f"this text has {len(plain)} characters, more than {most}"
            raise Fault(token, fault, "Shorten it.")
        if any(ord(letter) < 32 for letter in plain):
            raise Fault(token, "this text holds a control character", "Close it on its line.")
        return plain

    def number(self, token: Token) -> int | float:
        found: int | float = float(token) if "." in token else int(token[:40])
        if abs(found) > limits.MAX_NUMBER:
            raise Fault(token, "this number is too large", f"Stay below {limits.MAX_NUMBER}.")
        return found

    def yes(self, _word: Token) -> bool:
        return True

    def no(self, _word: Token) -> bool:
        return False

    def count(self, token: Token) -> int:
        if not token.isdecimal() or len(token) > 7 or int(token) > limits.MAX_AUDIENCE_TIMES:
            fault = "a count is a whole number from 0 to 1,000,000"
            raise Fault(token, fault, "Write for example >= 2.")
        return int(token)

    def duration(self, token: Token) -> int:
        try:
            return timing.duration(token.lower())
        except InputError as error:
            raise Fault(token, str(error), "Write for example 30d.") from error


def _choose_window(kind: Token, window: int | None, within: int | None) -> int | None:
    """Return the time of ``clicked('sale', 30d)`` or of ``clicked('sale') within 30d``."""
    if window is not None and within is not None:
        raise Fault(kind, "this has two times", f"Write one: {kind.lower()}('sale', 30d).")
    return within if window is None else window


def _choose_step(kind: Token, step: int, count: tree.Count) -> Expression:
    if count.within is not None:
        fault = "a step's message has no time of its own"
        raise Fault(kind, fault, "Leave the time out: it is that of this enrolment.")
    return tree.OfStep(kind.lower(), step, None, count)


def _compare(op: Token, operand: Any) -> tuple[str, tuple[Any, ...]]:
    if isinstance(operand, Token):  # is known, is unknown
        return operand.lower(), ()
    return op.lower(), operand if isinstance(operand, tuple) else (operand,)


def _bound(found: Expression) -> Expression:
    if tree.depth(found) > (most := limits.MAX_AUDIENCE_LEVELS):
        raise InputError(
            f"the audience is nested more than {most} levels deep. Split it into segments."
        )
    return found
