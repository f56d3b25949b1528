"""A campaign's rows while it is sent: what is claimed is noted once it is committed."""

from pathlib import Path

import pytest

from pushctl.jobs.delivery.claims.ledger import Ledger
from pushctl.jobs.delivery.gates import restore_guard
from tests.support import NOON, sending


def test_a_claim_that_was_not_committed_is_not_noted(tmp_path: Path) -> None:
    """Else the database would seem to be older than what was sent from it."""
    field = sending.field(tmp_path)
    field.people(3)
    ledger = Ledger(field.store, field.config, field.freeze())
    with ledger.transaction():
        assert len(ledger.claim(1, NOON)) == 1
    with pytest.raises(ZeroDivisionError), ledger.transaction():
        ledger.claim(1, NOON)
        1 / 0  # noqa: B018
    with ledger.transaction():
        pass
    restore_guard.check(field.store, field.config)
    assert restore_guard.load_generation(field.store) == 1
    field.store.close()
