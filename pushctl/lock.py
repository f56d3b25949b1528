"""Locks of whole runs: a sweep, a campaign."""
