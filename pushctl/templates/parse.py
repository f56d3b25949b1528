"""
Sources -> checked parts of a template, with every problem found on the way.

TOML is read first and each string is a template of its own, so a quote in a value can
never become a key.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pushctl.errors import InputError, Problem
from pushctl.rules import limits, timing, topics, units
from pushctl.rules.config import checks
from pushctl.rules.messages import languages, lint, packs, values
from pushctl.templates import phrases, translations
from pushctl.templates.parts import (
    DEFAULT_TTL_SECONDS,
    Parsed,
    Part,
    Settings,
    TextParts,
    Thanks,
)
from pushctl.templates.source_file import SWITCH, TOPIC, URLS, SourceFile, suggest

URGENCIES = ("very-low", "low", "normal", "high")

_TEXT_FILE = re.compile(
    r"(?:(?P<segment>[^/]+)/)?(?P<language>[A-Za-z0-9_-]+)(?:\.(?P<variant>[a-z]))?\.toml"
)
# What is shown in the place of a message to who has bought while it was in the air.
_BOUGHT_FILE = re.compile(r"(?:(?P<segment>[^/]+)/)?(?P<language>[A-Za-z0-9_-]+)\.bought\.toml")
_SHARED = ("message.toml", phrases.NAME)  # of all languages
_ACTION = re.compile(r"[A-Za-z0-9_-]{1,40}")

_MESSAGE_KEYS = {
    **dict.fromkeys((*URLS, "tag", "urgency", "promo"), str),
    **dict.fromkeys(("replace_waiting", "require_interaction", "silent"), bool),
    "topic": TOPIC,  # true and false: what is now replace_waiting
    "ttl": (int, str),
    "actions": list,
    "values": dict,
    "utm": SWITCH,
    "lint_off": list,
}
_TEXT_KEYS = {
    **dict.fromkeys(("title", "body", "dir", "of", *URLS), str),
    "actions": dict,
    "reviewed": bool,
}
_BOUGHT_KEYS = {**dict.fromkeys(("title", "body", "url", "image"), str), "reviewed": bool}
_ACTION_KEYS = dict.fromkeys(("action", "url", "icon"), str)


def parse(name: str, sources: Mapping[str, str]) -> Parsed:
    """Parse all files of a template; their faults become *problems*."""
    parsed = Parsed(name, phrases=phrases.unpack(sources))
    main = SourceFile(parsed, "message.toml", sources.get("message.toml", ""), _MESSAGE_KEYS)
    _read_settings(parsed, main)
    parts = _read_common(parsed, main)
    files = sorted((file, source) for file, source in sources.items() if file not in _SHARED)
    bought = _read_bought(parsed, [one for one in files if _BOUGHT_FILE.fullmatch(one[0])])
    for file, source in files:
        if not _BOUGHT_FILE.fullmatch(file):
            _read_text(parsed, file, source, parts, bought)
    plain = {(it.segment, it.language) for it in parsed.texts if it.variant is None}
    for text in parsed.texts:
        if (text.segment, text.language) not in plain:
            fault = "a variant without its plain file"
            remedy = f"Write {text.file[: -len('.b.toml')]}.toml too."
            parsed.problems.append(Problem(f"templates/{name}/{text.file}", fault, remedy))
    for segment, language in sorted(bought.keys() - plain, key=str):
        file = f"{segment}/{language}" if segment else language
        fault, remedy = "thanks without its plain file", f"Write {file}.toml too."
        place = f"templates/{name}/{file}.bought.toml"
        parsed.problems.append(Problem(place, fault, remedy))
    if not any(text.segment is None for text in parsed.texts) and not parsed.problems:
        parsed.problems.append(
            Problem(f"templates/{name}", "no text for all subscribers", "Write en.toml.")
        )
    return parsed


def _read_settings(parsed: Parsed, main: SourceFile) -> None:
    table = main.table
    ttl = table.get("ttl", DEFAULT_TTL_SECONDS)
    if isinstance(ttl, str):
        try:
            ttl = timing.duration(ttl) // units.SECOND
        except InputError as error:
            main.add_problem(f"ttl: {error}", "Write ttl = '30m'.", main.find_line("ttl"))
            ttl = DEFAULT_TTL_SECONDS
    if not 0 <= ttl <= limits.MAX_TTL_SECONDS:
        main.add_problem(
            "ttl is not between 0 and 4 weeks", "Write ttl = '1d'.", main.find_line("ttl")
        )
    urgency = table.get("urgency", "normal")
    if urgency not in URGENCIES:
        remedy = f"Write one of {', '.join(URGENCIES)}."
        main.add_problem(f"urgency is {urgency!r}", remedy, main.find_line("urgency"))
    topic, replaces = _read_topic(main)
    off = _read_lint_off(main, table.get("lint_off", []))
    parsed.settings = Settings(ttl, urgency, replaces, topic, table.get("promo"), off)
    parsed.require_interaction = table.get("require_interaction", False)
    parsed.silent = table.get("silent", False)
    own = table.get("values", {})
    for key in own:
        if not key.isidentifier() or key in ("subscriber", "attributes", "site", "campaign"):
            remedy = "Use another name of letters, digits and _."
            main.add_problem(
                f"values: {key!r} can't be used as a name", remedy, main.find_line(key)
            )
    parsed.values = {key: values.clean(value) for key, value in own.items()}
    parsed.utm = _read_utm(main, table.get("utm", True))


def _read_lint_off(main: SourceFile, given: list[Any]) -> frozenset[str]:
    for name in given:
        if name not in lint.RULES:
            fault = f"lint_off: there is no rule {name!r}"
            main.add_problem(fault, suggest(str(name), lint.RULES), main.find_line("lint_off"))
    return frozenset(map(str, given))


def _read_utm(main: SourceFile, given: Mapping[str, Any] | bool) -> Mapping[str, str] | bool:
    """Return the template's parameters of links; its empty ones switch the site's off."""
    if isinstance(given, bool):
        return given
    main.drop_bad_keys(table := dict(given), dict.fromkeys(packs.NAMES, str))
    for key, value in table.items():
        if fault := checks.parameter(value):
            main.add_problem(f"utm.{key} {fault[0]}", fault[1], main.find_line(key))
    return table


def _read_topic(main: SourceFile) -> tuple[str | None, bool]:
    """Return the campaign's topic, and whether a newer message replaces a waiting one."""
    topic, replaces = main.table.get("topic"), main.table.get("replace_waiting", True)
    if isinstance(topic, bool):
        return None, main.table.get("replace_waiting", topic)
    if topic is not None and not topics.is_topic(topic):
        main.add_problem(f"topic is {topic!r}", topics.REMEDY, main.find_line("topic"))
    return topic, replaces


