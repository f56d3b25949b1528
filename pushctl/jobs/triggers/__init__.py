"""Triggers: who enters, what is due, what was tried and explained."""
