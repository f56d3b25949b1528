"""A reader's characters: counted and cut whole."""

import time

import pytest

from pushctl.rules.limits import MAX_CLUSTER_CHARACTERS
from pushctl.rules.messages.clusters import count_clusters, cut

FAMILY = "👨‍👩‍👧‍👦"
FLAG = "🇹🇷"
WAVE = "👋🏽"
FSI, PDI = "\u2068", "\u2069"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0), ("basket", 6), ("a\r\nb", 3), ("e\u0301", 1), (FAMILY, 1), (FLAG * 3, 3),
        (f"{WAVE}{WAVE}", 2), ("क्षि", 1), ("مُحَمَّد", 4), ("한국", 2), ("ê̄", 1),
        (f"{FSI}Acme{PDI}", 4), ("\u200fسلة\u200f", 3),
    ],
)  # fmt: skip
def test_what_a_reader_counts(text: str, count: int) -> None:
    assert count_clusters(text) == count


def test_a_short_text_stays_as_it_is() -> None:
    assert cut("Basket ", 7) == "Basket "
    assert cut(FAMILY * 4, 4) == FAMILY * 4
    assert cut(f"{FSI}{FLAG}{PDI}", 1) == f"{FSI}{FLAG}{PDI}"


@pytest.mark.parametrize(
    "text", ["A long basket", FAMILY * 9, FLAG * 9, "e\u0301" * 9, "سلتك محفوظة"]
)
@pytest.mark.parametrize("clusters", range(9))
def test_a_cut_text_has_its_ellipsis_within_the_bound(text: str, clusters: int) -> None:
    found = cut(text, clusters)

    assert count_clusters(found) <= clusters
    assert text.startswith(found.removesuffix("…"))
    assert found.endswith("…") or clusters == 0
    # Nothing is left of a cluster but the whole of it.
    rest = text.removeprefix(found.removesuffix("…"))
    assert count_clusters(found.removesuffix("…")) + count_clusters(rest) == count_clusters(
        text
    )


def test_an_end_that_does_not_fit_is_left_out() -> None:
    assert cut("basket", 2, "...") == "ba"


def test_a_cut_closes_the_isolates_that_it_leaves_open() -> None:
    text = f"سلتك {FSI}Acme Deluxe{PDI} محفوظة"

    assert cut(text, 8) == f"سلتك {FSI}Ac{PDI}…"
    assert cut(text, 18) == f"سلتك {FSI}Acme Deluxe{PDI}…"
    assert count_clusters(cut(text, 8)) == 8
    assert cut(text, 6) == "سلتك…"


@pytest.mark.parametrize(
    "text", ["a" + "\u0301" * 100_000, "\u200d" * 100_000, FLAG[0] * 4_000]
)
def test_hostile_texts_are_cut_in_time(text: str) -> None:
    begun = time.process_time()
    found = cut(text, 40)

    assert time.process_time() - begun < 0.05
    assert len(found) <= 40 * MAX_CLUSTER_CHARACTERS
