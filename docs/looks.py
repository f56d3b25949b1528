"""
Draw the pictures in docs/pictures/looks anew: ./run python docs/looks.py [firefox|chromium]

Look at what `git diff` shows of them before you commit: from then on this is how the
invitation and the preferences are meant to look. What looks as before stays as it is.
"""

import os
import sys

import pytest


def main() -> int:
    os.environ |= {"PUSHCTL_LOOKS": "renew", "PUSHCTL_E2E": "require"}
    asked = " and ".join(["every_person_and_screen", *sys.argv[1:2]])
    return int(pytest.main(["tests/e2e/test_invitation.py", "-k", asked]))


if __name__ == "__main__":
    sys.exit(main())
