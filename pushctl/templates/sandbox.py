"""
A restricted Jinja: expressions, if, for and set over plain values, at bounded cost.

Jinja's own sandbox keeps a template away from Python's objects, but not from time and
memory: ``'a' * 10**8`` or nested loops stop a machine. So only nodes and filters that
are listed here pass, nothing is called, every text in between is short, and loops draw
on one budget of steps that is counted before they run.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateSyntaxError, Undefined, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.exceptions import TemplateError as JinjaError
from jinja2.meta import TrackingCodeGenerator
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from pushctl.rules.limits import MAX_PROPOSAL_TIMES
from pushctl.rules.messages.localized import PLURAL_FORMS
from pushctl.templates import filters, language_filters, plain, recommendations
from pushctl.templates.bidi_isolates import ISOLATE, JOINED, OWN, Isolates, wrap
from pushctl.templates.phrases import Inliner, Phrases, Unknown
from pushctl.templates.plain import Missing

MAX_SOURCE = 4_000  # characters of one field
MAX_NODES = 600  # of one field
MAX_ALL_NODES = 3_000  # of all fields of a text
MAX_STEPS = 3_000  # nodes evaluated inside loops, and filters, in one message
MAX_LOOP = 50  # items of one loop

SEPARATOR = "\x1f"  # unit separator: no value and no source can hold it

# Names with a character that no source can spell.
_BUDGET = "steps left"
_EACH, _JOIN, TEXT, PART = "~each", "~join", "~text", "~part"

_ALLOWED = (
    nodes.Add, nodes.And, nodes.Assign, nodes.Compare, nodes.Concat, nodes.CondExpr,
    nodes.Const, nodes.Div, nodes.Filter, nodes.FloorDiv, nodes.For, nodes.Getattr,
    nodes.Getitem, nodes.If, nodes.Keyword, nodes.List, nodes.Mul, nodes.Name, nodes.Neg,
    nodes.Not, nodes.Operand, nodes.Or, nodes.Output, nodes.Pos, nodes.Sub, nodes.Template,
    nodes.TemplateData, nodes.Test, nodes.Tuple,
)  # fmt: skip

_REASONS = {
    nodes.Call: "templates call only alternatives(item), better(item) and promotion(line); "
    "use a filter: {{ name|upper }}",
    nodes.Mod: "% is not allowed here",
    nodes.Pow: "** is not allowed here",
    nodes.Include: "a template can't include another file",
    nodes.Import: "a template can't include another file",
    nodes.FromImport: "a template can't include another file",
    nodes.Extends: "a template can't include another file",
}

_TESTS = frozenset({"defined", "undefined", "none", "string", "number", "odd", "even", "in"})
# Names that Jinja gives objects of its own to.
_RESERVED = frozenset({"self", "super", "caller", "varargs", "kwargs"})
_LOOP_FIELDS = frozenset({"index", "index0", "first", "last", "length"})


class Refused(Exception):
    """A source, or its values at rendering, use something that is not allowed."""

    def __init__(self, fault: str, line: int = 1) -> None:
        super().__init__(fault)
        self.fault = fault
        self.line = line


class Environment(ImmutableSandboxedEnvironment):
    """Reaches keys of tables and positions of lists; never an attribute of an object."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "**", "%"})
    intercepted_unops = frozenset({"+", "-"})

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Undefined):
            return obj
        if isinstance(obj, LoopContext):
            return (
                getattr(obj, argument)
                if argument in _LOOP_FIELDS
                else self._make_missing(argument)
            )
        if isinstance(obj, dict | list | tuple):
            try:
                return obj[argument]
            except (LookupError, TypeError):
                pass
        return self._make_missing(argument)

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def _make_missing(self, name: object) -> Undefined:
        return self.undefined(name=str(name))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        _check_numbers(operator, left, right)
        return _check_numbers(operator, super().call_binop(context, operator, left, right))

    def call_unop(self, context: Context, operator: str, arg: Any) -> Any:
        _check_numbers(operator, arg)
        return super().call_unop(context, operator, arg)


def _check_numbers(operator: str, *values: Any) -> Any:
    for value in values:
        if isinstance(value, Undefined):
            str(value)  # raises, with its name
        if not isinstance(value, int | float) or abs(value) > 1e15:
            raise SecurityError(f"{operator} takes numbers up to 10^15; join texts with ~")
    return values[0]


@pass_context
def _take_items(context: Context, value: Any, weight: int) -> Sequence[Any]:
    """Return the items of a loop, and take its steps from the budget."""
    if isinstance(value, Undefined):
        str(value)
    if not isinstance(value, list | tuple | dict):
        raise SecurityError("for goes over lists and tables only")
    items = list(value)
    if len(items) > MAX_LOOP:
        raise SecurityError(f"a loop over {len(items)} items; at most {MAX_LOOP}")
    left = context[_BUDGET]
    left[0] -= weight * len(items)
    if left[0] < 0:
        raise SecurityError("the loops take too many steps")
    return items


