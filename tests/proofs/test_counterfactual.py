"""Counterfactual replay: intervals hold what other rules would have brought."""

from tests.proofs import counterfactual


def test_intervals_cover_the_truth_of_simulated_policies() -> None:
    found = counterfactual.prove(40, 7, most_people=1_200)
    answered = found.policies - found.refused
    assert answered >= 20
    assert found.broken <= 3
    assert found.share(found.clicks) >= 0.85
    assert found.share(found.orders) >= 0.85