def _read_common(parsed: Parsed, main: SourceFile) -> dict[str, Part]:
    """Return the parts of message.toml, by slot; titles of actions are missing."""
    table = main.table
    parts = {
        key: main.check_part(key, key, table[key]) for key in (*URLS, "tag") if key in table
    }
    parts.setdefault("url", Part("url", "/", None))
    for action in table.get("actions", []):
        if not isinstance(action, dict):
            main.add_problem(
                "actions is not a list of tables",
                "Write [[actions]].",
                main.find_line("actions"),
            )
            continue
        main.drop_bad_keys(action, _ACTION_KEYS)
        name = action.get("action", "")
        if not _ACTION.fullmatch(name) or f"action:{name}:title" in parts:
            remedy = "Give each a name of its own: action = 'open'."
            main.add_problem(
                f"an action has the name {name!r}", remedy, main.find_line("actions")
            )
            continue
        parts[f"action:{name}:title"] = Part(f"action:{name}:title", None, None)
        for key in ("url", "icon"):
            if key in action:
                slot = f"action:{name}:{key}"
                parts[slot] = main.check_part(slot, key, action[key])
    return parts


def _read_bought(
    parsed: Parsed, files: Iterable[tuple[str, str]]
) -> Mapping[tuple[str | None, str], Thanks]:
    """Return the thanks for buyers, by segment and language."""
    found = {}
    for file, source in files:
        read = SourceFile(parsed, file, source, _BOUGHT_KEYS)
        match = _BOUGHT_FILE.fullmatch(file)
        language = languages.canonical(match["language"]) if match else None
        if match is None or language is None:
            remedy = "Name it by its language: en.bought.toml, <segment>/en.bought.toml."
            read.add_problem("the file name is not a language", remedy)
        elif not read.broken:
            read.language, read.dir = language, languages.direction(language)
            parts = _read_title_and_body(read, "bought:")
            for key in ("url", "image"):
                if key in read.table:
                    slot = f"bought:{key}"
                    parts[slot] = read.check_part(slot, key, read.table[key])
            reviewed = read.table.get("reviewed", True)
            found[match["segment"], language] = Thanks(file, parts, reviewed)
    return found


