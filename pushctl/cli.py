"""
The root app: global options, and errors turned into exit codes.

A command's module is imported when it is run: ``pushctl --help`` loads none.
"""

import errno
import os
import re
import select
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.exceptions import TyperException

from pushctl import __version__, standard_streams
from pushctl.commands.context import Context
from pushctl.commands.loading import Branch, load
from pushctl.commands.names import COMMANDS as COMMANDS
from pushctl.commands.names import Command as Command
from pushctl.commands.values import take_plainly
from pushctl.errors import ConfigError, PushctlError, name_shortage


class Root(Branch):
    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return load(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        self.commands = dict.fromkeys(COMMANDS, self)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            from pushctl import output

            output.say("\nStopped. Finished work is kept.")
            raise typer.Exit(130) from None
        except (TyperException, PushctlError, OSError, MemoryError, typer.Exit, typer.Abort):
            raise
        except Exception as error:
            # Values that no program wrote look like a bug: their page may be damaged.
            if isinstance(ctx.obj, Context) and (damage := ctx.obj.find_damage()):
                raise damage from error
            raise


app = typer.Typer(
    cls=Root,
    no_args_is_help=True,
    add_completion=False,  # `pushctl completion` has its own, which is fast
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        from pushctl import output

        output.answer(f"pushctl {__version__}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    project: Annotated[
        Path,
        typer.Option(envvar="PUSHCTL_PROJECT", help="The project's folder, or a folder in it."),
    ] = Path(),
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more detail.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show a bug's traceback.")] = False,
    plain: Annotated[
        bool,
        typer.Option("--plain", envvar="PUSHCTL_PLAIN", help="For screen readers."),
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """
    Send web-push campaigns to your subscribers.

    Start with `pushctl demo`, or with `pushctl init` in a new folder.
    """
    ctx.obj = Context(project, verbose=verbose, debug=debug)
    if plain:
        from pushctl import output

        output.set_plain()
    ctx.call_on_close(ctx.obj.close)


def run(arguments: Sequence[str]) -> int:
    """Run *arguments*; return the exit code (docs/commands.md)."""
    command = typer.main.get_command(app)
    for param in command.params:
        take_plainly(param)
    try:
        code = command.main(list(arguments), prog_name="pushctl", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except PushctlError as error:
        from pushctl import output

        output.error(str(error))
        return error.exit_code
    except TyperException as error:
        _name_place(error, {name for param in command.params for name in param.opts})
        _show_usage_error(error)
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except (Exception, SystemExit) as error:
        return _handle_unforeseen(error, debug="--debug" in arguments)


# Texts of the library that parses options, and ours.
_PLAINER = (
    (re.compile(r"Value error, "), ""),
    (re.compile(r"Input should be a valid (?:integer|number)\b.*"), "it must be a number."),
    (re.compile(r"Input should be (.*)"), r"it must be \1."),
)


def _name_place(error: Any, names: set[str]) -> None:
    """Say of an unknown option, one of the root's *names*, where it goes."""
    name = getattr(error, "option_name", None)
    if name in names and hasattr(error, "possibilities"):  # the root itself knows it
        error.possibilities = None
        error.message = f"{name} goes before the command: pushctl {name} ..."


def _show_usage_error(error: Any) -> None:
    from pushctl import output

    if hasattr(error, "show"):
        for theirs, ours in _PLAINER:
            error.message = theirs.sub(ours, error.message)
        with suppress(OSError):
            error.show()  # with the usage line, on stderr
    else:
        output.error(error.format_message())


def _handle_unforeseen(error: BaseException, debug: bool) -> int:
    from pushctl import output

    if isinstance(error, SystemExit):
        # Typer turns every broken pipe into a SystemExit.
        if not isinstance(error.__context__, BrokenPipeError):
            return error.code if isinstance(error.code, int) else 1
        error = error.__context__
    if isinstance(error, BrokenPipeError) and _is_reader_gone():
        return 128 + 13  # what a shell reports for SIGPIPE
    if isinstance(error, OSError) and error.errno in _OUTSIDE and not debug:
        place = f"{error.filename}: " if error.filename else ""
        output.error(f"{place}{error.strerror}. {_OUTSIDE[error.errno]}")
        return ConfigError.exit_code
    if (shortage := name_shortage(error)) is not None and not debug:
        output.error(str(shortage))
        return shortage.exit_code
    return _report_bug(error, debug)


# Errors of the machine are no bugs of ours; these are their remedies.
_LOOK = "Check its owner and its permissions (ls -ld)."
_ROOM = "Free some space there, then run the command again."
_OUTSIDE = {
    errno.EACCES: _LOOK,
    errno.EPERM: _LOOK,
    errno.ENOENT: "Check that it exists, or give another path.",
    errno.EEXIST: "It exists already; give another path.",
    errno.ENOTDIR: "A part of that path is not a folder; give another path.",
    errno.EISDIR: "It is a folder; give a file.",
    errno.ENAMETOOLONG: "Use a shorter name.",
    errno.EROFS: "That place is read-only; give another path.",
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EIO: "The disk has a fault: read the system's log.",
    errno.EAGAIN: "Allow more processes (ulimit -u, TasksMax of a unit) or end others.",
    errno.ENOMEM: "Free some memory, or allow more (ulimit -v, MemoryMax of a unit).",
    errno.EMFILE: "Allow more open files: ulimit -n.",
    errno.ENFILE: "Allow more open files on this machine (fs.file-max).",
}


def _is_reader_gone() -> bool:
    """Whether stdout's reader has ended (``pushctl ... | head``)."""
    if sys.__stdout__ is None:
        return False
    pipe = sys.__stdout__.fileno()
    poll = select.poll()
    poll.register(pipe, 0)  # poll always reports errors
    return bool(poll.poll(0))


def _report_bug(error: BaseException, debug: bool) -> int:
    """Print one line about a bug, and save its traceback in a file."""
    import tempfile
    import traceback

    from pushctl import output

    text = "".join(traceback.format_exception(error))
    # A service's /tmp goes with it; what it says is kept in the journal.
    if debug or "JOURNAL_STREAM" in os.environ:
        output.say(text)
        return 1
    with tempfile.NamedTemporaryFile(
        "w", prefix="pushctl-", suffix=".log", delete=False
    ) as log:
        log.write(text)
    output.error(
        f"this is a bug in pushctl ({type(error).__name__}); its traceback is in {log.name}"
    )
    return 1


def leave(code: int) -> NoReturn:
    standard_streams.empty_buffers()
    sys.exit(code)


def fail(error: OSError) -> NoReturn:
    """End as a command that met *error* ends: where the short path could not print."""
    leave(_handle_unforeseen(error, debug=False))


def main() -> NoReturn:
    standard_streams.use_utf8()
    leave(run(sys.argv[1:]))
