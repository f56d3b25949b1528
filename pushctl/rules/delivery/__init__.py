"""Sending: addresses, answers, tries, rates, and when to stop."""
