"""Messages as they will be read, before anything is sent."""
