"""One campaign, from due rows to outcomes on disk; ``deliver`` is the door."""
