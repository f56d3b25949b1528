"""
Counterfactual replay: how often the interval holds what other rules would really have brought.

    ./run python -m tests.proofs.counterfactual --policies 500

Each policy is drawn at random, and so are the rules of the log: two steps with two or three
arms, shares from 5 to 95 %, a third of the logs with shares that change like a bandit's. A
person who clicks the first step gets no second one. Each arm has a click rate of its own, and
a quarter of the clickers buy. The truth is computed exactly from the rates. 95 % are promised
of those that are not refused.
"""

import argparse
import random
from dataclasses import dataclass

from pushctl.rules.figures.experiments import counterfactual
from pushctl.rules.figures.experiments.counterfactual import Draw, Policy

BOUGHT = 0.25  # of clickers


@dataclass
class Found:
    """Of *policies*: *refused* ones, and of the others those whose interval held the truth."""

    policies: int = 0
    refused: int = 0
    broken: int = 0
    clicks: int = 0
    orders: int = 0

    def share(self, covered: int) -> float:
        return covered / max(self.policies - self.refused, 1)


def draw_shares(arms: int, draw: random.Random) -> dict[str, float]:
    """Return shares of arms, each at least 5 %."""
    parts = [draw.gammavariate(1, 1) for _ in range(arms)]
    return {
        letter: 0.05 + (1 - 0.05 * arms) * part / sum(parts)
        for letter, part in zip("abc", parts, strict=False)
    }


def pick(shares: dict[str, float], draw: random.Random) -> str:
    return draw.choices(list(shares), list(shares.values()))[0]


def prove(policies: int, seed: int, most_people: int = 6_000) -> Found:
    """Return how often the estimates of so many random policies hold the truth."""
    draw, found = random.Random(seed), Found()
    for _ in range(policies):
        found.policies += 1
        arms = [draw.choice((2, 3)) for _ in range(2)]
        rates = [{arm: draw.uniform(0.03, 0.2) for arm in "abc"[:count]} for count in arms]
        logged = [draw_shares(count, draw) for count in arms]
        wanted = [draw_shares(count, draw) for count in arms]
        if draw.random() < 0.3:  # the winner only
            wanted = [{draw.choice(list(one)): 1.0} for one in wanted]
        policy: Policy = {str(step): shares for step, shares in enumerate(wanted, 1)}
        mean = [
            sum(share * rate[arm] for arm, share in shares.items())
            for shares, rate in zip(wanted, rates, strict=True)
        ]
        truth = mean[0] + (1 - mean[0]) * mean[1]
        moves = draw.random() < 1 / 3
        people = int(draw.uniform(300, most_people))
        weights, clicks, orders = [], [], []
        for number in range(people):
            if moves and number == people // 2:
                logged = [draw_shares(count, draw) for count in arms]
            draws, clicked = [], False
            for step in range(2):
                arm = pick(logged[step], draw)
                draws.append(Draw(str(step + 1), arm, logged[step][arm]))
                clicked = draw.random() < rates[step][arm]
                if clicked:
                    break
            weights.append(counterfactual.weigh(draws, policy))
            clicks.append(float(clicked))
            orders.append(float(clicked and draw.random() < BOUGHT))
        fault = counterfactual.find_fault(weights)
        if fault is not None:
            found.refused += 1
            found.broken += "stored probabilities" in fault
            continue
        for rewards, value in ((clicks, truth), (orders, truth * BOUGHT)):
            made = counterfactual.estimate(weights, rewards, share=True).interval
            covered = made.low <= value <= made.high
            if rewards is clicks:
                found.clicks += covered
            else:
                found.orders += covered
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--policies", type=int, default=500)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    found = prove(asked.policies, asked.seed)
    print(
        f"seed {asked.seed}: {found.policies:,} policies, {found.refused} refused "
        f"({found.broken} as broken logs); the truth is in the interval of clicks in "
        f"{found.share(found.clicks):.1%}, of orders in {found.share(found.orders):.1%}"
    )


if __name__ == "__main__":
    main()
