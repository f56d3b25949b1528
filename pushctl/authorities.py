"""The trusted certificate authorities: the system's, else the packaged ones."""

import ssl
from functools import lru_cache
from pathlib import Path

# pycurl's wheels bring a libcurl that was built elsewhere and uses that system's path.
_SYSTEM_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # macOS, BSD
)


@lru_cache(maxsize=1)
def find_file() -> str | None:
    """Return the file of trusted authorities, or None for libcurl's own."""
    known = ssl.get_default_verify_paths().cafile
    for name in (known, *_SYSTEM_FILES):
        if name and Path(name).is_file():
            return name
    try:
        import certifi
    except ImportError:
        return None
    return certifi.where()
