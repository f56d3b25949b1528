"""
Make a project: pushctl.toml, keys, database, templates/, sw/ and the folders.

What is there already stays as it is, so a second run completes what a first one began.
"""

import os
import shutil
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
from pushctl.errors import UsageError
from pushctl.jobs.project import scripts
from pushctl.rules import tokens
from pushctl.rules.config import checks

# Where the one site of pushctl.toml.example begins, and what follows it.
_SITE = "[sites.shop"
_AFTER_SITES = "# The small web service"

# As browsers say receiver.listen's default on the machine itself.
_LOCAL_RECEIVER = "http://localhost:8750"

# What must not get into a repository: keys, people, and what is on the wire.
_IGNORED = ("keys/", "pushctl.db*", "inbox/", "journal/")


@dataclass(frozen=True)
class Answers:
    """What `pushctl init` has to know."""

    sites: Mapping[str, str]  # name -> origin
    contact: str
    languages: Sequence[str] = ("en",)  # the default first
    receiver_url: str = ""
    timezone: str = "UTC"

    def faults(self) -> list[str]:
        """Return everything that is wrong with the answers, one sentence each."""
        asked = [
            *(
                (f"the origin of {name}", checks.origin, each)
                for name, each in self.sites.items()
            ),
            *(("the site", checks.named, (name, "")) for name in self.sites),
            ("the contact", checks.contact, self.contact),
            *(("the language", checks.language, each) for each in self.languages),
            ("the receiver's URL", checks.receiver_url, self.receiver_url),
            ("the time zone", checks.timezone, self.timezone),
        ]
        found: list[str] = []
        for what, check, value in asked:
            if verdict := check(value):  # type: ignore[operator]
                found.append(f"{what} {verdict[0]}. {verdict[1]}")
        return found


@dataclass(frozen=True)
class Made:
    """One thing of the new project."""

    path: Path
    kept: bool  # it was there before, and nothing was changed
    note: str


def site_name(origin: str, taken: Collection[str] = ()) -> str:
    """
    Return a short name for the site at *origin*: "shop" for https://www.shop.example.

    An address says nothing of what stands there: "localhost" on this machine, else
    "site". A name that is *taken* gets a number.
    """
    label = _host_name(origin)
    if checks.named((label, "")) is not None:
        label = "site"
    numbered = (f"{label}-{number}" for number in count(2))
    return next(name for name in chain([label], numbered) if name not in taken)


def _host_name(origin: str) -> str:
    try:
        host = urlsplit(origin).hostname or ""
    except ValueError:  # brackets that hold no address
        return ""
    try:
        address = ip_address(host)
    except ValueError:
        return host.removeprefix("www.").split(".")[0]
    return "localhost" if address.is_loopback else ""


def mailto(contact: str) -> str:
    """Return a bare mail address as the URL that push services want; anything else as it is."""
    return f"mailto:{contact}" if "@" in contact and ":" not in contact else contact


def local_receiver(sites: Mapping[str, str]) -> str:
    """
    Return the receiver's URL where all pages are on this machine: its own default address.

    "" for pages on the web: only their owner knows.
    """
    local = all(_host_name(origin) == "localhost" for origin in sites.values())
    return _LOCAL_RECEIVER if local else ""


def machine_timezone(
    environment: Mapping[str, str], link: Path = Path("/etc/localtime")
) -> str:
    """Return the time zone that this machine is set to; "UTC" when it doesn't say."""
    target = str(link.readlink()) if link.is_symlink() else ""
    for name in (environment.get("TZ", ""), target.partition("zoneinfo/")[2]):
        if name and checks.timezone(name) is None:
            return name
    return "UTC"


def create(folder: Path, answers: Answers | None, environment: Mapping[str, str]) -> list[Made]:
    """
    Make what is missing of the project in *folder* and return all of it.

    *answers* are needed while there is no pushctl.toml. Raises UsageError naming
    every bad answer, ConfigError when a pushctl.toml that was there is faulty.
    """
    file = folder.absolute() / configs.FILE
    there = file.exists()
    if not there:
        if answers is None or (faults := answers.faults()):
            raise UsageError("\n".join(faults if answers else ["there is no pushctl.toml"]))
        folder.mkdir(parents=True, exist_ok=True)
        durable.write_new(file, toml(answers).encode(), 0o644)
    config = configs.load(file, environment)
    languages = answers.languages if answers else [_first_language(config)]
    return [
        Made(file, there, "what pushctl knows about the project"),
        *_secrets(config),
        *_folders(config),
        _database(config),
        _templates(config, languages),
        _scripts(config),
        _gitignore(config),
    ]


