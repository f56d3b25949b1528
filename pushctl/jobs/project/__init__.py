"""The project itself: made, checked, put into cron, released after a restore."""
