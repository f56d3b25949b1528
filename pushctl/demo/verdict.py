"""
Check the demo's month: compare what pushctl counts, and whom it reached, with what the
visitors' browsers decrypted.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from pushctl.demo.crowd import ReceivedMessage

Messages = Mapping[str, Sequence[ReceivedMessage]]


def find_faults(
    messages: Messages,
    expected: Mapping[str, Collection[int]],
    figures: Mapping[str, Mapping[str, int]],
    *,
    bought: Collection[int],
    baskets: Collection[str],
    real: int,
) -> Iterator[str]:
    """
    Yield a sentence for each fault.

    *messages* are what the visitors decrypted, by step ("welcome/1"); *figures* what
    ``pushctl stats`` counts for it. *expected* holds the numbers of the people whom each
    trigger must reach, *bought* of those who have bought by now: no trigger of *baskets*
    may reach them after that. Up to *real* browsers may have got the same messages.
    """
    for step, got in messages.items():
        yield from _check_counts(step, got, figures.get(step, {}), real)
        if any(count > 1 for count in Counter(message.reader for message in got).values()):
            yield f"{step} came twice to somebody"
        if step.partition("/")[0] in baskets and any(message.bought for message in got):
            yield f"{step} reached somebody who had bought"
    for trigger, people in expected.items():
        yield from _check_reach(trigger, messages, people, bought if trigger in baskets else ())


def _check_counts(
    step: str, got: Sequence[ReceivedMessage], counted: Mapping[str, int], real: int
) -> Iterator[str]:
    truth = {
        "accepted": len(got),
        "shown": sum(message.shown for message in got),
        "clicked": sum(message.clicked for message in got),
    }
    for word, count in truth.items():
        if not count <= counted.get(word, 0) <= count + real:
            yield f"{step}: {count} visitors, but stats counts {counted.get(word, 0)} {word}"


def _check_reach(
    trigger: str, messages: Messages, people: Collection[int], excused: Collection[int]
) -> Iterator[str]:
    first, second = messages.get(f"{trigger}/1", ()), messages.get(f"{trigger}/2", ())
    readers = {message.reader for message in first}
    if not readers:
        yield f"{trigger} sent nothing"
    if strangers := len(readers - set(people)):
        yield f"{trigger} reached {strangers} who were not meant"
    if missing := len(set(people) - readers - set(excused)):
        yield f"{trigger} did not reach {missing} of {len(people)}"
    if f"{trigger}/2" in messages:
        seen = {message.reader for message in first if message.shown}
        again = {message.reader for message in second}
        if not again <= seen:
            yield f"{trigger}/2 reached somebody who had not seen the first"
        if missing := len(seen - again - set(excused)):
            yield f"{trigger}/2 did not reach {missing} of {len(seen)}"