def _build_environment() -> Environment:
    # Jinja's optimizer looks at each filter of a chain as often as filters follow it.
    made = Environment(
        undefined=Missing, autoescape=False, keep_trailing_newline=True, optimized=False
    )
    made.globals.clear()
    made.filters = {
        **filters.OFFERED,
        _EACH: _take_items,
        _JOIN: filters.concatenate,
        TEXT: plain.clean,
        PART: filters.encode_part,
        ISOLATE: plain.isolate,
        OWN: plain.mark_own,
        JOINED: plain.join_isolated,
        **recommendations.PROPOSING,
    }
    made.tests = {name: made.tests[name] for name in _TESTS}
    return made


_ENVIRONMENT = _build_environment()


@dataclass(frozen=True)
class Field:
    """One checked source: its tree, and the variables it reads ("attributes.points")."""

    name: str
    tree: nodes.Template
    variables: frozenset[str]
    proposes: bool  # it calls for products
    steps: int  # what its filters take, each once
    nodes: int = 0  # its parts


def parse(
    name: str,
    source: str,
    *,
    url: bool = False,
    language: str = "",
    rtl: bool = False,
    phrases: Phrases | None = None,
) -> Field:
    """
    Return *source* checked; raises Refused with the fault and its line.

    *language* is that of the text, "" where it has none; with *rtl* its values get isolates.
    """
    if len(source) > MAX_SOURCE:
        raise Refused(f"{len(source):,} characters, more than {MAX_SOURCE:,}")
    try:
        return _read(name, _ENVIRONMENT.parse(source), url, language, rtl, phrases or {})
    except TemplateSyntaxError as error:
        raise Refused(_say_fault(error.message or "not a template"), error.lineno) from error
    except RecursionError as error:
        raise Refused("too deeply nested") from error


# Jinja's words, and those of somebody who writes texts and no programs.
_WORDS = (
    (r"unexpected end of template, expected 'end of print statement'\.?", "a {{ has no }}"),
    (r"unexpected end of template, expected 'end of statement block'\.?", "a {% has no %}"),
    (r"Unexpected end of template\..*block that needs to be closed is '(\w+)'\.",
     r"a {% \1 %} has no {% end\1 %}"),
    (r"Encountered unknown tag 'end(\w+)'\..*", r"a {% end\1 %} has no {% \1 %}"),
    ("Missing end of comment tag", "a {# has no #}"),
    (r"unexpected '}'", "a } stands alone: {{ ends with }}, and {% ends with %}"),
    (r"(unexpected char '[“”„‘’«»]').*", r'\1: write straight quotes'),
    ("'?end of print statement'?", "}}"),
    ("'?end of statement block'?", "%}"),
)  # fmt: skip


def _say_fault(said: str) -> str:
    for pattern, words in _WORDS:
        said = re.sub(rf"^{pattern}$" if pattern[0] != "'" else pattern, words, said)
    return said


def _read(
    name: str, tree: nodes.Template, url: bool, language: str, rtl: bool, phrases: Phrases
) -> Field:
    try:
        Inliner(phrases, language).visit(tree)
    except Unknown as error:
        raise Refused(str(error), error.line) from error
    count = _check(tree)
    steps = sum(map(_count_steps, tree.find_all(nodes.Filter)))
    calls = recommendations.Calls()
    calls.visit(tree)
    variables = frozenset(_find_paths(tree, _find_names(tree)))
    if any(it.name == "date" for it in tree.find_all(nodes.Filter)):
        variables |= {"subscriber.timezone"}  # a moment is another day elsewhere
    if rtl:
        Isolates().visit(tree)
    _Bounds(PART if url else ISOLATE if rtl else TEXT, language).visit(tree)
    return Field(name, tree, variables, calls.found, steps, count)


class Renderer:
    """Some fields compiled into one template: one pass a message instead of one a field."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self._left = MAX_STEPS - sum(field.steps for field in fields)
        if self._left < 0:
            raise Refused("the filters take too many steps")
        count = sum(field.nodes for field in fields)
        if count > MAX_ALL_NODES:
            raise Refused(f"{count:,} parts together, more than {MAX_ALL_NODES:,}")
        body: list[nodes.Node] = []
        for field in fields:
            if body:
                body.append(nodes.Output([nodes.TemplateData(SEPARATOR)]))
            body.append(nodes.Scope(field.tree.body))
        tree = nodes.Template(body, lineno=1)
        tree.set_environment(_ENVIRONMENT)
        try:
            self._template = _ENVIRONMENT.from_string(tree)
        except (JinjaError, RecursionError, SyntaxError) as error:
            raise Refused(f"not a template: {error}") from error
        self._loops = any(field.tree.find(nodes.For) for field in fields)
        self._proposes = any(field.proposes for field in fields)

    def render(self, values: Mapping[str, Any]) -> list[str]:
        """Return the fields' texts, in order; raises Refused for missing values."""
        if self._loops:
            values = {**values, _BUDGET: [self._left]}
        if self._proposes:
            values = {**values, recommendations.LEFT: [MAX_PROPOSAL_TIMES]}
        template = self._template
        try:
            context = Context(_ENVIRONMENT, values, None, template.blocks)  # type: ignore[arg-type]
            return "".join(template.root_render_func(context)).split(SEPARATOR)
        except JinjaError as error:
            raise Refused(error.message or "can't be rendered") from error
        except (TypeError, ValueError, ArithmeticError) as error:
            raise Refused(f"can't be rendered: {error}") from error


