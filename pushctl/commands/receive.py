"""Run the web receiver."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
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
    serve.serve(config, key, address, lambda: output.say(render_welcome(config, address)))


def render_welcome(config: Config, listen: str) -> str:
    """Return the receiver's address and the lines for the pages."""
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
    local = all(site.origin.startswith("http:") for site in config.sites.values())
    if not config.receiver.url and not local:
        lines += [
            "pushctl.toml has no receiver.url. Write the public https address of this receiver",
            "there, and use it in the lines above (docs/receiver.md).",
            "",
        ]
    return "\n".join([*lines, "Stop with Ctrl-C."])
