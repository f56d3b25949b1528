"""Forecasts of simulated campaigns: a small version with a fixed seed."""

from tests.proofs import forecasts


def test_forecasts_cover_what_they_promise_and_beat_the_last_three() -> None:
    found = forecasts.prove(60, seed=8)
    assert found.keys() == {"reach", "clicks", "orders", "revenue"}
    for name, one in found.items():
        assert one.forecasts > 150, name
        assert one.against < 1, name
        # 80 % of 60, within three standard deviations.
        assert 0.645 <= one.coverage <= 0.955, name
