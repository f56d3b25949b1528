"""``check --live``: the machine, the receiver and the pages as they are now."""
