"""What is planted in a generated history: effects with true values, which figures must find."""

from pushctl.model import Json

# How much more often a message is clicked that is sent at this hour of the receiver's day.
HOURS = (
    0.45, 0.45, 0.45, 0.45, 0.45, 0.50, 0.70, 0.90, 1.00, 0.80, 0.80, 0.80,
    0.95, 0.95, 0.80, 0.80, 0.80, 1.00, 1.15, 1.30, 1.40, 1.25, 0.90, 0.60,
)  # fmt: skip
WEEKEND = 0.80  # Saturday and Sunday, at any hour
BEST_HOUR = 20

# Clicks of a message that is accepted, at an hour of 1.0, by topic.
TOPICS = {"promotion": 0.070, "news": 0.090, "product": 0.055, "loyalty": 0.065}
WELCOME = 0.20  # and of the first message after subscribing
WIN_BACK = 0.05

VARIANT_LIFT = 1.25  # b over a, wherever two texts are tested
QUESTION = 0.85  # a title that asks, over one that says
AGE_FLOOR, AGE_HALF = 0.55, 90.0  # clicks fall to this share, half of the way in so many days

# Who has this message as the fourth or more within seven days leaves that much more often.
LEAVES = 0.0008  # unsubscribes a message, within a day
OFTEN, OFTEN_DAYS, OFTEN_LEAVES = 4, 7, 3.0

# Of those who leave a basket and don't buy within 25 minutes, this share buys within a day.
QUICK = 0.30
BOUGHT = 0.15
BASKET_LIFT = 1.40  # times that, where the first reminder was accepted
BASKET_HOLDOUT = 0.10

HOLDOUT = 0.10  # of people, over all marketing
CONVERTS = 0.06  # of clicks on a campaign: an order within a day, which is more than before

# Of new visitors who see the invitation, and of those who accept it, by its variant.
SEEN = 0.62
INVITED = {"banner": 0.055, "bell": 0.085}
ALLOWED = 0.80


def find_age_factor(days: float) -> float:
    """Return how much of its first click rate a subscription of so many days has."""
    return float(AGE_FLOOR + (1.0 - AGE_FLOOR) * 0.5 ** (days / AGE_HALF))


def list_truths(lift: float) -> dict[str, Json]:
    """
    Return the planted effects by name: the table of docs/demo.md, and planted.json.

    *lift* is no setting: it comes of the orders that messages bring.
    """
    held = QUICK + (1 - QUICK) * BOUGHT
    reminded = QUICK + (1 - QUICK) * BOUGHT * BASKET_LIFT
    return {
        "click_rate_by_topic": TOPICS,
        "click_factor_by_local_hour": HOURS,
        "click_factor_at_weekends": WEEKEND,
        "best_hour": BEST_HOUR,
        "variant_b_over_a": VARIANT_LIFT,
        "question_over_statement": QUESTION,
        "click_factor_after_days": {
            str(day): round(find_age_factor(day), 4) for day in (0, 30, 90, 180, 365)
        },
        "unsubscribes_after_a_message": LEAVES,
        "unsubscribes_from_the_4th_in_7_days_over_before": OFTEN_LEAVES,
        "basket_bought_in_control_group": round(held, 6),
        "basket_bought_when_reminded": round(reminded, 6),
        "basket_lift": round(reminded / held, 6),
        "orders_after_a_click": CONVERTS,
        "accepts_the_invitation": INVITED,
        "buyers_with_messages_over_control_group": round(lift, 6),
    }
