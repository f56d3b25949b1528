"""
What templates may call: ``alternatives(item)``, ``better(item)``, ``promotion(line)``.

Nothing else is ever called. The sandbox turns these calls into filters when it reads a
text, so no name of a template leads to a function; who renders gives the shelf to ask.
Each message has so many calls, each so many products, and a shelf's look-ups are bounded.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from jinja2 import Undefined, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.visitor import NodeTransformer

from pushctl.model import Json
from pushctl.rules.limits import MAX_PROPOSAL_TIMES, MAX_PROPOSED_ENTRIES
from pushctl.rules.messages import values
from pushctl.rules.messages.values import GOODS
from pushctl.templates.bidi_isolates import wrap
from pushctl.templates.plain import Missing

_MOST_ARGUMENTS = {"alternatives": 2, "better": 1, "promotion": 2}
_DEFAULT_COUNT = 3
LEFT = "calls left"  # no template can spell it


class Shelf(Protocol):
    """Products for one person; each list has at most so many."""

    def alternatives(self, item: Json, most: int) -> list[dict[str, Json]]: ...
    def better(self, item: Json, most: int) -> list[dict[str, Json]]: ...
    def promotion(self, line: Json, most: int) -> list[dict[str, Json]]: ...


class Sample:
    """A shelf for previews: *write* makes the text for a name."""

    def __init__(self, write: Callable[[str], str]) -> None:
        self._write = write

    def alternatives(self, item: Json, most: int) -> list[dict[str, Json]]:
        return [self._make("alternative")]

    def better(self, item: Json, most: int) -> list[dict[str, Json]]:
        return [self._make("better")]

    def promotion(self, line: Json, most: int) -> list[dict[str, Json]]:
        return [{**self._make("promotion"), "was": 79}]

    def _make(self, name: str) -> dict[str, Json]:
        texts = {key: self._write(key) for key in ("line", "category", "brand")}
        return {
            "id": "1", "name": self._write(name), "url": "/", "image": "/image.png",
            "price": 59, "currency": "EUR", **texts,
        }  # fmt: skip


def is_call(node: nodes.Node) -> bool:
    """Return whether *node* is one of the calls, in a form that a text may have."""
    return (
        isinstance(node, nodes.Call)
        and isinstance(node.node, nodes.Name)
        and 1 <= len(node.args) <= _MOST_ARGUMENTS.get(node.node.name, 0)
        and not (node.kwargs or node.dyn_args or node.dyn_kwargs)
    )


class Calls(NodeTransformer):
    """Replace each call by a filter of its first argument."""

    def __init__(self) -> None:
        self.found = False

    def visit_Call(self, node: nodes.Call) -> nodes.Node:
        self.generic_visit(node)
        assert isinstance(node.node, nodes.Name)
        self.found = True
        first, *rest = node.args
        return wrap(first, f"~{node.node.name}", *rest)


@pass_context
def _propose_alternatives(context: Context, item: Any, most: Any = _DEFAULT_COUNT) -> Any:
    return _ask(context, "alternatives", item, most)


@pass_context
def _propose_promotion(context: Context, line: Any, most: Any = _DEFAULT_COUNT) -> Any:
    return _ask(context, "promotion", line, most)


@pass_context
def _propose_better(context: Context, item: Any) -> Any:
    found = _ask(context, "better", item, 1)
    return found[0] if found else Missing("no better product is known")


def _ask(context: Context, name: str, about: Any, most: Any) -> list[Json]:
    left = context[LEFT]
    left[0] -= 1
    if left[0] < 0:
        raise SecurityError(f"more than {MAX_PROPOSAL_TIMES} calls for products")
    if isinstance(most, bool) or not isinstance(most, int):
        raise SecurityError(f"{name} takes a number of products")
    shelf = context.get(GOODS)
    if shelf is None or isinstance(about, Undefined) or about is None:
        return []
    found = getattr(shelf, name)(about, max(0, min(most, MAX_PROPOSED_ENTRIES)))
    return [values.clean(one) for one in found]


PROPOSING: Mapping[str, Callable[..., Any]] = {
    "~alternatives": _propose_alternatives,
    "~better": _propose_better,
    "~promotion": _propose_promotion,
}
