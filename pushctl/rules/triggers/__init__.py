"""Triggers: declared, entered, decided step by step, tried without a database."""
