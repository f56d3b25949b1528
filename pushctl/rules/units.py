"""Lengths of time in milliseconds, and sizes in bytes. Nothing is imported here."""

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY
KIB = 1_024
MIB = 1_024 * KIB
