"""Values of options without pydantic: what Typer makes of them, and its errors."""

import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import typer
from typer.exceptions import TyperException

from pushctl.commands.values import take_plainly


class Size(StrEnum):
    SMALL = "small"
    LARGE = "Large"


def odd(
    texts: list[str] | None = None,
    text: Annotated[str | None, typer.Option(envvar="ODD_TEXT")] = None,
    word: str = "w",
    path: Path = Path("here"),
    folder: Annotated[Path | None, typer.Option(exists=True, file_okay=False)] = None,
    number: int = 3,
    few: Annotated[int, typer.Option(min=2, max=5)] = 4,
    share: float | None = None,
    wrong: Annotated[int, typer.Option(max=5)] = 9,
    size: Size = Size.SMALL,
    sizes: list[Size] | None = None,
    any_case: Annotated[Size | None, typer.Option(case_sensitive=False)] = None,
    every: Literal["day", "week"] = "day",
    loud: bool = False,
    letters: Annotated[int | None, typer.Option(parser=len)] = None,
) -> dict[str, Any]:
    return dict(locals())


def call(words: Sequence[str], *, plainly: bool) -> Any:
    """Return what the command gets, with the values' types, or the error's words."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(odd)
    command = typer.main.get_command(app)
    for param in command.params:
        if plainly:
            take_plainly(param)
    try:
        found = command.main(list(words), "odd", standalone_mode=False)
    except TyperException as error:
        return type(error), error.exit_code, error.format_message()
    return {name: (type(value), value) for name, value in found.items()}


GIVEN = [
    "--wrong=1",
    "--wrong=1 --text=x --word= --texts a --texts b",
    "--wrong=1 --text=\udcff",
    "--wrong=1 --texts=a --texts=\udcff",
    "--wrong=1 --path=/x/y --folder=/tmp --size=Large --sizes small --sizes Large",
    "--wrong=1 --path=",
    "--wrong=1 --folder=/nowhere",
    "--wrong=1 --folder=/etc/passwd",
    "--wrong=1 --size=huge",
    "--wrong=1 --sizes small --sizes huge",
    "--wrong=1 --size=large",
    "--wrong=1 --any-case=LARGE --every=week",
    "--wrong=1 --every=month",
    "--wrong=1 --number=7 --few=2 --share=0.5 --loud --letters=four",
    "--wrong=1 --number=x",
    "--wrong=1 --few=1",
    "--wrong=1 --share=many",
    "--wrong=1 --number=1.0",
    "--wrong=6",
    "",
]


@pytest.mark.parametrize("words", GIVEN)
def test_values_and_errors_are_typers_own(words: str) -> None:
    split = words.split()
    assert call(split, plainly=True) == call(split, plainly=False)


def test_a_variable_that_is_no_utf8_is_taken_as_by_typer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(os.environ, "ODD_TEXT", "\udcfe")
    assert call(["--wrong=1"], plainly=True) == call(["--wrong=1"], plainly=False)
