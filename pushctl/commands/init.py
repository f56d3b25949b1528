"""Make a project in a folder, asking on a terminal for what no option says."""

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.errors import UsageError
from pushctl.rules.config import checks

if TYPE_CHECKING:
    from pushctl.jobs.project.init import Answers, Made


def command(
    ctx: typer.Context,
    folder: Annotated[Path | None, typer.Argument(help="Default: the current one.")] = None,
    origin: Annotated[str | None, typer.Option(help="Address of your web site.")] = None,
    site: Annotated[
        list[str] | None, typer.Option(metavar="NAME=ORIGIN", help="A site; may be repeated.")
    ] = None,
    contact: Annotated[
        str | None, typer.Option(help="E-mail address that push services may write to.")
    ] = None,
    languages: Annotated[str | None, typer.Option(help="Your languages: en,de.")] = None,
    receiver_url: Annotated[
        str, typer.Option(help="Public address of `pushctl receive`.")
    ] = "",
    timezone: Annotated[
        str | None, typer.Option(help="Time zone for people without a known one.")
    ] = None,
) -> None:
    """
    Create a project: settings, keys, database.

    \b
    pushctl init shop --origin https://shop.example --contact you@shop.example

    On a terminal, it asks for values that no option gives. It never changes a file that
    exists. Run it again to add missing files.
    """
    target = folder or context.of(ctx).project
    answers = _answers(target, origin, site or [], contact, languages, receiver_url, timezone)
    from pushctl.jobs.project import init

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
    from pushctl.jobs.project import init

    given = [origin, *named, contact, languages, receiver_url, timezone]
    if (target / "pushctl.toml").exists():
        if any(given):
            raise UsageError(
                f"{target / 'pushctl.toml'} exists and is never overwritten. Edit it, or run "
                "`pushctl init` without options to add missing files beside it."
            )
        return None
    if not output.interactive() and not ((origin or named) and contact):
        raise UsageError("there is no terminal for questions: give --origin and --contact.")
    sites = dict(_pair(each) for each in named)
    if origin or not sites:
        question = "What is the address of your web site? (https://shop.example)"
        origin = origin or output.ask(question, fault=_wrong(checks.origin))
        sites[init.site_name(origin, sites)] = origin
    question = "To which e-mail address may push services write? (you@shop.example)"
    contact = contact or output.ask(question, fault=_wrong(checks.contact, init.mailto))
    if languages is None:
        question = "In which languages do you write? The default first. (en,de)"
        interactive = output.interactive()
        languages = output.ask(question, "en", _wrong_language) if interactive else "en"
    return init.Answers(
        sites=sites,
        contact=init.mailto(contact),
        languages=_each(languages) or ("en",),
        receiver_url=receiver_url or init.local_receiver(sites),
        timezone=timezone or init.machine_timezone(os.environ),
    )


def _each(languages: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in languages.split(",") if each.strip())


def _wrong(
    check: Callable[[str], checks.Verdict], read: Callable[[str], str] = str
) -> Callable[[str], str | None]:
    """Return what says in a sentence or two why *check* dislikes an answer."""

    def fault(answer: str) -> str | None:
        verdict = check(read(answer))
        return verdict and f"That {verdict[0]}. {verdict[1]}"

    return fault


def _wrong_language(answer: str) -> str | None:
    return next(filter(None, map(_wrong(checks.language), _each(answer))), None)


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
            output.say(f"  {name}  exists already, unchanged", "dim")
        else:
            output.say(f"  {name}  {each.note}")
    here = target.absolute() == Path.cwd()
    cd = "" if here else f"cd {shlex.quote(str(target))}\n   "
    output.panel(_NEXT.format(cd=cd), "Next")


def _short(path: Path, target: Path) -> Path:
    folder = target.absolute()
    return path.relative_to(folder) if path.is_relative_to(folder) else path


_NEXT = """\
1. {cd}pushctl receive
   It runs the web receiver and prints two lines for your pages.
   On the internet it needs TLS: docs/receiver.md.
2. Put the two lines on your pages, open a page and subscribe:
   docs/embedding.md. `pushctl check` lists every problem.
3. pushctl import
   pushctl send --everyone --template welcome --dry-run"""
