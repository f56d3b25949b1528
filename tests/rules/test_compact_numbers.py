"""Sets and mappings of many numbers do what Python's own do, in few bytes each."""

import random
import tracemalloc
from collections import Counter

import pytest

from pushctl.rules.compact_numbers import NumberMap, NumberSet, find_frequent

FAR = 1_000_000_000


def draw(chance: random.Random, count: int) -> list[int]:
    """Return numbers of several pages, some behind a gap as after a restore."""
    return [chance.randrange(60_000) + chance.choice([0, FAR]) for _ in range(count)]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_set_has_what_was_added(seed: int) -> None:
    chance = random.Random(seed)
    numbers, found = set(draw(chance, 20_000)), NumberSet()
    found.add(numbers)
    assert found.has_all(numbers)
    for one in draw(chance, 20_000):
        assert (one in found) == (one in numbers)
        assert found.has_all([min(numbers), one]) == (one in numbers)


def test_a_set_has_a_bound() -> None:
    found = NumberSet(2)
    found.add([1, 2, FAR])
    with pytest.raises(OverflowError):
        found.add([2 * FAR])


@pytest.mark.parametrize("least", [1, 2, 3, 255, 256, 70_000])
def test_who_comes_often_enough_is_found(least: int) -> None:
    numbers = [*draw(random.Random(least), 30_000), *[5] * least, *[6] * (least - 1)]
    counts, found = Counter(numbers), find_frequent(numbers, least)
    assert all((one in found) == (counts[one] >= least) for one in range(60_000))


@pytest.mark.parametrize("kinds", [1, 200, 300, 70_000])
def test_a_mapping_does_what_a_dictionary_does(kinds: int) -> None:
    chance = random.Random(kinds)
    found, known = NumberMap[str](), dict[int, str]()
    for number in draw(chance, 80_000):
        word = f"word {chance.randrange(kinds)}"
        if chance.random() < 0.2 and number in known:
            assert found.pop(number) == known.pop(number)
        else:
            found[number] = known[number] = word
    assert found == known
    assert list(found) == sorted(known)
    assert len(found) == len(known)
    assert found.count_values() == Counter(known.values())
    kept = found.select(lambda word: word.endswith("7"))
    assert kept == {one: word for one, word in known.items() if word.endswith("7")}
    assert len(kept) == len(list(kept))
    assert found == known, "what was selected is another mapping"
    kept[3] = "new"
    assert (kept[3], found.get(3)) == ("new", known.get(3))
    with pytest.raises(KeyError):
        del found[FAR * 3]


def test_they_take_few_bytes_a_number() -> None:
    tracemalloc.start()
    found, numbers = NumberMap[str](), NumberSet()
    for number in range(200_000):
        found[number] = "held"
    numbers.add(range(200_000))
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert size / 200_000 < 1.5
