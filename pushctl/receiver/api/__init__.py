"""The server API: a shop's own server tells, asks and sends, with a key."""
