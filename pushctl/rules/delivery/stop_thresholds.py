"""When to stop: too many errors in a campaign, too many subscriptions gone at a service."""

FEW_GONE = 100  # fewer prove nothing, and can be put right by hand
TELLING = 20  # receivers of earlier messages who tell that a service is in order


def has_suspicious_share(gone: int, answered: int) -> bool:
    """
    Return whether so many subscriptions are gone that the fault may be ours or theirs.

    The caller compares it with the past: where less than 5 % used to be gone, the
    origin stops and no more are deleted (faults seen: 40 % in waves, real and not).
    """
    return gone > FEW_GONE and gone > 0.2 * answered


USUALLY_GONE = 0.05
ERROR_WINDOW = 1000
ERROR_SHARE = 0.25


def spread(errors: int, ended: int) -> str:
    """
    Return one letter for each of *ended* final states, *errors* of them "x", evenly mixed.

    Answers are counted by the batch; errors all in front of it would be the first ones that
    the last thousand forget.
    """
    first = max(0, ended - ERROR_WINDOW)
    if not errors:
        return "a" * (ended - first)
    return "".join(
        "x" if (number + 1) * errors // ended > number * errors // ended else "a"
        for number in range(first, ended)
    )


def has_too_many_errors(recent: str) -> bool:
    """
    Return whether a campaign should stop: a quarter of the last answers are errors.

    *recent* holds one letter for each of the last (up to 1,000) final states: "x" for
    rejected or in doubt. It takes two hundred.
    """
    return len(recent) >= 200 and recent.count("x") >= ERROR_SHARE * len(recent)
