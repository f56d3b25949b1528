"""templates/ -> Message."""
