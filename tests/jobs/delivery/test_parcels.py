"""Letters and outcomes are the same behind the pipe to a worker."""

from pushctl.jobs.delivery import parcels
from pushctl.model import Answer, Cause, Letter, Outcome
from tests.push.test_transport import letters


def test_letters_arrive_as_they_left() -> None:
    sent = [*letters(3), letters(1)[0]._replace(topic="t" * 32, payload=b"\x00\xff")]
    found = parcels.read_letters(parcels.pack_letters(sent))
    assert found == sent
    assert {type(it) for it in found} == {Letter}


def test_outcomes_arrive_as_they_left_with_each_answer_and_cause() -> None:
    sent = [
        Outcome(number, answer, "why", 201 + number, 5, "https://x/y", 7, cause)
        for number, (answer, cause) in enumerate(
            (answer, cause) for answer in Answer for cause in (None, *Cause)
        )
    ]
    sent.append(Outcome(9, Answer.ACCEPTED, "201"))
    found = parcels.read_outcomes(parcels.pack_outcomes(sent))
    assert found == sent
    assert {type(it) for it in found} == {Outcome}
    assert all(type(it.answer) is Answer for it in found)
    assert all(it.cause is None or type(it.cause) is Cause for it in found)
