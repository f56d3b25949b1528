"""Subscribers: imported, exported, selected, tagged, explained, forgotten."""
