"""
What makes a message weaker than it could be: the rules, and a message held against them.

A rule is advice. What can't be sent at all is an error of the template and no finding here.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from pushctl.model import Message
from pushctl.rules.config.checks import Verdict
from pushctl.rules.limits import MAX_ANDROID_PAYLOAD_BYTES
from pushctl.rules.messages import platforms
from pushctl.rules.messages.platforms import LikelyCut
from pushctl.rules.wording import counted


class Rule(NamedTuple):
    """What a rule looks for, and who says that it matters."""

    looks: str
    source: str


# Each can be switched off by its name: [lint] off = [...], lint_off in message.toml.
RULES: Final[Mapping[str, Rule]] = {
    "bytes": Rule(
        "a message above 2,640 bytes, which Firefox on Android may not get",
        "Mozilla's push service for Android (docs/push-services.md)",
    ),
    "cut": Rule(
        "a title, text or button longer than a platform shows, where opening it does not help",
        "the dated table of measurements, rules/messages/platforms.toml",
    ),
    "missing_language": Rule(
        "a language of the site without a text, with how many read it",
        "`languages` of the site in pushctl.toml",
    ),
    "extra_language": Rule(
        "a text in a language that no site writes: nobody keeps it up to date",
        "`languages` of the sites in pushctl.toml",
    ),
    "no_default": Rule(
        "a value about the person without a default, with how many people lack it",
        "they get no message: docs/templates.md",
    ),
    "question": Rule(
        "a title or text that is a question; beside it your own figures, where there are some",
        "a software vendor's campaigns in 40 countries: statements were clicked more",
    ),
    "capitals": Rule(
        "a word in capitals: it reads as shouting, and screen readers may spell it",
        "W3C, Making Content Usable, 4.4; push services' guidelines for senders",
    ),
    "hangs_on_button": Rule(
        "a text that only makes sense with its buttons: Safari and iOS show none",
        "the dated table of what platforms show, rules/messages/platforms.toml",
    ),
    "many_buttons": Rule(
        "more than two buttons: most browsers show two",
        "Notification.maxActions in Chromium and Firefox",
    ),
    "link": Rule(
        "a link over plain http, to an example's address, or (with --online) one that is dead",
        "people who meet an error page don't come back",
    ),
    "icon": Rule(
        "a message without an icon, in the template or of the site's brand",
        "browsers show a bell or their own logo instead",
    ),
    "direction": Rule(
        "a text whose letters run the other way than the notification is laid out",
        "Unicode UAX #9; `dir` of the Notifications API",
    ),
}  # fmt: skip

# Not "?" alone: Arabic, full width, Greek (there ";" too), and the opening one of Spanish.
_QUESTION = re.compile(
    "[?\u061f\uff1f][\u2069\\s\"'”’»)]*$|^[\u2068\\s\"'“‘«(]*\u00bf", re.MULTILINE
)
_GREEK_QUESTION = re.compile("[?;\u037e][\u2069\\s]*$", re.MULTILINE)
_MARKS = re.compile("[\u061c\u200e\u200f\u2066-\u2069]")
_ISOLATED = re.compile("[\u2066-\u2068][^\u2066-\u2069]*\u2069")
_WORD = re.compile(r"\b[^\W\d_]+\b")
_SHOUTED_LETTERS = 4  # NASA, USB: shorter words in capitals are names
_MOST_BUTTONS = 2
_EXAMPLE = re.compile(
    r"https?://(?:[^/?#:]*\.)?(?:example(?:\.com|\.net|\.org)?|test|invalid)(?:[/:?#]|$)"
)
_PLAIN = re.compile(r"http://(?!localhost\b|127\.|\[::1\])", re.IGNORECASE)

# Words that point at a button, by language.
_POINTS: Final[Mapping[str, str]] = {
    "en": r"\bbuttons?\b|\b(?:tap|click|press|choose)\b.{0,20}\bbelow\b|\bbelow\b",
    "tr": r"\b(?:buton|düğme|tuş)\w*|\başağıda\w*",
    "ar": "(?:ال)?(?:زر|أزرار)(?=$|[\\s.،])|أدناه|بالأسفل",
    "ru": r"\bкнопк\w*|\bниже\b",
    "nl": r"\bknop(?:pen)?\b|\bhieronder\b",
    "de": r"\b(?:knopf|schaltfläche|button)\w*|\bunten\b",
    "fr": r"\bboutons?\b|\bci-dessous\b",
    "es": r"\bbot(?:ón|ones)\b|\babajo\b",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One text that could be better; *place* is its file: "templates/sale/tr.toml"."""

    rule: str
    place: str
    fault: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Look:
    """One rendered text, and what is known around it."""

    place: str
    message: Message
    size: int  # bytes, as it is sent
    origins: tuple[str, ...] = ()  # the site's own
    names: frozenset[str] = frozenset()  # words that may stand in capitals: a brand's


def check_name(value: str) -> Verdict:
    """Return what is wrong with the name of a rule, as the checks of pushctl.toml do."""
    if value in RULES:
        return None
    return f"is {value[:40]!r}, not a rule of `templates lint`", f"Known: {_list(RULES)}."


def list_findings(look: Look, off: Collection[str] = ()) -> Iterator[Finding]:
    """Yield what the rules that are not *off* say of one text, in the rules' order."""
    for rule, find in _RULES.items():
        if rule not in off:
            for fault, remedy in find(look):
                yield Finding(rule, look.place, fault, remedy)


_Found = Iterator[tuple[str, str]]  # fault, remedy


def _find_bytes(look: Look) -> _Found:
    if look.size > MAX_ANDROID_PAYLOAD_BYTES:
        fault = f"{look.size:,} bytes with sample values: above {MAX_ANDROID_PAYLOAD_BYTES:,}"
        yield fault, "Shorten the text, or drop pictures and buttons."


