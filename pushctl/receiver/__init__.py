"""
The web receiver: checks the requests of browsers and appends them to the inbox.

It opens no database and holds no secret; permissions are checked when the inbox is drained
(docs/receiver.md).
"""