def toml(answers: Answers) -> str:
    """Return pushctl.toml.example with *answers* in it and its comments kept."""
    import tomlkit

    text = shipped.find("pushctl.toml.example").read_text("utf-8")
    start, end = text.index(_SITE), text.index(_AFTER_SITES)
    block = text[start:end]
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


def _first_language(config: Config) -> str:
    return next(iter(config.sites.values())).language


def _secrets(config: Config) -> Iterator[Made]:
    from pushctl.push import vapid

    there = any(config.keys.glob("vapid-*.pem"))
    if not there:
        vapid.write(config.keys)
    for key in vapid.load(config.keys).values():
        vapid.write_public(key, config.keys)
    yield Made(config.keys, there, "your VAPID key: keep a copy in a safe place")
    secret = config.keys / "secret"
    there = secret.exists()
    if not there:
        durable.write_new(secret, os.urandom(configs.SECRET_BYTES), 0o600)
    yield Made(secret, there, "signs the messages' names")
    shop = config.keys / "alias_secret"
    there = shop.exists()
    if not there:
        # Text, not bytes: it is pasted into the shop's own settings.
        durable.write_new(shop, f"{tokens.encode(os.urandom(32))}\n".encode(), 0o600)
    yield Made(shop, there, "your shop signs its customers' ids with it")


def _folders(config: Config) -> Iterator[Made]:
    for path, note in (
        (config.inbox, "what the receiver takes, until it is imported"),
        (config.journal, "what is on the wire"),
    ):
        there = path.is_dir()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield Made(path, there, note)


def _database(config: Config) -> Made:
    from pushctl.store import Store

    there = config.database.exists()
    with Store(config.database, create=True) as store:
        store.sites.sync({site.name: site.origin for site in config.sites.values()})
    return Made(config.database, there, "the database")


def _templates(config: Config, languages: Sequence[str]) -> Made:
    there = config.templates.exists()
    if not there:
        source = shipped.find("templates")
        for file in sorted(source.rglob("*")):
            relative = file.relative_to(source)
            if file.is_file() and _wanted(relative, languages):
                target = config.templates / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
        _fill_in(config.templates, languages[0])
    written = {_language_of(file) for file in config.templates.rglob("*.toml")}
    lacking = ", ".join(each for each in languages if each not in written)
    note = f"; none in {lacking} yet: write them" if lacking else ""
    return Made(config.templates, there, f"the messages, yours to rewrite{note}")


def _language_of(file: Path) -> str | None:
    """Return the language that a template's file is written in; None: it has none."""
    name = file.name.split(".")[0]
    return name if file.suffix == ".toml" and checks.language(name) is None else None


def _wanted(file: Path, languages: Sequence[str]) -> bool:
    return _language_of(file) in (None, *languages)


def _fill_in(templates: Path, language: str) -> None:
    """Give every template without a text in *language* the English one to translate."""
    source = shipped.find("templates")
    for message in sorted(templates.glob("*/message.toml")):
        target = message.with_name(f"{language}.toml")
        english = source / message.parent.name / "en.toml"
        if not target.exists() and english.exists():
            note = f"# Still English: write it in {language!r}.\n"
            target.write_text(note + english.read_text("utf-8"), "utf-8")


def _scripts(config: Config) -> Made:
    folder = config.folder / "sw"
    there = folder.exists()
    if not there:
        scripts.fill_scripts(config)
    return Made(folder, there, "for your web site: page script and service worker")


def _gitignore(config: Config) -> Made:
    file = config.folder / ".gitignore"
    text = file.read_text("utf-8") if file.exists() else ""
    missing = [line for line in _IGNORED if line not in text.splitlines()]
    if missing:
        lines = ["# Secrets and people: never in a repository.", *missing, ""]
        durable.append_durably(file, "\n".join(lines).encode(), 0o666)
    return Made(file, not missing, "keeps secrets out of a repository")
