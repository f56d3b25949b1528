"""The sweep, which cron runs every minute: all that is due, in order."""
