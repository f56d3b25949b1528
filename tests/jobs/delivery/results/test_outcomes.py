"""Outcomes of a batch: each row gets its own, in whatever order they come."""

from pushctl.jobs.delivery.push_services.throttle import Throttle
from pushctl.jobs.delivery.results.outcomes import OutcomeBatch
from pushctl.jobs.delivery.types import RenderedRow
from pushctl.model import Answer, Cause, Outcome
from tests.support import NOON, sending
from tests.support.sending import Field

LANES = [
    ("https://fcm.googleapis.com", "k"),
    ("https://updates.push.services.mozilla.com", "k"),
]


def test_neighbours_that_differ_get_each_its_own_outcome(sender: Field) -> None:
    """Two services, languages, statuses and places in turn, a refusal among them."""
    count = 24
    sender.people(count)
    campaign = sender.freeze()
    claimed, _ = sender.store.deliveries.claim_fresh(campaign.id, 0, count, NOON)
    rows, outcomes, expected = {}, [], {}
    for number, row in enumerate(claimed):
        lane = LANES[number % 2]
        language = ("en", "de", None)[number % 3]
        status = (201, 202, 200, 201)[number % 4]
        place = f"https://x/{row.id}" if number % 5 == 0 else None
        rows[row.id] = RenderedRow(
            sending.letter(row.id), lane, 1, None, row.subscription, language, 0
        )
        if number == 7:
            outcomes.append(Outcome(row.id, Answer.GONE, "410", 410, cause=Cause.GONE))
            expected[row.id] = ("gone", 410, None, language)
            continue
        outcomes.append(Outcome(row.id, Answer.ACCEPTED, str(status), status, None, place))
        kept = place if lane == LANES[1] else None  # by it a message is recalled, there alone
        expected[row.id] = ("accepted", status, kept, language)
    batch, throttle = OutcomeBatch(NOON), Throttle({})
    batch.add(outcomes, rows, throttle)
    batch.update_lanes(throttle)
    with sender.store.write():
        batch.write_rows(sender.store)
    sql = "SELECT id, status, http_status, location, language FROM deliveries"
    found = {number: tuple(rest) for number, *rest in sender.store.connection.execute(sql)}
    assert found == expected
    assert batch.tally == {"accepted": count - 1, "gone": 1}
    lanes = [throttle.load_lane(lane, NOON) for lane in LANES]
    assert [(it.answered, it.accepted) for it in lanes] == [(12, 12), (12, 11)]
