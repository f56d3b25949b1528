"""pushctl demo: the whole loop on one machine."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Choice(StrEnum):
    AUTO = "auto"
    FIREFOX = "firefox"
    CHROMIUM = "chromium"
    NONE = "none"


def command(
    folder: Annotated[Path, typer.Option(help="Where the project is made; kept.")] = Path(
        "pushctl-demo"
    ),
    browser: Annotated[
        Choice, typer.Option(help="A real browser that takes part, if one is here.")
    ] = Choice.AUTO,
    visitors: Annotated[int, typer.Option(min=12, max=5000, help="Simulated browsers.")] = 240,
    watch: Annotated[
        bool, typer.Option("--open", help="Show the browser; you do the clicking.")
    ] = False,
    stay: Annotated[
        bool, typer.Option("--stay", help="Keep shop and services until Ctrl-C.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the visitors' whims.")] = 7,
) -> None:
    """
    Try everything on this machine.

    pushctl demo --browser none

    No account and no internet: a push service that checks like the real ones, a shop,
    and visitors that subscribe, leave baskets, decrypt, click and buy. The project
    stays behind in a folder for playing on.
    """
    from pushctl.demo.story import Options, run

    run(Options(folder, visitors, browser.value, watch, stay, seed))
