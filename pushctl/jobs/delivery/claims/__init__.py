"""Rows that are claimed for sending, and what keeps one from going out."""
