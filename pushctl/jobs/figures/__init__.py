"""Figures: what became of messages and people."""
