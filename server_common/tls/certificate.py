"""The certificate of a process's own port, reloaded from its files while the process serves.

Open connections keep the one that they began with. If the files are invalid, the old certificate
stays in use.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from server_common.logs import get_logger
from server_common.tls.validity import Validity

_log = get_logger()

LOOK_EVERY_S: Final = 5.0


class ServerCertificate:
    """The certificate of a server's port.

    Args:
        chain: the file of the certificate chain (PEM).
        key: the file of its private key (PEM).
        now: the time of day.

    Raises:
        OSError, ssl.SSLError, ValueError: the files cannot be used.
    """

    def __init__(
        self, chain: str, key: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._chain = Path(chain)
        self._key = Path(key)
        self._now = now
        self._shown = self._digest()
        self.validity = Validity.of_chain(self._chain.read_bytes())
        """The validity of the certificate in use."""
        self._newest = self.context = self._load()
        """The server's TLS context, with the newest valid certificate."""
        self.context.sni_callback = self._show_newest
        self.refusal: str | None = None
        """Why the files' present content is not used; None: it is."""

    async def keep(self, every_s: float = LOOK_EVERY_S) -> None:
        """Check the files periodically, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            # A file system that hangs must not block the server.
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Load the files, if they are new and valid."""
        try:
            found = self._digest()
            if found == self._shown:
                self.refusal = None
                return
            context = self._load()
            validity = Validity.of_chain(self._chain.read_bytes())
            if self._digest() != found:
                return  # the files are being written: the next check sees them whole
            refusal = validity.refusal(self._now())
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            self._refuse(str(error))
            return
        if refusal is not None:
            self._refuse(refusal)
            return
        self._shown, self._newest, self.validity, self.refusal = found, context, validity, None
        _log.info("certificate_renewed", file=str(self._chain), ends=validity.ends.isoformat())

    def _refuse(self, reason: str) -> None:
        if reason != self.refusal:
            _log.error(
                "certificate_not_renewed",
                file=str(self._chain),
                reason=reason,
                shown_until=self.validity.ends.isoformat(),
            )
        self.refusal = reason

    def _digest(self) -> bytes:
        return sha256(self._chain.read_bytes() + b"\0" + self._key.read_bytes()).digest()

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._chain, self._key)
        return context

    def _show_newest(
        self, connection: ssl.SSLObject, _host: str | None, _context: ssl.SSLContext
    ) -> None:
        connection.context = self._newest


def context_factory(
    certificate: ServerCertificate | None,
) -> Callable[[object, object], ssl.SSLContext] | None:
    """The factory by which uvicorn gets the context of its port; None: without TLS."""
    return None if certificate is None else lambda _config, _default: certificate.context
