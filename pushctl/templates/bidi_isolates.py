"""
Marks, in a text's tree, what is a value and what the template's own words are.

Only texts from right to left are changed; all others compile to what they were.
"""

from collections.abc import Iterator
from typing import Any

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

# Names with a character that no source can spell; sandbox.py has the filters.
ISOLATE, OWN, JOINED = "~isolate", "~own", "~joined"

DEFAULTS = ("default", "d")


def wrap(node: nodes.Node, name: str, *arguments: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, list(arguments), [], None, None, lineno=node.lineno)


class Isolates(NodeTransformer):
    """
    Prepare outputs for ``plain.isolate``, which stands at the end of each expression.

    Words of the template stay as they are: constants, the texts of ``default`` and
    ``plural``. What is joined is isolated one by one.
    """

    def visit_Output(self, node: nodes.Output) -> nodes.Node:
        found: list[nodes.Expr] = []
        for child in node.nodes:
            if isinstance(child, nodes.TemplateData):
                found.append(child)
            else:
                found += map(_find_own, _list_parts(child))
        node.nodes = found
        return node

    def visit_Assign(self, node: nodes.Assign) -> nodes.Node:
        node.node = _find_own(node.node)
        return node


def _list_parts(node: nodes.Expr) -> Iterator[nodes.Expr]:
    """Yield the operands of ``a ~ b`` one by one: they are written behind each other."""
    if isinstance(node, nodes.Concat):
        for part in node.nodes:
            yield from _list_parts(part)
    else:
        yield node


def _find_own(node: Any) -> Any:
    """Return *node* with what the template itself says marked, wherever it comes out whole."""
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        return wrap(node, OWN)
    if isinstance(node, nodes.CondExpr):
        node.expr1 = _find_own(node.expr1)
        node.expr2 = node.expr2 and _find_own(node.expr2)
    elif isinstance(node, nodes.And | nodes.Or):
        node.left, node.right = _find_own(node.left), _find_own(node.right)
    elif isinstance(node, nodes.Filter) and node.node is not None:
        if node.name in DEFAULTS:
            node.node = _find_own(node.node)
            node.args = [_find_own(it) for it in node.args]
        elif node.name == "join":
            node.name = JOINED
        elif node.name == "plural":
            isolated: Any = nodes.Keyword("isolated", nodes.Const(True))
            node.kwargs.append(isolated)
    return node
