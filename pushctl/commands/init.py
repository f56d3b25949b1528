"""Create a project; ask for missing values on a terminal."""

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import Names, Text
from pushctl.errors import UsageError
from pushctl.jobs.project import init
from pushctl.rules.config import checks


def command(
    ctx: typer.Context,
    folder: Annotated[Path | None, typer.Argument(help="Default: the current one.")] = None,
    origin: Annotated[Text, typer.Option(help="Address of your web site.")] = None,
    site: Annotated[
        Names, typer.Option(metavar="NAME=ORIGIN", help="A site; may be repeated.")
    ] = None,
    contact: Annotated[
        Text, typer.Option(help="E-mail address that push services may write to.")
    ] = None,
    languages: Annotated[Text, typer.Option(help="Your languages: en,de.")] = None,
    receiver_url: Annotated[
        str, typer.Option(help="Public address of `pushctl receive`.")
    ] = "",
    timezone: Annotated[
        Text, typer.Option(help="Time zone for people without a known one.")
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
    answers = _find_answers(
        target, origin, site or [], contact, languages, receiver_url, timezone
    )
    _show(target, init.create(target, answers, os.environ))


def _find_answers(
    target: Path,
    origin: str | None,
    named: Sequence[str],
    contact: str | None,
    languages: str | None,
    receiver_url: str,
    timezone: str | None,
) -> init.Answers | None:
    """Return the answers of options and person; None where pushctl.toml exists."""
    if (target / "pushctl.toml").exists():
        if any([origin, *named, contact, languages, receiver_url, timezone]):
            raise UsageError(
                f"{target / 'pushctl.toml'} exists and is never overwritten. Edit it, or run "
                "`pushctl init` without options to add missing files beside it."
            )
        return None
    if not output.is_interactive() and not ((origin or named) and contact):
        raise UsageError("there is no terminal for questions: give --origin and --contact.")
    sites = dict(_split_pair(each) for each in named)
    if origin or not sites:
        question = "What is the address of your web site? (https://shop.example)"
        origin = origin or output.ask(question, fault=_explain(checks.origin))
        sites[init.name_site(origin, sites)] = origin
    question = "To which e-mail address may push services write? (you@shop.example)"
    contact = contact or output.ask(
        question, fault=_explain(checks.contact, init.complete_contact)
    )
    if languages is None:
        question = "In which languages do you write? The default first. (en,de)"
        interactive = output.is_interactive()
        languages = output.ask(question, "en", _explain_language) if interactive else "en"
    return init.Answers(
        sites=sites,
        contact=init.complete_contact(contact),
        languages=_split(languages) or ("en",),
        receiver_url=receiver_url or init.find_local_receiver(sites),
        timezone=timezone or init.read_timezone(os.environ),
    )


def _split(languages: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in languages.split(",") if each.strip())


def _explain(
    check: Callable[[str], checks.Verdict], read: Callable[[str], str] = str
) -> Callable[[str], str | None]:
    def fault(answer: str) -> str | None:
        verdict = check(read(answer))
        return verdict and f"That {verdict[0]}. {verdict[1]}"

    return fault


def _explain_language(answer: str) -> str | None:
    return next(filter(None, map(_explain(checks.language), _split(answer))), None)


def _split_pair(text: str) -> tuple[str, str]:
    name, equals, origin = text.partition("=")
    if not equals:
        raise UsageError(f"--site is {text!r}; write it like shop=https://shop.example")
    return name, origin


def _show(target: Path, made: Sequence[init.Made]) -> None:
    width = max(len(str(_shorten(each.path, target))) for each in made)
    for each in made:
        name = str(_shorten(each.path, target)).ljust(width)
        if each.kept:
            output.say(f"  {name}  exists already, unchanged", "dim")
        else:
            output.say(f"  {name}  {each.note}")
    here = target.absolute() == Path.cwd()
    cd = "" if here else f"cd {shlex.quote(str(target))}\n   "
    output.panel(_NEXT.format(cd=cd), "Next")


def _shorten(path: Path, target: Path) -> Path:
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
