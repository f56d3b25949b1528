"""
The log of sends, sweeps and imports, by the standard library's logging.

``[log]`` in pushctl.toml sets a file and its form, ``-v`` logs to stderr; without either
nothing is logged. An endpoint or a key would let a reader send to people, so all that looks
like an address's path or a key is cut out.
"""

import logging
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

import orjson

from pushctl.rules.wording import clean

_ROOT = logging.getLogger("pushctl")
# Else Python itself would print warnings.
_ROOT.addHandler(logging.NullHandler())

# An address: scheme, password, host, the rest. And 22 or more letters of base64url: our
# shortest secret, an auth of 16 bytes, has so many.
_ADDRESS = re.compile(r"\b(https?://)([^/?#\s\"'@]*@)?([^/?#\s\"'@]+)([/?#][^\s\"']+)?")
_KEY = re.compile(r"(?<![\w-])(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[A-Za-z0-9_-]{22,}(?![\w-])")


def note(name: str, message: str, /, *, level: int = logging.INFO, **fields: object) -> None:
    """Log a constant *message*, to search for, with variable *fields*, as pushctl.*name*."""
    logger = logging.getLogger(f"pushctl.{name}")
    if logger.isEnabledFor(level):
        logger.log(level, message, extra={"fields": fields})


def note_error(
    name: str, message: str, error: BaseException | None, /, **fields: object
) -> None:
    """Log a warning as ``note`` does, with the traceback of *error*."""
    logger = logging.getLogger(f"pushctl.{name}")
    logger.warning(message, extra={"fields": fields}, exc_info=error)


def start(file: Path | None, form: str, *, verbose: bool = False) -> str | None:
    """
    Start to log: to *file* as "text" or "json", and with *verbose* to stderr as text.

    Returns the reason why the file can't be written, or None: sending continues without.
    """
    trouble = None
    handlers: list[logging.Handler] = []
    if file is not None:
        try:
            handlers.append(_File(file, encoding="utf-8"))
        except OSError as error:
            trouble = f"[log] file = {str(file)!r} can't be written: {error.strerror}"
        else:
            handlers[0].setFormatter(JsonLines() if form == "json" else TextLines())
    if verbose:
        handlers.append(logging.StreamHandler())
        handlers[-1].setFormatter(TextLines())
    for handler in handlers:
        _ROOT.addHandler(handler)
    if handlers:
        _ROOT.setLevel(logging.INFO)
    return trouble


def hide_secrets(text: str) -> str:
    """Return *text* without paths of addresses, keys and control characters."""
    return clean(_KEY.sub("…", _ADDRESS.sub(_shorten, text)))


def _shorten(address: re.Match[str]) -> str:
    return f"{address[1]}{address[3]}{'/…' if address[4] else ''}"


class TextLines(logging.Formatter):
    """2026-04-28T10:00:00.000+00:00 INFO sweep: ended accepted=12 seconds=0.8"""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={_text(value)}" for name, value in _fields(record).items())
        name = record.name.removeprefix("pushctl.")
        line = f"{_moment(record)} {record.levelname} {name}: {record.getMessage()}{fields}"
        if record.exc_info:
            line += f" trace={_text(self.formatException(record.exc_info))}"
        return hide_secrets(line)


class JsonLines(logging.Formatter):
    """One object a line: at, level, logger, message and the line's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"at": _moment(record), "level": record.levelname.lower(), **self.fill(record)}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        hidden = {name: self.hide(value) for name, value in line.items()}
        return orjson.dumps(hidden, default=str, option=orjson.OPT_NON_STR_KEYS).decode()

    def fill(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the fields between level and trace."""
        name = record.name.removeprefix("pushctl.")
        return {"logger": name, "message": record.getMessage(), **_fields(record)}

    def hide(self, value: Any) -> Any:
        return _hidden(value)


class _File(WatchedFileHandler):
    """A file for its owner only, opened anew when logrotate has moved it away."""

    def _open(self) -> Any:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return os.fdopen(os.open(self.baseFilename, flags, 0o600), "a", encoding=self.encoding)

    def handleError(self, record: logging.LogRecord) -> None:
        """Lose the line: a full disk must not stop the sending."""


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = getattr(record, "fields", {})
    return fields


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _hidden(value: Any) -> Any:
    if isinstance(value, str):
        return hide_secrets(value)
    if isinstance(value, Mapping):
        return {hide_secrets(str(name)): _hidden(inner) for name, inner in value.items()}
    return value


def _text(value: Any) -> str:
    """Return *value* as one word, or in quotes."""
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, str) and re.fullmatch(r"[^\s\"=]+", value):
        return value
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
