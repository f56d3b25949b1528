"""A sender that was stopped, or whose machine slept, sends nothing that is out of date."""

import os
import signal
import time
from collections import Counter

import pytest

from pushctl.demo.pushservice import PushService
from pushctl.jobs.delivery import deliver
from pushctl.jobs.delivery.pools import pool, worker_format
from pushctl.jobs.delivery.postbox import open_postbox
from pushctl.model import Answer, Outcome
from pushctl.push import clock, journal, send_chunk
from tests.push.test_transport import letters
from tests.support import MINUTE, NOON, program, sending
from tests.support.sending import Field, soon

TIMEOUT = 0.5  # seconds of a request; a standstill is longer than two of them
BATCH = 64  # letters that a worker begins between two looks


def count_begun(sender: Field) -> int:
    """Return how many letters are begun and not answered, as the journals tell."""
    left = 0
    for file in sender.config.journal.glob("*.journal"):
        records = list(journal.read(file.read_bytes()))
        answered = {one.delivery for one in records if isinstance(one, Outcome)}
        left += len({one for one in records if isinstance(one, int)} - answered)
    return left


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(pool.FEW, id="own process"),
        pytest.param(pool.MANY, id="letters"),
        pytest.param(pool.MANY + 3000, id="rows"),
    ],
)
def test_what_is_too_late_after_a_standstill_is_not_sent(
    sender: Field, push_service: PushService, count: int
) -> None:
    push_service.play([{"delay": [0.01, 0.03]}])
    sender.config = sending.led_to(sender.config, push_service, timeout=TIMEOUT)
    sender.people(count)
    ended, went_on, begun = 0, 0.0, 0

    def stand_still(more: int) -> None:
        """Stop everything for a while, in which the time of all messages is over."""
        nonlocal ended, went_on, begun
        ended += more
        if went_on or ended < 300:
            return
        workers = program.workers_of(os.getpid())
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        begun = count_begun(sender)
        over = "UPDATE deliveries SET expires_at = ? WHERE status IN ('planned', 'sending')"
        with sender.store.write() as connection:
            connection.execute(over, (soon() - MINUTE,))
        time.sleep(2.5 * TIMEOUT)
        went_on = time.monotonic()
        for worker in workers:
            os.kill(worker, signal.SIGCONT)

    options = deliver.Options(patience=0.0, progress=stand_still)
    report = sender.send(soon(), options=options, ttl="1h")
    assert went_on
    late = sum(one.at > went_on for one in push_service.receipts())
    assert late <= begun + BATCH * len(program.workers_of(os.getpid()) or range(8))
    # All requests that were under way ran into their timeouts: that may have stopped the run.
    deliver.run(sender.store, sender.config, report.campaign, soon() + MINUTE)
    counts = Counter(sender.counts(report.campaign))
    assert counts.total() == count
    assert counts["expired"] > count / 3
    assert not counts["planned"] + counts["sending"]


def test_a_chunk_that_waited_through_a_standstill_comes_back_unsent(
    sender: Field, push_service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender.config = sending.led_to(sender.config, push_service, timeout=TIMEOUT)
    postbox = open_postbox(sender.config, "7")
    packed = worker_format.pack(letters(3), NOON)
    seconds = clock.read_seconds() + 3 * TIMEOUT
    monkeypatch.setattr(worker_format, "read_seconds", lambda: seconds)
    assert worker_format.read_answer(worker_format.send(packed, postbox)) == ([], [])
    assert not journal.find_files(postbox.journal, postbox.run)


def test_answers_that_came_in_a_standstill_are_read(
    sender: Field, push_service: PushService
) -> None:
    """libcurl ends requests whose time is over before it looks whether they were answered."""
    push_service.play([{"delay": [0.2, 0.3]}, {"share": 0.2, "do": "silence"}])
    sender.config = sending.led_to(sender.config, push_service, timeout=1.0)
    sender.people(30)
    before, stood_still = len(push_service.receipts()), False

    def stand_still() -> None:
        nonlocal stood_still
        # All are begun, and after the standstill all are answered.
        if len(push_service.receipts()) == before + 30 and not stood_still:
            stood_still = True
            time.sleep(1.5)

    postbox = open_postbox(sender.config, "7")
    campaign = sender.freeze()
    rows, _ = sender.store.deliveries.claim_fresh(campaign.id, 0, 30, NOON)
    keys = frozenset({sender.key})
    recipe = worker_format.Recipe(campaign, sender.config.sites, keys, sender.config.secret())
    written, _ = recipe.make_renderer().write(rows, NOON)
    began = time.monotonic()
    outcomes = send_chunk(written, postbox, stand_still)
    assert stood_still
    silent = Counter(one.fate for one in push_service.receipts(before))["silence"]
    assert 0 < silent < 20
    counts = Counter(one.answer for one in outcomes)
    assert counts == {Answer.ACCEPTED: 30 - silent, Answer.IN_DOUBT: silent}
    assert time.monotonic() - began < 10, "who was silent gets one more timeout, no more"
