"""Outcomes become rows: of this run, and of one that died."""
