"""Which hour is the best one to send."""
