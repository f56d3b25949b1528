"""Tables, CSV, JSON, progress: the only module that prints."""
