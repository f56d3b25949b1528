"""The encoders: each turns letters into bodies of the one form that RFC 8291 allows."""


class Unavailable(Exception):
    """Why this machine can't use an encoder."""
