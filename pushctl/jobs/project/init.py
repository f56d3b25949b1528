"""
Create a project: pushctl.toml, keys, database, templates/, sw/ and the folders.

Existing files stay unchanged, so a second run completes a first one.
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import chain, count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pushctl import config as configs
from pushctl import durable, shipped
from pushctl.config import Config
from pushctl.errors import ConfigError, UsageError
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.jobs.project import scripts
from pushctl.rules import tokens
from pushctl.rules.config import checks

# The site of pushctl.toml.example begins with the one, the part after it with the other.
_SITE = "[sites.shop"
_AFTER_SITES = "# The small web service"
_LANGUAGES = '# languages = ["en", "ar", "tr"]'

# receiver.listen's default, for browsers on this machine.
_LOCAL_RECEIVER = "http://localhost:8750"

# Keys and personal data must not get into a repository.
_IGNORED = ("keys/", "pushctl.db*", "inbox/", "journal/", "status/")


@dataclass(frozen=True)
class Answers:
    sites: Mapping[str, str]  # name -> origin
    contact: str
    languages: Sequence[str] = ("en",)  # the default first
    receiver_url: str = ""
    timezone: str = "UTC"

    def list_faults(self) -> list[str]:
        """Return a sentence for each fault of the answers."""
        asked = [
            *((f"the origin of {it}", checks.origin(url)) for it, url in self.sites.items()),
            *(("the site", checks.named((name, ""))) for name in self.sites),
            ("the contact", checks.contact(self.contact)),
            *(("the language", checks.language(each)) for each in self.languages),
            ("the receiver's URL", checks.receiver_url(self.receiver_url)),
            ("the time zone", checks.timezone(self.timezone)),
        ]
        return [f"{name} {fault[0]}. {fault[1]}" for name, fault in asked if fault]


@dataclass(frozen=True)
class Made:
    path: Path
    kept: bool  # it existed already and is unchanged
    note: str


def name_site(origin: str, taken: Collection[str] = ()) -> str:
    """
    Return a short name for the site at *origin*: "shop" for https://www.shop.example.

    For an IP address it is "localhost" on this machine, else "site". A name that is
    *taken* gets a number.
    """
    label = _find_host_name(origin)
    if checks.named((label, "")) is not None:
        label = "site"
    numbered = (f"{label}-{number}" for number in count(2))
    return next(name for name in chain([label], numbered) if name not in taken)


def _find_host_name(origin: str) -> str:
    try:
        host = urlsplit(origin).hostname or ""
    except ValueError:  # brackets that hold no address
        return ""
    try:
        address = ip_address(host)
    except ValueError:
        return host.removeprefix("www.").split(".")[0]
    return "localhost" if address.is_loopback else ""


def complete_contact(contact: str) -> str:
    """Return a bare mail address as a mailto: URL, all else unchanged."""
    return f"mailto:{contact}" if "@" in contact and ":" not in contact else contact


def find_local_receiver(sites: Mapping[str, str]) -> str:
    """Return the receiver's default URL where all pages are on this machine, else ""."""
    local = all(_find_host_name(origin) == "localhost" for origin in sites.values())
    return _LOCAL_RECEIVER if local else ""


def read_timezone(environment: Mapping[str, str], link: Path = Path("/etc/localtime")) -> str:
    """Return this machine's time zone, or "UTC"."""
    target = str(link.readlink()) if link.is_symlink() else ""
    for name in (environment.get("TZ", ""), target.partition("zoneinfo/")[2]):
        if name and checks.timezone(name) is None:
            return name
    return "UTC"


def create(folder: Path, answers: Answers | None, environment: Mapping[str, str]) -> list[Made]:
    """
    Create missing parts of the project in *folder*; return all parts.

    *answers* are needed while there is no pushctl.toml. Raises UsageError for bad answers,
    ConfigError for a faulty pushctl.toml.
    """
    file = folder.absolute() / configs.FILE
    there = file.exists()
    if not there:
        if answers is None or (faults := answers.list_faults()):
            raise UsageError("\n".join(faults if answers else ["there is no pushctl.toml"]))
        folder.mkdir(parents=True, exist_ok=True)
        durable.write_new(file, render_toml(answers).encode(), 0o644)
    config = configs.load(file, environment)
    languages = answers.languages if answers else config.first_site.written_languages
    return [
        Made(file, there, "the project's settings"),
        *_make_secrets(config),
        *_make_folders(config),
        _make_database(config),
        _make_templates(config, languages),
        _make_scripts(config),
        _make_gitignore(config),
    ]


