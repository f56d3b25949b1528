"""Reading what keys/ has as TOML: a file that may be missing, and whose text is secret."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pushctl.errors import ConfigError


def read(file: Path, explain: Callable[[Exception], ConfigError]) -> dict[str, Any]:
    """
    Return the tables of *file*, none where it does not exist.

    Raises ConfigError for a file that can't be read, and what *explain* makes of one that is
    no TOML: its own words could repeat a secret.
    """
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(
            f"{file} can't be read: {error.strerror}. Check its owner and permissions."
        ) from error
    except (ValueError, RecursionError) as error:
        raise explain(error) from None