def _check(tree: nodes.Template) -> int:
    """Return how many parts there are; raises Refused."""
    count = 0
    for node in tree.find_all(nodes.Node):
        count += 1
        line = node.lineno
        if recommendations.is_call(node):
            continue
        if not isinstance(node, (*_ALLOWED, nodes.Helper)) or type(node) in _REASONS:
            name = type(node).__name__.lower()
            raise Refused(_REASONS.get(type(node), f"{name!r} is not allowed here"), line)
        if isinstance(node, nodes.Filter) and (
            node.node is None or node.name not in filters.OFFERED
        ):
            raise Refused(f"there is no filter {node.name!r}", line)
        if isinstance(node, nodes.Filter) and node.name == "plural":
            _check_plural(node)
        if isinstance(node, nodes.Test) and node.name not in _TESTS:
            raise Refused(f"there is no test {node.name!r}", line)
        if isinstance(node, nodes.For) and node.recursive:
            raise Refused("loops can't be recursive", line)
        if isinstance(node, nodes.Name) and node.name in _RESERVED:
            raise Refused(f"{node.name!r} is not allowed here", line)
        # Lists that name lists that name lists: as deep as one likes, and compared whole.
        if isinstance(node, nodes.Assign) and (node.find(nodes.List) or node.find(nodes.Tuple)):
            raise Refused("set takes one value, not a list", line)
    if count > MAX_NODES:
        raise Refused(f"{count} parts, more than {MAX_NODES}")
    return count


def _count_steps(node: nodes.Node) -> int:
    """Return what a filter takes; other nodes take nothing of note."""
    if not isinstance(node, nodes.Filter) or node.name not in filters.OFFERED:
        return 0
    return filters.STEPS.get(node.name, filters.COMMON_STEPS)


def _check_plural(node: nodes.Filter) -> None:
    given = [it.key for it in node.kwargs]
    unknown = set(given) - set(PLURAL_FORMS)
    if node.args or unknown or "other" not in given:
        example = "{{ cart.count|plural(one='# item', other='# items') }}"
        raise Refused(f"plural takes {', '.join(PLURAL_FORMS)}: {example}", node.lineno)


def _find_names(tree: nodes.Template) -> set[str]:
    """Return the names that come from outside, as ``jinja2.meta`` does."""
    tracking = TrackingCodeGenerator(_ENVIRONMENT)
    tracking.optimizer = None  # as above
    tracking.visit(tree)
    return tracking.undeclared_identifiers


def _find_paths(tree: nodes.Node, roots: Iterable[str]) -> Iterator[str]:
    """Yield the variables read below *tree*; a computed key stands for the whole table."""
    roots = frozenset(roots)
    path = build_path(tree)
    if path is not None:
        if path[0] in roots:
            yield ".".join(path)
        return
    for child in tree.iter_child_nodes():
        yield from _find_paths(child, roots)


def build_path(node: nodes.Node) -> tuple[str, ...] | None:
    """Return the names of a variable, ("attributes", "points"); None: it is something else."""
    if isinstance(node, nodes.Name):
        return (node.name,)
    if isinstance(node, nodes.Getattr):
        key: object = node.attr
    elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        key = node.arg.value
    else:
        return None
    below = build_path(node.node)
    if below is None or not isinstance(key, str) or "." in key:
        return below
    return (*below, key)


class _Bounds(NodeTransformer):
    """Put a bound around whatever could grow, and the output's cleaning around outputs."""

    def __init__(self, outlet: str, language: str) -> None:
        self._outlet = outlet
        self._language = language

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:
        self.generic_visit(node)
        if node.name in language_filters.SPOKEN:
            node.args = [nodes.Const(self._language, lineno=node.lineno), *node.args]
        return node

    def visit_Output(self, node: nodes.Output) -> nodes.Node:
        self.generic_visit(node)
        node.nodes = [
            child if isinstance(child, nodes.TemplateData) else wrap(child, self._outlet)
            for child in node.nodes
        ]
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return wrap(nodes.List(node.nodes, lineno=node.lineno), _JOIN)

    def visit_Const(self, node: nodes.Const) -> nodes.Node:
        return nodes.Const(plain.cut(node.value), lineno=node.lineno)

    def visit_For(self, node: nodes.For) -> nodes.Node:
        weight = sum(1 + _count_steps(it) for it in node.find_all(nodes.Node))
        self.generic_visit(node)
        node.iter = wrap(node.iter, _EACH, nodes.Const(weight, lineno=node.lineno))
        return node
