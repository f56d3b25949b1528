"""pushctl: self-hosted web-push campaigns from the command line."""

__version__ = "0.1.0"
