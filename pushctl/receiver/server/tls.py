"""TLS without a proxy; renewed certificates are loaded without a restart."""

import asyncio
import logging
import ssl
from pathlib import Path

from pushctl.errors import ConfigError

log = logging.getLogger("pushctl.receiver")

CHECK_SECONDS = 10.0


class Certificate:
    """
    A certificate and its key in PEM files, which may be renewed.

    Open connections keep the certificate that they began with.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        # A handshake is expensive; a client gets one.
        self.context.options |= ssl.OP_NO_RENEGOTIATION
        self.context.set_alpn_protocols(["http/1.1"])
        try:
            self._seen = self._read_times()
            self.context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(
                f"the certificate {certificate} or its key {key} can't be used: {reason}. "
                "See receiver.certificate in pushctl.toml."
            ) from error

    def renew(self) -> bool:
        """Load the files if they have changed; return whether new ones are in use."""
        try:
            seen = self._read_times()
            if seen == self._seen:
                return False
            # First into an unused context: half of a renewed pair must not be loaded.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*self._files)
            self.context.load_cert_chain(*self._files)
        except (OSError, ssl.SSLError) as error:
            log.warning("the renewed certificate can't be used yet: %s", type(error).__name__)
            return False
        self._seen = seen
        log.info("a renewed certificate is in use")
        return True

    async def watch(self, every: float = CHECK_SECONDS) -> None:
        while True:
            await asyncio.sleep(every)
            self.renew()

    def _read_times(self) -> tuple[int, ...]:
        return tuple(file.stat().st_mtime_ns for file in self._files)
