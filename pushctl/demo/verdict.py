"""
Whether the demo's month went as it should: what pushctl counts and whom it reached,
beside what the visitors' browsers decrypted.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from pushctl.demo.crowd import Letter

Letters = Mapping[str, Sequence[Letter]]


def faults(
    letters: Letters,
    meant: Mapping[str, Collection[int]],
    figures: Mapping[str, Mapping[str, int]],
    *,
    bought: Collection[int],
    baskets: Collection[str],
    real: int,
) -> Iterator[str]:
    """
    Yield what is wrong; nothing when all is well.

    *letters* are what the visitors decrypted, by step ("welcome/1"), *figures* what
    ``pushctl stats`` counts of it, *meant* whom each trigger is to reach, and *bought*
    who has bought by now, by their numbers. Nobody may be reminded of one of *baskets*
    after that. *real* browsers may have got the same, beside the visitors.
    """
    for step, got in letters.items():
        yield from _counted(step, got, figures.get(step, {}), real)
        if any(count > 1 for count in Counter(letter.reader for letter in got).values()):
            yield f"{step} came twice to somebody"
        if step.partition("/")[0] in baskets and any(letter.bought for letter in got):
            yield f"{step} reached somebody who had bought"
    for trigger, people in meant.items():
        yield from _reached(trigger, letters, people, bought if trigger in baskets else ())


def _counted(
    step: str, got: Sequence[Letter], counted: Mapping[str, int], real: int
) -> Iterator[str]:
    truth = {
        "accepted": len(got),
        "shown": sum(letter.shown for letter in got),
        "clicked": sum(letter.clicked for letter in got),
    }
    for word, count in truth.items():
        if not count <= counted.get(word, 0) <= count + real:
            yield f"{step}: {count} visitors, but stats counts {counted.get(word, 0)} {word}"


def _reached(
    trigger: str, letters: Letters, people: Collection[int], excused: Collection[int]
) -> Iterator[str]:
    first, second = letters.get(f"{trigger}/1", ()), letters.get(f"{trigger}/2", ())
    readers = {letter.reader for letter in first}
    if not readers:
        yield f"{trigger} sent nothing"
    if strangers := len(readers - set(people)):
        yield f"{trigger} reached {strangers} who were not meant"
    if missing := len(set(people) - readers - set(excused)):
        yield f"{trigger} did not reach {missing} of {len(people)}"
    if f"{trigger}/2" in letters:
        seen = {letter.reader for letter in first if letter.shown}
        again = {letter.reader for letter in second}
        if not again <= seen:
            yield f"{trigger}/2 reached somebody who had not seen the first"
        if missing := len(seen - again - set(excused)):
            yield f"{trigger}/2 did not reach {missing} of {len(seen)}"
