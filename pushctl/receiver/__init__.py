"""The web-facing ASGI app: checks, then appends to the inbox; knows nothing else."""
