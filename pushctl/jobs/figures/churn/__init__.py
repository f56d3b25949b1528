"""When people were subscribers, and after which messages they left."""
