"""``pushctl receive``: the web-facing receiver."""

from typing import TYPE_CHECKING, Annotated

import typer

from pushctl import output
from pushctl.commands import context

if TYPE_CHECKING:
    from pushctl.config import Config


def command(
    ctx: typer.Context,
    listen: Annotated[
        str | None,
        typer.Option(help="Address to listen on. Default: receiver.listen."),
    ] = None,
) -> None:
    """
    Run the web receiver.

    \b
    pushctl receive --listen 127.0.0.1:8750

    It writes the requests of browsers to the inbox, and `pushctl import` reads the inbox.
    It opens no database. Ctrl-C or SIGTERM stops it; no answered request is lost.
    """
    from pushctl.push import vapid
    from pushctl.receiver import serve

    config = context.of(ctx).config
    key = vapid.load_public(config.keys)
    address = listen or config.receiver.listen
    serve.log_to_stderr(config.receiver.log)
    serve.serve(config, key, address, lambda: output.say(welcome(config, address)))


def welcome(config: "Config", listen: str) -> str:
    """Return where the receiver listens and what belongs on the page."""
    url = (config.receiver.url or f"http://{listen}").rstrip("/")
    lines = [f"Listening on {listen}; writing to {config.inbox}", ""]
    for site in config.sites.values():
        query = f"?site={site.name}" if len(config.sites) > 1 else ""
        lines += [
            f"On the pages of {site.origin}:",
            f'  <script async src="{url}/pushctl.js{query}"></script>',
            f"At {site.origin}/pushctl-sw.js, this one line:",
            f'  importScripts("{url}/pushctl-sw.js{query}");',
            "",
        ]
    if not config.receiver.url and not _only_here(config):
        lines += [
            "pushctl.toml has no receiver.url. Write the public https address of this receiver",
            "there, and use it in the lines above (docs/receiver.md).",
            "",
        ]
    return "\n".join([*lines, "Stop with Ctrl-C."])


def _only_here(config: "Config") -> bool:
    """Say whether all pages are on this machine, as while trying out."""
    return all(site.origin.startswith("http:") for site in config.sites.values())
