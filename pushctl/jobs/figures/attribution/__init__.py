"""Which message has brought about which order, kept up to date with what changes."""
