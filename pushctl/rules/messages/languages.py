"""
Language tags: which texts a reader can read, and in which direction they run.

Tags are BCP 47 as browsers send them ("pt-BR", "zh-Hant-TW"); underscores and any case
are taken too.
"""

import re
import unicodedata
from functools import lru_cache

_TAG = re.compile(
    r"(?P<language>[a-z]{2,3})(?:-(?P<script>[a-z]{4}))?(?:-(?P<region>[a-z]{2}|[0-9]{3}))?"
    r"(?:-[a-z0-9]{1,8})*",
    re.ASCII | re.IGNORECASE,
)

# Codes that browsers and operating systems still say for what BCP 47 now calls
# otherwise (IANA language subtag registry, "Preferred-Value").
_RENAMED = {"iw": "he", "ji": "yi", "in": "id", "jw": "jv", "mo": "ro"}

# The same written language under two tags: a text in one serves readers of the other.
_TWINS = {"nb": "no", "no": "nb", "tl": "fil", "fil": "tl"}

# Scripts written from right to left (CLDR, scriptMetadata.txt, column "RTL?").
_RTL_SCRIPTS = frozenset(
    re.findall(
        r"\w+",
        "Adlm Arab Armi Avst Chrs Cprt Elym Hatr Hebr Hung Khar Lydi Mand Mani Mend Merc Mero "
        "Narb Nbat Nkoo Orkh Ougr Palm Phli Phlp Phnx Prti Rohg Samr Sarb Sogd Sogo Syrc Thaa "
        "Yezi",
    )
)

# Languages whose likely script runs from right to left (CLDR, likelySubtags.xml).
_RTL_LANGUAGES = frozenset(
    re.findall(
        r"\w+",
        "ar arc ary arz aeb apc ars acm ajp bal bcc bgn bqi brh ckb dcc dv fa glk haz he khw "
        "ks lah lrc luz mzn nqo pnb prs ps rhg sam sd sdh skr swb syr tmr trw ug ur yi",
    )
)

# Languages that change script with the country (CLDR, likelySubtags.xml).
_RTL_PLACES = frozenset(
    {"az-IQ", "az-IR", "ku-IQ", "ku-IR", "ku-LB", "ms-CC", "pa-PK", "tk-AF", "tk-IR", "uz-AF"}
)
_LTR_PLACES = frozenset({"sd-IN"})


@lru_cache(maxsize=4096)
def canonical(tag: str) -> str | None:
    """Return *tag* in its usual spelling ("pt_br" -> "pt-BR"); None when it is no tag."""
    match = _TAG.fullmatch(tag.strip().replace("_", "-"))
    if match is None:
        return None
    language = match["language"].lower()
    parts = [_RENAMED.get(language, language)]
    if match["script"]:
        parts.append(match["script"].title())
    if match["region"]:
        parts.append(match["region"].upper())
    return "-".join(parts)


@lru_cache(maxsize=4096)
def direction(tag: str | None) -> str:
    """Return ``"rtl"`` or ``"ltr"``: by script subtag, else by language and country."""
    name = canonical(tag or "")
    if name is None:
        return "ltr"
    language, *rest = name.split("-")
    script = next((part for part in rest if len(part) == 4), None)
    if script is not None:
        return "rtl" if script in _RTL_SCRIPTS else "ltr"
    if name in _RTL_PLACES:
        return "rtl"
    return "rtl" if language in _RTL_LANGUAGES and name not in _LTR_PLACES else "ltr"


def find_direction(text: str) -> str | None:
    """
    Return the way that the letters of *text* run, None where they don't agree.

    It is that of the first letter (UAX #9, P2), but "Acme" may begin an Arabic sentence.
    """
    kinds = [kind for kind in map(unicodedata.bidirectional, text) if kind in ("L", "R", "AL")]
    if not kinds:
        return None
    if kinds[0] != "L":
        return "rtl"
    return "ltr" if set(kinds) == {"L"} else None


@lru_cache(maxsize=4096)
def list_own(tag: str | None) -> tuple[str, ...]:
    """
    Return the languages that a reader of *tag* reads, the nearest first.

    Subtags go from the right (RFC 4647, section 3.4): "zh-Hant-TW", "zh-Hant", "zh".
    """
    name = canonical(tag or "")
    if name is None:
        return ()
    parts = name.split("-")
    chain = ["-".join(parts[:count]) for count in range(len(parts), 0, -1)]
    # Taiwan, Hong Kong and Macau write the traditional script (CLDR, parentLocales).
    if name in ("zh-TW", "zh-HK", "zh-MO"):
        chain.insert(1, "zh-Hant")
    if parts[0] in _TWINS:
        chain.append(_TWINS[parts[0]])
    return tuple(chain)
