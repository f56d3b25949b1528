"""The push services: which letters may go now, and what is wrong with a service."""
