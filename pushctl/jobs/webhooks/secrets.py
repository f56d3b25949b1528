"""
The secrets that calls to webhooks are signed with: keys/webhooks.toml, 0600.

After a rotation the former one signs, too, for a day: the receiver may take its time.
"""

import secrets
import tomllib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pushctl import durable, lock
from pushctl.config import Config
from pushctl.errors import ConfigError, InputError
from pushctl.model import Millis
from pushctl.rules.web import standard_webhooks as standard

_REMEDY = "Restore it from a backup, or remove it: every webhook then gets a new secret."


@dataclass(frozen=True)
class Secret:
    text: str  # whsec_...
    former: str | None = None
    until: Millis = 0  # of the former one

    def list_valid(self, now: Millis) -> list[bytes]:
        """Return the secrets that sign at *now*, the present one first."""
        texts = [self.text] + ([self.former] if self.former and now < self.until else [])
        return [standard.read_secret(text) for text in texts]


def find_file(config: Config) -> Path:
    return config.keys / "webhooks.toml"


def load(config: Config) -> dict[str, Secret]:
    """Return the secrets by the names of webhooks; ConfigError for a file that is none."""
    file = find_file(config)
    try:
        tables = tomllib.loads(file.read_bytes().decode())
        found = {name: Secret(**table) for name, table in tables.items()}
        for one in found.values():
            one.list_valid(0)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}. {_REMEDY}") from error
    except (ValueError, TypeError, AttributeError, InputError):
        # The error would repeat what stands there.
        raise ConfigError(f"{file} is not as pushctl writes it. {_REMEDY}") from None
    return found


def ensure(config: Config, name: str) -> Secret:
    """Return the secret of a webhook; make one where it has none."""
    known = load(config).get(name)
    if known is not None:
        return known
    with _lock(config):
        found = load(config)
        if name not in found:
            found[name] = Secret(_make())
            _write(config, found)
    return found[name]


def rotate(config: Config, name: str, now: Millis) -> Secret:
    """Give a webhook a new secret; the one before signs, too, until tomorrow."""
    with _lock(config):
        found = load(config)
        former = found[name].text if name in found else None
        found[name] = Secret(_make(), former, now + standard.ROTATION if former else 0)
        _write(config, found)
    return found[name]


def _lock(config: Config) -> AbstractContextManager[None]:
    return lock.hold(config.keys / "webhooks.lock", "a change of webhooks' secrets", keep=False)


def _make() -> str:
    return standard.write_secret(secrets.token_bytes(standard.SECRET_BYTES))


def _write(config: Config, found: Mapping[str, Secret]) -> None:
    lines = [
        "# The secrets of [[webhooks]], made by pushctl. Whoever has them can forge its calls."
    ]
    for name, one in found.items():
        lines += ["", f"[{name}]", f'text = "{one.text}"']
        if one.former:
            lines += [f'former = "{one.former}"', f"until = {one.until}"]
    durable.replace(find_file(config), "\n".join([*lines, ""]).encode(), 0o600)
