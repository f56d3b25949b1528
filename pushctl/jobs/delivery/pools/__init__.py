"""Pools that send letters: this process, processes of its own, a cluster."""
