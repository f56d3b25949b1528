"""Make a project in a folder, asking on a terminal for what no option says."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.errors import UsageError

if TYPE_CHECKING:
    from pushctl.jobs.init import Answers, Made


def command(
    ctx: typer.Context,
    folder: Annotated[Path | None, typer.Argument(help="Where; here, if not said.")] = None,
    origin: Annotated[str | None, typer.Option(help="Where your pages are.")] = None,
    site: Annotated[
        list[str] | None, typer.Option(metavar="NAME=ORIGIN", help="The same with a name.")
    ] = None,
    contact: Annotated[str | None, typer.Option(help="Whom push services write to.")] = None,
    languages: Annotated[str | None, typer.Option(help="What you write in: en,de.")] = None,
    receiver_url: Annotated[
        str, typer.Option(help="`pushctl receive`, seen from outside.")
    ] = "",
    timezone: Annotated[
        str | None, typer.Option(help="For people whose own is unknown.")
    ] = None,
) -> None:
    """
    Make a project: config, keys, database.

    \b
    pushctl init shop --origin https://shop.example --contact you@shop.example

    Asks on a terminal for what no option says. What is there already stays as it is,
    so running it again completes what is missing.
    """
    target = folder or context.of(ctx).project
    answers = _answers(target, origin, site or [], contact, languages, receiver_url, timezone)
    from pushctl.jobs import init

    _tell(target, init.create(target, answers, os.environ))


def _answers(
    target: Path,
    origin: str | None,
    named: Sequence[str],
    contact: str | None,
    languages: str | None,
    receiver_url: str,
    timezone: str | None,
) -> "Answers | None":
    """Return what the options and the person say; None when there is a pushctl.toml."""
    from pushctl.jobs import init

    given = [origin, *named, contact, languages, receiver_url, timezone]
    if (target / "pushctl.toml").exists():
        if any(given):
            raise UsageError(
                f"{target / 'pushctl.toml'} is there, and never overwritten. Edit it, or run "
                "`pushctl init` without options to complete what is missing beside it."
            )
        return None
    if not output.interactive() and not ((origin or named) and contact):
        raise UsageError("nobody is there to ask: give --origin and --contact.")
    sites = dict(_pair(each) for each in named)
    if origin or not sites:
        origin = origin or output.ask("Where are your pages? (https://shop.example)")
        sites[init.site_name(origin, sites)] = origin
    contact = contact or output.ask("Whom may push services write to? (you@shop.example)")
    if languages is None:
        interactive = output.interactive()
        question = "Which languages do you write in, the default first?"
        languages = output.ask(question, "en") if interactive else "en"
    return init.Answers(
        sites=sites,
        contact=f"mailto:{contact}" if "@" in contact and ":" not in contact else contact,
        languages=tuple(each.strip() for each in languages.split(",") if each.strip())
        or ("en",),
        receiver_url=receiver_url,
        timezone=timezone or init.machine_timezone(os.environ),
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, origin = text.partition("=")
    if not equals:
        raise UsageError(f"--site is {text!r}; write it like shop=https://shop.example")
    return name, origin


def _tell(target: Path, made: "Sequence[Made]") -> None:
    """List what was made, and the three steps that come next."""
    width = max(len(str(_short(each.path, target))) for each in made)
    for each in made:
        name = str(_short(each.path, target)).ljust(width)
        if each.kept:
            output.say(f"  {name}  was there, unchanged", "dim")
        else:
            output.say(f"  {name}  {each.note}")
    output.panel(_NEXT, "Next")


def _short(path: Path, target: Path) -> Path:
    folder = target.absolute()
    return path.relative_to(folder) if path.is_relative_to(folder) else path


_NEXT = """\
1. Put sw/pushctl-sw.js at the top of your web site, and this into your pages:
   <script src="/pushctl.js" async></script>  (sw/pushctl.js; see docs/embedding.md)
2. Run `pushctl receive` behind your TLS proxy, and tell pushctl.toml its public URL.
3. Run `pushctl check`, subscribe in your browser, then: pushctl send --dry-run"""
