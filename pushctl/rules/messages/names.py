"""
First names, from names as people and shops write them; nothing where it is not sure.

A wrong name is worse than none: "Hello Dr.", "Hello Smith", "Hello Test". Names that put
the family first can't be told from others by their letters, so scripts where that is usual
give nothing.
"""

import re
import unicodedata

from pushctl.rules.messages import casing

_MOST_WORDS = 5
_MOST_CHARACTERS = 24  # of a first name


def _list(words: str) -> frozenset[str]:
    return frozenset(words.split())


# What stands before a name and is none.
_TITLES = _list("""
mr mrs ms miss mx dr prof sir madam herr frau hr fr mme mlle m monsieur madame sr sra srta
dhr mevr mw drs ir ing sayın sayin bay bayan dipl mag г-н г-жа господин госпожа السيد السيدة
الدكتور الدكتورة د أ
""")
# Half of a name: the other half belongs to it, or the family name begins here.
_PARTS = _list("""
abd abdul abdel abu abou umm al el bin ibn bint van von de der den del della di da du la le
mc mac st saint san santa ter ten zu عبد أبو ابو أم ام ابن بن بنت آل
""")
_NOBODY = _list("""
admin administrator anonymous buyer client company customer first firstname friend full
fullname gast guest info kunde last lastname member misafir müşteri musteri n/a na name nan
none null office sales shop support test tester testing undefined unknown user username
гость тест клиент عميل ضيف زائر اختبار
""")
_COMPANIES = _list("""
ag aş a.ş as bv b.v co corp corporation foundation gbr gmbh group holding inc kg limited llc
llp ltd ltd.şti nv plc s.a sa sarl spa s.p.a srl s.r.l şti team ug university verein ооо зао
ао شركة مؤسسة and und et ve y en и و
""")
_JOINED = re.compile(r"[-'’ʼ]")
_BETWEEN = {ord(mark): None for mark in "-'’ʼ."}
_ZERO_WIDTH = re.compile("[\u200e\u200f]")
# Kana, Han, Hangul and the letters of Vietnamese alone: the family comes first.
_FAMILY_FIRST = re.compile(
    "[\u1ea0-\u1ef9\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]"
)
_FAMILY_FIRST_LANGUAGES = frozenset({"hu", "ja", "ko", "vi", "zh"})


def find_first_name(name: str, language: str = "") -> str | None:
    """
    Return the first name of a whole name, as it is written in a greeting; None: not sure.

    "dr. ANNA MARIA KÖHLER" is Anna, "Köhler, Anna" too; "A. Köhler", "Köhler GmbH",
    "anna@shop.example" and 王小明 are nobody's first name. *language* is that of the text.
    """
    name = " ".join(_ZERO_WIDTH.sub("", name).split())
    family, comma, given = name.partition(",")
    if comma and not (family.strip() and given.strip() and "," not in given):
        return None
    spelled = (given if comma else name).split()
    words = _drop_titles(spelled)
    if not comma and len(words) == 1 < len(spelled):
        return None  # "Mr. Bean"
    every = [word.casefold().strip(".") for word in (*words, *family.split() * bool(comma))]
    if not 1 <= len(words) <= _MOST_WORDS or not _COMPANIES.isdisjoint(every):
        return None
    first = words[0]
    if not _is_letters("".join(words).translate(_BETWEEN)):
        return None  # "Anna & Max", "Anna2"
    if first.isupper() and not " ".join(words).isupper():
        return None  # "KÖHLER Anna"
    base = language.partition("-")[0]
    if _FAMILY_FIRST.search(name) or (base in _FAMILY_FIRST_LANGUAGES and not comma):
        return None
    if every[0] in _PARTS or every[0] in _NOBODY or not _is_name(first):
        return None
    return _write(first, language)


def _drop_titles(words: list[str]) -> list[str]:
    while words and words[0].casefold().strip(".") in _TITLES:
        words = words[1:]
    return words


def _is_name(word: str) -> bool:
    """Return whether *word* is letters of one script, joined at most by - and '."""
    if not 2 <= len(word) <= _MOST_CHARACTERS:
        return False
    pieces = _JOINED.split(word)
    if not all(pieces) or not all(map(_is_letters, pieces)):
        return False
    scripts = {unicodedata.name(it, "").partition(" ")[0] for it in word if it.isalpha()}
    vowelless = word.isascii() and not re.search("[aeiouyAEIOUY]", word)
    return len(scripts) == 1 and not vowelless


def _is_letters(piece: str) -> bool:
    # Marks belong to letters in Arabic, Hindi and Thai.
    return all(it.isalpha() or unicodedata.category(it) in ("Mn", "Mc") for it in piece)


def _write(word: str, language: str) -> str:
    """Return "Anna" for ANNA and anna; "McKenzie" and "DeShawn" stay."""
    if not (word.isupper() or word.islower()):
        return word
    small = casing.write_lower(word, language)
    return "".join(
        piece if _JOINED.fullmatch(piece) else casing.write_capital(piece, language)
        for piece in re.split(f"({_JOINED.pattern})", small)
    )
