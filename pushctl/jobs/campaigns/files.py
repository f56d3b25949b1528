"""The folder campaigns/: reads its files, and makes of each what `pushctl send` would do."""

import errno
import re
import stat
import tomllib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from pushctl.config import Config
from pushctl.errors import ConfigError, InputError, NotFoundError, Problem, PushctlError
from pushctl.jobs.campaigns import random_hours, variants
from pushctl.jobs.campaigns.draft import Draft, load_sources, read_options
from pushctl.model import Campaign, Millis
from pushctl.rules import campaign_files
from pushctl.rules.campaign_files import CampaignFile
from pushctl.rules.config import checks
from pushctl.rules.config.structure import line_of, suggest
from pushctl.rules.limits import MAX_CAMPAIGN_FILE_BYTES
from pushctl.rules.messages.content import hash_content
from pushctl.rules.schedule import Passed
from pushctl.rules.wording import clean, moment
from pushctl.store import Store
from pushctl.templates import Template

FOLDER = "campaigns"
_OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)")
_OTHERWISE = {"tag": "tags", "segment": "segments"}
_KEYS = frozenset(each.name for each in fields(CampaignFile)) - {"name"}


class FileError(ConfigError):
    """A file can't be applied; it has one problem, with its line."""


def find_folder(config: Config) -> Path:
    return config.folder / FOLDER


def name_file(name: str) -> str:
    """Return how people are told of a file: "campaigns/sale.toml"."""
    return f"{FOLDER}/{name}.toml"


def describe(store: Store, campaign: Campaign) -> str | None:
    """Say of which file a campaign came, when and by whom; None: it came of no file."""
    row = store.applied.find_of_campaign(campaign.id, campaign.options.get("series"))
    if row is None:
        return None
    by = f" by {row.by}" if row.by else ""
    return f"{name_file(row.file)}, applied {moment(row.at)}{by}"


def list_names(config: Config) -> list[str]:
    """Return the names of all campaigns' files; those in folders below are no campaigns yet."""
    # Editors leave files such as ".#sale.toml" beside what they write.
    found = (file.stem for file in find_folder(config).glob("*.toml"))
    return sorted(name for name in found if not name.startswith("."))


def choose_names(config: Config, wanted: Sequence[str], applied: Sequence[str]) -> list[str]:
    """
    Return the *wanted* names, as "sale", "sale.toml" or a path; all without one.

    One that was applied and is gone is no mistake. Raises NotFoundError for others.
    """
    there = list_names(config)
    if not wanted:
        return there
    names = [Path(each).name.removesuffix(".toml") for each in wanted]
    for name in names:
        if name not in there and name not in applied:
            remedy = (
                suggest(name, [clean(each) for each in there])
                if there
                else "The folder has no campaign."
            )
            raise NotFoundError(f"there is no {name_file(clean(name))}. {remedy}")
    return [name for name in dict.fromkeys(names) if name in there]


def load(config: Config, name: str) -> tuple[CampaignFile | None, list[Problem]]:
    """Return a campaign's file, and every problem in it, each with its line."""
    place = name_file(clean(name))  # a file's name may have a line break
    if fault := checks.named((name, None)):
        return None, [Problem(place, *fault)]
    try:
        text = _read_text(config, name)
        found, faults = campaign_files.read(name, text, config.zone, config.segments)
    except tomllib.TOMLDecodeError as error:
        remedy = "Correct that line; see https://toml.io."
        return None, [Problem(place, f"is not TOML: {error}", remedy)]
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        remedy = "Save it as a plain file of UTF-8 text."
        if isinstance(error, PermissionError):
            remedy = "Check its owner and its permissions."
        return None, [Problem(place, f"can't be read: {why}", remedy)]
    problems = [_make_problem(name, text, it.path, it.text, it.remedy) for it in faults]
    return (None if problems else found), problems


def load_all(config: Config, names: Sequence[str]) -> dict[str, CampaignFile]:
    """Return the files called *names*; raises ConfigError with every problem in them."""
    problems: list[Problem] = []
    found: dict[str, CampaignFile] = {}
    for name in names:
        file, wrong = load(config, name)
        problems += wrong
        if file is not None:
            found[name] = file
    refuse(problems)
    return found


def refuse(problems: Sequence[Problem]) -> None:
    """Raise ConfigError where there are *problems*."""
    if problems:
        count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ConfigError(f"{FOLDER}/ has {count}, and nothing was done:", problems)


