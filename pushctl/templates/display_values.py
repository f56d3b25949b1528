"""
Variables that a text only shows: texts for two values differ in nothing but the value.

Then a rendering for one serves all others, with the value in its place.
"""

from collections.abc import Iterator, Sequence

from jinja2 import nodes

from pushctl.templates.bidi_isolates import DEFAULTS, ISOLATE
from pushctl.templates.sandbox import PART, TEXT, Field, build_path

_BOUNDS = (TEXT, PART, ISOLATE)  # that each value gets


def is_bare(tree: nodes.Template, variable: str) -> bool:
    """Return whether *variable* is only ever written out: in no condition, filter or loop."""
    shown = sum(build_path(value) == (variable,) for value, _ in _list_outputs(tree))
    return shown == _count(tree, (variable,))


def find_shown(variables: frozenset[str], sources: Sequence[Field]) -> frozenset[str]:
    """
    Return the attributes among *variables* that *sources* only show.

    They are written out in titles, bodies and labels, also with ``default``, or asked
    whether they are there. A link changes what is written into it.
    """
    # A computed key may be any; products are chosen by what is known of the person.
    if "attributes" in variables or any(source.proposes for source in sources):
        return frozenset()
    return frozenset(
        it
        for it in variables
        if it.count(".") == 1
        and it.startswith("attributes.")
        and not any(other.startswith(f"{it}.") for other in variables)
        and all(_is_shown(each.tree, tuple(it.split("."))) for each in sources)
    )


def _is_shown(tree: nodes.Template, path: tuple[str, ...]) -> bool:
    shown = 0
    for value, bound in _list_outputs(tree):
        shown += bound in (TEXT, ISOLATE) and build_path(_strip_default(value)) == path
    tests = [it.test for it in tree.find_all(nodes.If)]
    tests += [it.test for it in tree.find_all(nodes.CondExpr)]
    for test in tests:
        shown += sum(build_path(it) == path for it in _list_asked(test))
    return shown == _count(tree, path)


def _count(tree: nodes.Template, path: tuple[str, ...]) -> int:
    kinds = (nodes.Name, nodes.Getattr, nodes.Getitem)
    return sum(build_path(it) == path for it in tree.find_all(kinds))


def _list_outputs(tree: nodes.Template) -> Iterator[tuple[nodes.Node, str]]:
    """Yield what is written out, each with the bound that it gets ("": none)."""
    for out in tree.find_all(nodes.Output):
        for part in out.nodes:
            if isinstance(part, nodes.Filter) and part.name in _BOUNDS and part.node:
                yield part.node, part.name
            else:
                yield part, ""


def _strip_default(node: nodes.Node) -> nodes.Node:
    is_default = isinstance(node, nodes.Filter) and node.name in DEFAULTS
    return node.node if is_default and node.node else node  # type: ignore[attr-defined]


def _list_asked(test: nodes.Node) -> Iterator[nodes.Node]:
    """Yield what is asked in a condition for nothing but whether it is there."""
    if isinstance(test, nodes.And | nodes.Or):
        yield from _list_asked(test.left)
        yield from _list_asked(test.right)
    elif isinstance(test, nodes.Not):
        yield from _list_asked(test.node)
    else:
        yield test
