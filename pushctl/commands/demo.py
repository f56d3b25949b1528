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
    folder: Annotated[Path, typer.Option(help="Folder of the project; it is kept.")] = Path(
        "pushctl-demo"
    ),
    browser: Annotated[
        Choice, typer.Option(help="Real browser to use, if it is installed.")
    ] = Choice.AUTO,
    visitors: Annotated[int, typer.Option(min=12, max=5000, help="Simulated browsers.")] = 240,
    watch: Annotated[
        bool, typer.Option("--open", help="Show the browser; you click yourself.")
    ] = False,
    stay: Annotated[
        bool, typer.Option("--stay", help="Keep the shop running until Ctrl-C.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Start number for random behaviour.")] = 7,
) -> None:
    """
    Try everything on this computer.

    pushctl demo --browser none

    The demo needs no account and no internet. It runs a shop, a push service that checks
    requests as the real ones do, and visitors that subscribe, leave baskets, click and
    buy. The project stays in its folder, for your own tries.
    """
    from pushctl.demo.story import Options, run

    run(Options(folder, visitors, browser.value, watch, stay, seed))
