"""Typer's objects of the commands. A command's module is imported when it is run."""

import sys
from collections.abc import Iterator, Mapping
from copy import copy
from importlib import import_module
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple, get_args

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.exceptions import TyperException
from typer.models import CommandInfo

from pushctl.commands import help_texts
from pushctl.commands.names import COMMANDS
from pushctl.commands.values import take_plainly
from pushctl.standard_streams import has_colours

_METAVARS = {str: "<text>", int: "<number>", float: "<number>", Path: "<path>"}
_SHORT = {f"--{name}": f"--format={name}" for name in ("csv", "excel", "json")}


def _expand(command: Any, args: list[str]) -> list[str]:
    """Return *args* with --csv, --excel and --json as --format, where *command* has that."""
    if not any(param.name == "format" for param in command.params):
        return args
    # Words after "--" are no options.
    end = args.index("--") if "--" in args else len(args)
    return [*(_SHORT.get(arg, arg) for arg in args[:end]), *args[end:]]


class _Ours:
    """Our help, and --csv, --excel and --json for --format."""

    def get_help(self, ctx: Any) -> str:
        text = help_texts.hide_types(super().get_help(ctx))  # type: ignore[misc]
        return help_texts.paint(text) if has_colours(sys.stdout) else text

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            take_plainly(option)
        return option

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        found: list[str] = super().parse_args(ctx, _expand(self, args))  # type: ignore[misc]
        return found


class _Leaf(_Ours, TyperCommand):
    def invoke(self, ctx: Any) -> Any:
        from pushctl.commands import run_recording

        with run_recording.follow(ctx):
            return super().invoke(ctx)


class Branch(_Ours, TyperGroup):
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except TyperException as error:
            # Somebody who types a name where a verb belongs wants to see that one.
            if args and args[0][:1] != "-" and "Did you mean" not in error.message:
                error.message += self._propose(ctx, args[0])
            raise

    def _propose(self, ctx: Any, name: str) -> str:
        for verb in ("show", "campaign"):
            if verb in self.commands and any(
                param.param_type_name == "argument" for param in self.commands[verb].params
            ):
                return f" To see one: {ctx.command_path} {verb} {quote(name)}"
        return ""


class _Later(NamedTuple):
    """A verb whose module is imported when the verb is run."""

    name: str
    module: str
    function: str


def add(app: typer.Typer, name: str, module: str, function: str = "command") -> None:
    """Add the verb *name*, a *function* of *module*, which is not imported now."""
    app.registered_commands.append(_Later(name, module, function))  # type: ignore[arg-type]


class _Verbs(Mapping[str, Any]):
    """The commands of a group by name, each made when it is asked for."""

    def __init__(self, app: typer.Typer) -> None:
        self._infos: dict[str, Any] = {_find_name(it): it for it in app.registered_commands}
        self._made: dict[str, Any] = {}
        self.modules = [it.module for it in self._infos.values() if isinstance(it, _Later)]

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _make_command(name, self._infos[name])
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._infos

    def __iter__(self) -> Iterator[str]:
        return iter(self._infos)

    def __len__(self) -> int:
        return len(self._infos)


def _find_name(info: Any) -> str:
    return str(info.name or typer.main.get_command_name(info.callback.__name__))


def _make_command(name: str, info: Any) -> Any:
    if isinstance(info, _Later):
        info = CommandInfo(name, callback=getattr(import_module(info.module), info.function))
    info.cls = _Leaf
    command = typer.main.get_command_from_info(
        info, pretty_exceptions_short=False, rich_markup_mode=None
    )
    _finish(command)
    return command


def load(name: str) -> Any:
    """Return the command *name* of Typer; the verbs of a noun are made when they are run."""
    module = import_module(COMMANDS[name].module)
    if not hasattr(module, "app"):
        return _make_command(name, CommandInfo(name, callback=module.command))
    # A noun stays one, even while it has a single verb.
    noun = copy(module.app)
    noun.registered_commands = []
    noun.info = copy(noun.info)
    noun.info.cls, noun.rich_markup_mode = Branch, None
    command = typer.main.get_group(noun)
    command.name = name
    command.commands = _Verbs(module.app)  # type: ignore[assignment]
    _finish(command)
    return command


def _finish(command: Any) -> None:
    for param in command.params:
        take_plainly(param)
        if isinstance(param, TyperOption) and param.metavar is None and not param.is_flag:
            kind = _METAVARS.get(find_type(param))
            param.metavar = "<text>..." if param.multiple else kind


def find_type(param: Any) -> Any:
    """Return an option's type without "or None"."""
    annotation = param.type_descriptor.annotation
    plain = [each for each in get_args(annotation) if each is not type(None)]
    return plain[0] if len(plain) == 1 else annotation
