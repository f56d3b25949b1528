"""
The web-facing door: checks what browsers send, appends it to the inbox, knows nothing else.

It opens no database and holds no secret; who may change what is decided when the
inbox is drained (docs/receiver.md).
"""
