"""The arms of an experiment: what each sends, its weight, and who falls to which."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from string import ascii_lowercase

from pushctl.errors import InputError
from pushctl.model import Json

FIRST = "a"  # the plain text, the first template, the first time


class Differ(StrEnum):
    """What the arms of an experiment differ in."""

    TEXT = "text"  # files of one template: en.toml, en.b.toml
    TEMPLATE = "template"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Arm:
    """*weight* is the share of people, all arms together make 1."""

    variant: str  # "a" to "z"
    weight: float
    template: str | None = None  # of arms that differ in it
    time: str | None = None  # "09:00", as above

    @property
    def title(self) -> str:
        """Return what people call it: "b", "b (sale_short)", "b (18:00)"."""
        what = self.time or self.template
        return f"{self.variant} ({what})" if what else self.variant

    def as_json(self) -> dict[str, Json]:
        values = {
            "variant": self.variant, "weight": self.weight, "template": self.template,
            "time": self.time,
        }  # fmt: skip
        return {name: value for name, value in values.items() if value is not None}


def read_arm(stored: Mapping[str, Json]) -> Arm:
    return Arm(**stored)


_LETTER = re.compile(r"[a-z]")
_TIME = re.compile(r"\d{1,2}:\d\d(\s*[ap]m)?|\d{1,2}\s*[ap]m", re.IGNORECASE)


def read_names(typed: str) -> tuple[Differ, tuple[str, ...]]:
    """
    Return what "a,b", "sale,sale_short" or "09:00,18:00" names, in this sequence.

    "a" alone is no experiment, but a choice: one name. Raises InputError.
    """
    names = tuple(name.strip() for name in typed.split(","))
    if len(set(names)) < len(names) or not all(names) or len(names) > len(ascii_lowercase):
        raise InputError(
            f"--variants {typed!r}: name each once, 26 at most, with commas between them"
        )
    letters, times = map(_LETTER.fullmatch, names), map(_TIME.fullmatch, names)
    if all(letters):
        if FIRST not in names:
            raise InputError("--variants has no a: the plain file is always one of the arms")
        return Differ.TEXT, tuple(sorted(names))
    if len(names) == 1:
        raise InputError(f"--variants {typed!r}: an experiment has two arms or more")
    return (Differ.TIME if all(times) else Differ.TEMPLATE), names


def read_weights(typed: str, count: int) -> list[float]:
    """Return the shares that "80,20" or "2,1,1" asks for; together they make 1."""
    try:
        weights = [float(one.strip().rstrip("%")) for one in typed.split(",")]
    except ValueError:
        weights = []
    if len(weights) != count or not all(0 < one < 1e6 for one in weights):
        raise InputError(
            f"--weights {typed!r}: write a number above 0 for each of the {count} arms, such "
            f"as {','.join(['1'] * count)}"
        )
    whole = sum(weights)
    return [one / whole for one in weights]


def read_share(typed: str, option: str) -> float:
    """Return the share that "20%" or "0.2" says; it is more than nothing and not all."""
    try:
        number = float(typed.strip().removesuffix("%"))
    except ValueError:
        number = 0.0
    share = number / 100 if typed.strip().endswith("%") else number
    if not 0 < share < 1:
        raise InputError(f"{option} {typed!r} is a share of the people: 20% or 0.2")
    return share


def draw(shares: Mapping[str, float], lot: float) -> tuple[str, float]:
    """
    Return the variant that *lot*, a number in [0, 1), falls to, and its probability.

    *shares* are each variant's probability; together they make 1, but for rounding.
    """
    edge = 0.0
    for variant, share in shares.items():
        edge += share
        if lot < edge:
            return variant, share
    return variant, share


def weigh(arms: Sequence[Arm]) -> dict[str, float]:
    return {arm.variant: arm.weight for arm in arms}


# A campaign's sources hold the templates of its other arms, too: "b//sale_short/en.toml".
# No file of a template has two slashes in its path.
_MARK = "//"


def pack(variant: str, template: str, sources: Mapping[str, str]) -> dict[str, str]:
    """Return the *sources* of an arm's whole template, named for the campaign's sources."""
    return {f"{variant}{_MARK}{template}/{file}": text for file, text in sources.items()}


def unpack(
    sources: Mapping[str, str],
) -> tuple[dict[str, str], dict[str, tuple[str, dict[str, str]]]]:
    """Return a campaign's own sources, and by variant the template of each other arm."""
    own: dict[str, str] = {}
    others: dict[str, tuple[str, dict[str, str]]] = {}
    for name, text in sources.items():
        variant, mark, path = name.partition(_MARK)
        if mark:
            template, _, file = path.partition("/")
            others.setdefault(variant, (template, {}))[1][file] = text
        else:
            own[name] = text
    return own, others


def name_file(template: str, name: str) -> str:
    """Return "sale/en.toml" for a file of a campaign's sources, whichever arm it is of."""
    return name.partition(_MARK)[2] or f"{template}/{name}"