def _find_cuts(look: Look) -> _Found:
    cuts: dict[tuple[str, str], list[LikelyCut]] = {}
    for cut in platforms.likely_cuts(look.message):
        if not cut.opens:
            cuts.setdefault((cut.part, cut.text), []).append(cut)
    for (part, text), found in cuts.items():
        shortest = min(found, key=lambda one: one.bound.low)
        where = ", ".join(f"{one.platform.name} ({one.bound.low})" for one in found)
        subject = f"button “{text}”" if part == "button" else part
        lines = f" on {text.count(chr(10)) + 1} lines" if "\n" in text else ""
        fault = f"{subject}: {found[0].length} characters{lines}, may be cut by {where}"
        kept = " ".join(_MARKS.sub("", shortest.kept).split())
        yield fault, f"Only “{kept}” is sure to be seen: say the most in it."


def asks(text: str, language: str) -> bool:
    """Return whether *text* is a question."""
    greek = language.partition("-")[0] == "el"
    return (_GREEK_QUESTION if greek else _QUESTION).search(text) is not None


def _find_questions(look: Look) -> _Found:
    for part in ("title", "body"):
        if asks(getattr(look.message, part), look.message.language):
            yield f"the {part} is a question", "Say it as a statement: those are clicked more."


def is_question(message: Message) -> bool:
    """Return whether the title or the text of *message* asks something."""
    return any(_find_questions(Look("", message, 0)))


def _find_capitals(look: Look) -> _Found:
    message = look.message
    texts = (message.title, message.body, *(action.title for action in message.actions))
    words = [
        word
        for text in texts
        for word in _WORD.findall(text)
        if _is_shouted(word) and word not in look.names
    ]
    if words:
        yield f"in capitals: {', '.join(dict.fromkeys(words))}", "Write it in small letters."


def _is_shouted(word: str) -> bool:
    return len(word) >= _SHOUTED_LETTERS and word.isupper()


def _find_pointing(look: Look) -> _Found:
    message = look.message
    if not message.actions:
        return
    none = [one.name for one in platforms.load().values() if not one.buttons]
    if not message.body.strip():
        yield (
            f"only its buttons say more than the title: {_list(none)} show none",
            "Say it in the body.",
        )
        return
    pattern = _POINTS.get(message.language.partition("-")[0])
    found = re.search(pattern, message.body, re.IGNORECASE) if pattern else None
    if found:
        yield (
            f"“{found[0]}” points at a button: {_list(none)} show none",
            "Write it so that a tap on the message itself makes sense.",
        )


def _find_many_buttons(look: Look) -> _Found:
    extra = look.message.actions[_MOST_BUTTONS:]
    if extra:
        titles = ", ".join(f"“{one.title}”" for one in extra)
        yield f"{len(look.message.actions)} buttons: {titles} may not be shown", "Keep two."


def _find_links(look: Look) -> _Found:
    for what, url in list_links(look.message):
        if url.lower().startswith(tuple(f"{it.rstrip('/').lower()}/" for it in look.origins)):
            continue
        if _EXAMPLE.match(url):
            yield f"{what} leads to an example's address: {url}", "Write your own."
        elif _PLAIN.match(url):
            yield f"{what} is plain http: {url}", "Write https: browsers warn of the other."


def list_links(message: Message) -> Iterator[tuple[str, str]]:
    """Yield (what, address) of all that a message leads to or loads."""
    yield "url", message.url
    for name in ("icon", "image", "badge"):
        if url := getattr(message, name):
            yield name, url
    for action in message.actions:
        if action.url and action.url != message.url:
            yield f"button “{action.title}”", action.url


def _find_icon(look: Look) -> _Found:
    if look.message.icon is None:
        yield "no icon", "Write icon in [sites.NAME.brand], once for all templates."


def _find_direction(look: Look) -> _Found:
    message = look.message
    # A value says nothing of the text's own direction.
    runs = _find_majority(_ISOLATED.sub("", f"{message.title} {message.body}"))
    if runs and runs != message.dir:
        fault = f"its letters run {_WAYS[runs]}, and it is laid out {_WAYS[message.dir]}"
        yield fault, f'Write dir = "{runs}", or the text in {message.language}.'


def _find_majority(text: str) -> str | None:
    """Return the way most letters of *text* run; None where it has none or both alike."""
    kinds = [unicodedata.bidirectional(letter) for letter in text]
    right = sum(kind in ("R", "AL") for kind in kinds)
    left = kinds.count("L")
    return None if right == left else "rtl" if right > left else "ltr"


_WAYS = {"ltr": "from left to right", "rtl": "from right to left"}
_RULES = {
    "bytes": _find_bytes,
    "cut": _find_cuts,
    "question": _find_questions,
    "capitals": _find_capitals,
    "hangs_on_button": _find_pointing,
    "many_buttons": _find_many_buttons,
    "link": _find_links,
    "icon": _find_icon,
    "direction": _find_direction,
}


def describe_lacking(path: str, lacking: int | None, people: int) -> str:
    """Return the fault of a value without a default, which *lacking* of *people* lack."""
    if lacking is None:
        return f"{{{{ {path} }}}} has no default"
    share = f"{lacking:,} of {counted(people, 'person', 'people')} lack it"
    return f"{{{{ {path} }}}} has no default: {share} and get no message"


def describe_extra(tag: str, tags: Collection[str]) -> str:
    return f"no site writes {tag}; their languages are {_list(sorted(tags))}"


def suggest_default(path: str) -> str:
    return f"Write {{{{ {path}|default('...') }}}}, or test it: {{% if {path} %}}."


def _list(names: Collection[str]) -> str:
    return ", ".join(names)
