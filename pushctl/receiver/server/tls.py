"""TLS without a proxy: certificate files, and a renewed certificate without a restart."""

import asyncio
import logging
import ssl
from pathlib import Path

from pushctl.errors import ConfigError

log = logging.getLogger("pushctl.receiver")

LOOK_SECONDS = 10.0


class Certificate:
    """
    A certificate and its key in PEM files, looked at now and then.

    Connections that are open keep what they began with; new ones get the newest that
    could be read.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        # A handshake is dear, and a client may not ask for it again and again.
        self.context.options |= ssl.OP_NO_RENEGOTIATION
        self.context.set_alpn_protocols(["http/1.1"])
        try:
            self._seen = self._times()
            self.context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(
                f"the certificate {certificate} or its key {key} can't be used: {reason}. "
                "See receiver.certificate in pushctl.toml."
            ) from error

    def renew(self) -> bool:
        """Load the files again if they changed; say whether they did and could be."""
        try:
            seen = self._times()
            if seen == self._seen:
                return False
            # Into one that serves nobody first: half of a renewed pair spoils nothing.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*self._files)
            self.context.load_cert_chain(*self._files)
        except (OSError, ssl.SSLError) as error:
            log.warning("the renewed certificate can't be used yet: %s", type(error).__name__)
            return False
        self._seen = seen
        log.info("a renewed certificate is in use")
        return True

    async def watch(self, every: float = LOOK_SECONDS) -> None:
        while True:
            await asyncio.sleep(every)
            self.renew()

    def _times(self) -> tuple[int, ...]:
        return tuple(file.stat().st_mtime_ns for file in self._files)
