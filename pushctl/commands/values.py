"""
Values of options that need no conversion, without pydantic.

Typer converts each value by pydantic, whose loading takes as long as all the rest of a
short command. Most values are what they should be: a text that stays one, an option's
default. Paths and choices are read by Typer's own functions. All else, and each mistake, is
given to pydantic as Typer would.
"""

from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

try:
    from typer._param_types import coerce_cli_choice, coerce_cli_path
except ImportError:  # another Typer: slower, not wrong
    coerce_cli_choice = coerce_cli_path = None  # type: ignore[assignment]


class _NotPlainError(Exception):
    pass


class _Plain:
    """What Typer asks for an option's value, for one whose value is plain."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return what Typer would; raises its error for a mistake."""
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        kind, info = param.type_descriptor.annotation, param.type_descriptor.parameter_info
        try:
            if info.parser is not None:
                raise _NotPlainError
            if not several:
                return _take(value, kind, info, param, ctx)
            if get_origin(kind) is not list or not isinstance(value, tuple | list):
                raise _NotPlainError
            return [_take(each, get_args(kind)[0], info, param, ctx) for each in value]
        except _NotPlainError:
            param._runtime_param = None
            return param.get_runtime_param().coerce(value, param=param, ctx=ctx)


def take_plainly(param: Any) -> None:
    """Let *param*, an option or argument of Typer's, take plain values without pydantic."""
    if coerce_cli_choice is not None and coerce_cli_path is not None:
        param._runtime_param = _Plain()


def _take(value: Any, kind: Any, info: Any, param: Any, ctx: Any) -> Any:
    if kind is Path and isinstance(value, str | Path) and info.path_type is None:
        return coerce_cli_path(Path(value), info, path_type=Path, param=param, ctx=ctx)
    if get_origin(kind) is Literal or (isinstance(kind, type) and issubclass(kind, Enum)):
        choices = get_args(kind) if get_origin(kind) is Literal else list(kind)
        try:
            case = info.case_sensitive
            return coerce_cli_choice(value, choices=choices, case_sensitive=case, ctx=ctx)
        except ValueError:
            raise _NotPlainError from None
    if type(value) is not kind or kind not in (str, bool, int, float):
        raise _NotPlainError
    if kind is str:
        # A word of the command line that is no UTF-8.
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise _NotPlainError
    elif (info.min is not None and value < info.min) or (
        info.max is not None and value > info.max
    ):
        raise _NotPlainError
    return value