def _read_title_and_body(read: SourceFile, prefix: str = "") -> dict[str, Part]:
    parts = {}
    for key in ("title", "body"):
        if not read.table.get(key, "").strip():
            read.add_problem(f"{key} is missing", f'Write {key} = "...".', read.find_line(key))
        slot = prefix + key
        parts[slot] = read.check_part(slot, key, read.table.get(key, ""))
    return parts


def _read_text(
    parsed: Parsed,
    file: str,
    source: str,
    common: Mapping[str, Part],
    bought: Mapping[tuple[str | None, str], Thanks],
) -> None:
    read = SourceFile(parsed, file, source, _TEXT_KEYS)
    match = _TEXT_FILE.fullmatch(file)
    language = languages.canonical(match["language"]) if match else None
    if match is None or language is None:
        remedy = "Name it by its language: en.toml, pt-BR.toml, en.b.toml, <segment>/en.toml."
        read.add_problem("the file name is not a language", remedy)
        return
    if read.broken:
        return
    table, words = read.table, translations.hash_words(read.table)
    if not translations.OF.fullmatch(table.get("of", "en 00000000")):
        remedy = "Let `pushctl templates translated` write it, or remove it."
        read.add_problem("of is no language and hash", remedy, read.find_line("of"))
    direction = table.get("dir", languages.direction(language))
    if direction not in ("ltr", "rtl"):
        read.add_problem(f"dir is {direction!r}", "Write ltr or rtl.", read.find_line("dir"))
    read.language, read.dir = language, direction
    parts = {**common, **_read_title_and_body(read)}
    for key in URLS:
        if key in table:
            parts[key] = read.check_part(key, key, table[key])
    _read_labels(read, table.get("actions", {}), parts)
    thanks = bought.get((match["segment"], language)) or bought.get((None, language))
    if thanks:
        parts.update(thanks.parts)
    parsed.texts.append(
        TextParts(
            file,
            match["segment"],
            language,
            match["variant"],
            direction,
            tuple(parts.values()),
            table.get("reviewed", True),
            table.get("of"),
            words,
            thanks,
        )
    )


def _read_labels(read: SourceFile, labels: Mapping[str, Any], parts: dict[str, Part]) -> None:
    wanted = [slot.split(":")[1] for slot in parts if slot.endswith(":title")]
    for name, label in labels.items():
        if name not in wanted:
            remedy = "Add it to actions in message.toml, or remove it here."
            read.add_problem(
                f"actions: message.toml has no {name!r}", remedy, read.find_line(name)
            )
        elif isinstance(label, str):
            slot = f"action:{name}:title"
            parts[slot] = read.check_part(slot, name, label)
    for name in wanted:
        if not isinstance(labels.get(name), str) or not labels[name].strip():
            remedy = f'Write [actions] and {name} = "...".'
            read.add_problem(
                f"the label of action {name!r} is missing", remedy, read.find_line("actions")
            )