def render_toml(answers: Answers) -> str:
    """Return pushctl.toml.example with *answers* and its comments."""
    import tomlkit

    text = shipped.find("pushctl.toml.example").read_text("utf-8")
    start, end = text.index(_SITE), text.index(_AFTER_SITES)
    block = text[start:end]
    if len(answers.languages) > 1:
        block = block.replace(_LANGUAGES, f"languages = {json.dumps(list(answers.languages))}")
    blocks = (block.replace(_SITE, f"[sites.{name}", 2) for name in answers.sites)
    document: Any = tomlkit.parse(text[:start] + "".join(blocks) + text[end:])
    document["contact"] = answers.contact
    document["receiver"]["url"] = answers.receiver_url
    for name, origin in answers.sites.items():
        site = document["sites"][name]
        site["origin"] = origin
        site["language"] = answers.languages[0]
        site["timezone"] = answers.timezone
    return tomlkit.dumps(document)


def _make_secrets(config: Config) -> Iterator[Made]:
    from pushctl.push import vapid

    there = any(config.keys.glob("vapid-*.pem"))
    if not there:
        _guard_lost_keys(config)
        vapid.write(config.keys)
    for key in vapid.load(config.keys).values():
        vapid.write_public(key, key.file.parent if key.file else config.keys)
    yield Made(config.keys, there, "your VAPID key: keep a copy in a safe place")
    # Text, not bytes: they are pasted into the shop's own settings.
    alias_secret, email_secret = (
        f"{tokens.encode(os.urandom(32))}\n".encode() for _ in range(2)
    )
    for name, content, note in (
        ("secret", os.urandom(configs.SECRET_BYTES), "the key that signs message ids"),
        ("alias_secret", alias_secret, "the key for your shop to sign customers' ids"),
        ("email_secret", email_secret, "the key for your shop to hash customers' e-mails"),
    ):
        file = config.keys / name
        there = file.exists()
        if not there:
            durable.write_new(file, content, 0o600)
        yield Made(file, there, note)


def _guard_lost_keys(config: Config) -> None:
    """Raise ConfigError where subscribers wait for a key that is lost."""
    from pushctl.jobs.project import keys

    if lost := keys.count_lost(config):
        files = ", ".join(f"vapid-{key}.pem" for key in lost)
        raise ConfigError(
            f"{keys.describe_lost(lost)}. Bring {files} back from a backup into {config.keys}. "
            f"Only if it is lost for good: `pushctl keys lost {next(iter(lost))}`."
        )


def _make_folders(config: Config) -> Iterator[Made]:
    for path, note in (
        (config.inbox, "requests of browsers, until they are imported"),
        (config.journal, "records of messages that are being sent"),
    ):
        there = path.is_dir()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield Made(path, there, note)


def _make_database(config: Config) -> Made:
    from pushctl.store import Store

    there = config.database.exists()
    if not there and restore_guard.make_path(config).exists():
        raise ConfigError(
            f"{config.database} is gone, though it has sent messages. Restore it from a "
            "backup; see docs/configuration.md. To begin without anybody, remove "
            f"{restore_guard.make_path(config)}, too."
        )
    with Store(config.database, create=True) as store:
        store.sites.sync({site.name: site.origin for site in config.sites.values()})
    return Made(config.database, there, "the database")


def _make_templates(config: Config, languages: Sequence[str]) -> Made:
    there = config.templates.exists()
    if not there:
        # Not needed for --help: it loads Jinja.
        from pushctl import templates
        from pushctl.jobs.messages import themes

        for theme in templates.list_names(shipped.find("templates")):
            folder = config.templates / theme
            themes.copy_theme(theme, folder, languages, {languages[0]})
    written = {_find_language(file) for file in config.templates.rglob("*.toml")}
    lacking = ", ".join(each for each in languages if each not in written)
    note = f"; none in {lacking} yet, so write them" if lacking else ""
    return Made(config.templates, there, f"the message templates, for you to edit{note}")


def _find_language(file: Path) -> str | None:
    name = file.name.split(".")[0]
    return name if file.suffix == ".toml" and checks.language(name) is None else None


def _make_scripts(config: Config) -> Made:
    folder = config.folder / "sw"
    there = folder.exists()
    if not there:
        scripts.fill_scripts(config)
    return Made(folder, there, "for your web site: page script and service worker")


def _make_gitignore(config: Config) -> Made:
    file = config.folder / ".gitignore"
    text = file.read_text("utf-8") if file.exists() else ""
    missing = [line for line in _IGNORED if line not in text.splitlines()]
    if missing:
        lines = ["# Secrets and personal data: never in a repository.", *missing, ""]
        durable.append_durably(file, "\n".join(lines).encode(), 0o666)
    return Made(file, not missing, "keeps secrets out of a repository")
