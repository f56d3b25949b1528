"""Decides which enrolments of a restored backup go on."""

from pushctl.model import Millis
from pushctl.rules.triggers.enrolment import Enrolment, base
from pushctl.rules.triggers.trigger import Kind, Trigger


def goes_on(trigger: Trigger, enrolment: Enrolment, now: Millis) -> bool:
    """
    Return whether nothing that the backup lacks can have ended *enrolment* or sent its step.

    The next step must be due after *now*, from a time that is known. No event may end the
    enrolment: a purchase after the backup is lost, and its buyer must get no reminder.
    """
    if enrolment.next_at is None or enrolment.next_at <= now:
        return False
    if enrolment.step > len(trigger.steps) or base(trigger, enrolment) is None:
        return False
    if trigger.stops or trigger.kind is Kind.INACTIVE:
        return False
    # A newer event may have begun a shorter wait where the wait goes by its value.
    return not trigger.restart or len(trigger.steps[enrolment.step - 1].after) == 1
