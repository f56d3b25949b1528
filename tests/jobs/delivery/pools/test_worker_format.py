"""Letters, rows and outcomes are the same behind the pipe to a worker."""

import pickle

from pushctl.jobs.delivery.pools import worker_format
from pushctl.jobs.delivery.pools.pool import ProcessPool
from pushctl.jobs.delivery.pools.worker_format import Recipe
from pushctl.jobs.delivery.postbox import open_postbox
from pushctl.jobs.delivery.rendering.render import Renderer
from pushctl.model import Answer, Cause, Letter, Outcome
from pushctl.push import journal
from pushctl.store.ledger_rows import ClaimedRow
from pushctl.templates import Template
from tests.push.test_transport import letters
from tests.support import HOUR, NOON, sending
from tests.support.sending import Field


def test_letters_and_rows_arrive_as_they_left(sender: Field) -> None:
    sender.people(2)
    campaign = sender.freeze()
    rows, _ = sender.store.deliveries.claim_fresh(campaign.id, 0, 2, NOON)
    sent = [*letters(3), letters(1)[0]._replace(topic="t" * 32, payload=b"\x00\xff")]
    now, _, found, found_rows = worker_format.read(worker_format.pack([*rows, *sent], NOON))
    assert (now, found, found_rows) == (NOON, sent, rows)
    assert {type(it) for it in found} == {Letter}
    assert {type(it) for it in found_rows} == {ClaimedRow}


def test_a_chunk_of_rows_and_letters_leaves_no_journal(sender: Field) -> None:
    sender.people(4)
    campaign = sender.freeze()
    rows, _ = sender.store.deliveries.claim_fresh(campaign.id, 0, 4, NOON)
    keys = frozenset({sender.key})
    recipe = Recipe(campaign, sender.config.sites, keys, sender.config.secret())
    (letter, _), _ = recipe.make_renderer().write(rows[2:], NOON)
    box = open_postbox(sender.config, "7")
    with ProcessPool(1, box, recipe, lambda: NOON) as pool:
        pool.submit([rows[0], letter, rows[1], rows[3]._replace(site="gone")])
        returned = pool.poll(60.0)
    assert sorted(one.delivery for one in returned.outcomes) == [it.id for it in rows[:3]]
    assert {one.answer for one in returned.outcomes} == {Answer.ACCEPTED}
    assert (returned.unwritten, returned.unsent) == ([rows[3].id], [])
    assert journal.find_files(box.journal, box.run)
    returned.discard()
    assert not journal.find_files(box.journal, box.run)


def test_outcomes_arrive_as_they_left_with_each_answer_and_cause() -> None:
    sent = [
        Outcome(number, answer, "why", 201 + number, 5, "https://x/y", 7, cause)
        for number, (answer, cause) in enumerate(
            (answer, cause) for answer in Answer for cause in (None, *Cause)
        )
    ]
    sent.append(Outcome(9, Answer.ACCEPTED, "201"))
    found, unwritten = worker_format.read_answer(worker_format.pack_answer(sent, [4, 5]))
    assert (found, unwritten) == (sent, [4, 5])
    assert {type(it) for it in found} == {Outcome}
    assert all(type(it.answer) is Answer for it in found)
    assert all(it.cause is None or type(it.cause) is Cause for it in found)


def test_a_worker_writes_the_letters_that_the_coordinator_would(sender: Field) -> None:
    folder = sender.config.folder
    sending.template(folder, "own", title="{{ attributes.n }}", body="{{ subscriber.id }}")
    people = sender.people(4)
    for row in people[:3]:
        sender.store.subscriptions.set_attributes(row, {"n": f"Ali & {row}"})
    campaign = sender.freeze(template="own", ttl="2h")
    rows, _ = sender.store.deliveries.claim_fresh(campaign.id, 0, 4, NOON)
    template = Template.from_sources(campaign.template, campaign.sources)
    keys = frozenset({sender.key})
    here = Renderer(campaign, template, sender.config, keys)
    recipe = Recipe(campaign, sender.config.sites, keys, sender.config.secret())
    there = pickle.loads(pickle.dumps(recipe)).make_renderer()
    written, without = there.write(rows, NOON + HOUR)
    rendered, unrendered = here.render(rows, NOON + HOUR)
    assert written == [row.letter for row in rendered]
    assert without == [row.id for row in unrendered] == [rows[3].id]
    prepared, _ = here.prepare(rows[:3], NOON + HOUR)
    assert [it._replace(letter=None) for it in prepared] == [
        it._replace(letter=None) for it in rendered
    ]
