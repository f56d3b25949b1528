"""Campaigns by hand: sent now, later or again and again; shown, paused, cancelled."""
