"""Tests of messages and their arms."""