def make_draft(file: CampaignFile, *, by: str = "", replaces: str = "") -> Draft:
    """Return what `send` would be told; *replaces* is the campaign whose place it takes."""
    return Draft(
        tags=file.tags,
        segments=file.segments,
        where=(file.where,) if file.where else (),
        everyone=file.everyone,
        template=file.template,
        name=file.name,
        limit=file.limit,
        ttl=file.ttl,
        urgency=file.urgency,
        rate=file.rate,
        over=file.over,
        message=file.message,
        title=file.title,
        at=file.at,
        local=file.local,
        passed=Passed(file.passed or Passed.NOW),
        every=file.every,
        again=file.again,
        promo=file.promo,
        by=by,
        topic=file.topic,
        ignore_cap=file.ignore_cap,
        priority=file.priority,
        variants=file.variants,
        weights=file.weights,
        test_share=file.test_share,
        decide_after=file.decide_after,
        decide_at=file.decide_at,
        on_tie=file.on_tie,
        daily_look=file.daily_look,
        language=file.language,
        explore=file.explore,
        explore_days=file.explore_days or 1,
        replaces=replaces,
    )


def load_message(
    config: Config, draft: Draft, now: Millis = 0
) -> tuple[Template, dict[str, str]]:
    """
    Return the template of *draft* and the sources that would be frozen, those of all arms.

    Raises what `send` would raise for its options, its template or its test; with *now* as
    it is, also for a decision whose time has passed.
    """
    read_options(draft)
    name, sources = load_sources(config, draft)
    template = Template.from_sources(name, sources)
    design = variants.make_design(config, draft, template, now)
    if design is None:
        return template, sources
    sources = variants.complete_sources(config, draft, design, sources)
    return Template.from_sources(name, sources), sources


def hash_sources(sources: dict[str, str]) -> str:
    return hash_content(sources, {}).hex()


def find_problem(config: Config, store: Store | None, file: CampaignFile) -> Problem | None:
    """Return what keeps *file* from being applied on any day, besides what ``load`` finds."""
    draft = make_draft(file)
    try:
        template, _ = load_message(config, draft)
        pool = draft.promo or template.settings.promo
        if store is not None and pool is not None:
            store.promo_codes.get(pool)
        if file.at and file.over:
            raise InputError("--over goes with --every alone. Take it out.")
        random_hours.read_explored(draft)
        if file.local and file.over:
            raise InputError("--local and --over don't go together. Take one of them out.")
    except PushctlError as error:
        return explain(config, file.name, error)
    return None


def explain(config: Config, name: str, error: PushctlError) -> Problem:
    """Return an error about a file's campaign with the line that it is about."""
    if isinstance(error, FileError):
        return error.problems[0]
    if isinstance(error, ConfigError) and error.problems:
        first = error.problems[0]
        text = f"can't be used: {first.place}: {first.fault}"
        return _make_problem(name, _read_text(config, name), ("template",), text, first.remedy)
    said = str(error)
    option = _OPTION.search(said)
    key = _name_key(option[1]) if option else _guess_key(said)
    fault, _, remedy = _OPTION.sub(lambda found: _name_key(found[1]), said).partition(". ")
    remedy = remedy or "See docs/campaigns.md."
    return _make_problem(name, _read_text(config, name), (key,), fault, remedy)


def _guess_key(said: str) -> str:
    """Return the setting that an error without an option's name is about."""
    words = {"pool": "promo", "has no variant": "variants", "campaign called": "name"}
    return next((key for word, key in words.items() if word in said), "template")


def _name_key(option: str) -> str:
    key = _OTHERWISE.get(option, option.replace("-", "_"))
    return key if key in _KEYS else "template"


def _read_text(config: Config, name: str) -> str:
    """Return a file's text; raises OSError also for a pipe, a device and a huge file."""
    file = find_folder(config) / f"{name}.toml"
    if not stat.S_ISREG(file.stat().st_mode):  # a pipe would be waited for, for ever
        raise OSError(errno.EINVAL, "it is no plain file")
    with file.open("rb") as opened:
        raw = opened.read(MAX_CAMPAIGN_FILE_BYTES + 1)
    if len(raw) > MAX_CAMPAIGN_FILE_BYTES:
        raise OSError(errno.EFBIG, f"it has more than {MAX_CAMPAIGN_FILE_BYTES:,} bytes")
    return raw.decode("utf-8-sig")


def _make_problem(
    name: str, text: str, path: tuple[str, ...], fault: str, remedy: str
) -> Problem:
    found = line_of(path, text)
    place = name_file(name) + (f":{found}" if found else "")
    return Problem(f"{place}: {'.'.join(path)}", fault, remedy)
