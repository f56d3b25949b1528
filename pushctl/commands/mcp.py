"""Let an assistant ask for figures and plans."""

from typing import TYPE_CHECKING, Annotated

import typer

from pushctl.commands import context
from pushctl.errors import UsageError

if TYPE_CHECKING:
    from pushctl.mcp.tools import Tools
    from pushctl.store import Store


def command(
    ctx: typer.Context,
    allow_drafts: Annotated[
        bool, typer.Option("--allow-drafts", help="Let it write files into campaigns/drafts/.")
    ] = False,
) -> None:
    """
    Answer an assistant: figures and plans.

    \b
    pushctl mcp --allow-drafts

    It speaks MCP over stdin and stdout. It answers with campaigns, figures, one person's
    history by public id, counts of segments, templates and schedules; never with an alias,
    an attribute, an endpoint or a code. Nothing is sent. With --allow-drafts it may write a
    draft, which a person sends by `pushctl apply --draft NAME`. Each call is noted. It
    needs pip install 'pushctl[mcp]'; see docs/mcp.md.
    """
    here = context.of(ctx)
    path = here.store.path
    try:
        from pushctl.mcp import server
    except ImportError:
        raise UsageError("this needs another package: pip install 'pushctl[mcp]'") from None
    from pushctl.mcp.tools import Tools
    from pushctl.store import Store

    def open_tools() -> "tuple[Tools, Store]":
        store = Store(path)
        return Tools(here.config, store, here.later, allow_drafts=allow_drafts), store

    server.serve(open_tools, here.later, allow_drafts=allow_drafts)
