"""Messages: languages, values, the payload."""
