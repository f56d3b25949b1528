"""A short run of the fuzzer; the long one is a command (docs/receiver.md)."""

from pathlib import Path

from tests.faults.fuzz_receiver import fuzz


def test_spoiled_requests_bring_nothing_down(tmp_path: Path) -> None:
    figures = fuzz(tmp_path, count=4_000, seed=11)
    assert figures["faults"] == []
    # It must reach every check, not only the first one.
    assert {"204", "400", "403", "413", "415"} <= figures["answers"].keys()
    assert figures["taken"] > 100
