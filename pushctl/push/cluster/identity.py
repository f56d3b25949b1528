"""Certificates of a cluster: its members know each other by its own authority."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from pushctl.errors import ConfigError


@dataclass(frozen=True)
class Identity:
    """PEM files: the authority, our certificate, its key."""

    ca: Path
    certificate: Path
    key: Path


def make_server_context(identity: Identity) -> ssl.SSLContext:
    """
    Return a context that takes clients with a certificate of the authority alone.

    As in Dask, a certificate means "a member", whatever name stands in it. Raises
    ConfigError.
    """
    for file in (identity.ca, identity.certificate, identity.key):
        if not file.is_file():
            raise ConfigError(
                f"[cluster]: {file} does not exist. docs/cluster.md says how to make it."
            )
    if identity.key.stat().st_mode & 0o077:
        raise ConfigError(
            f"[cluster]: others can read {identity.key}. Run: chmod 600 {identity.key}"
        )
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=identity.ca)
        context.load_cert_chain(identity.certificate, identity.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"[cluster]: {identity.certificate}, its key and {identity.ca} don't fit: {error}"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    return context
