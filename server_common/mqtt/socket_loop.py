"""paho's MQTT client on the running event loop, instead of in a thread of its own."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable
from typing import Any, Final

from paho.mqtt.client import Client

_TIMER_EVERY_S: Final = 1.0


class _TlsSocket(ssl.SSLSocket):
    """A socket that is closed when its handshake fails; paho leaves it open."""

    def do_handshake(self, block: bool = False) -> None:
        """Shake hands."""
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def tls_context(ca_file: str) -> ssl.SSLContext:
    """A TLS context for paho that trusts the authorities in `ca_file` (PEM).

    Raises:
        OSError: the file cannot be read, or holds no certificate.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.sslsocket_class = _TlsSocket
    return context


class SocketLoop:
    """Lets a paho client read, write and keep time on the event loop.

    Args:
        client: the client; its socket callbacks are set here.
        failed: called with an exception that paho raised while it read, wrote or kept time.
    """

    def __init__(self, client: Client, failed: Callable[[Exception], None]) -> None:
        self._client = client
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_register_write
        client.on_socket_unregister_write = self._on_unregister_write

    async def keep_time(self, lost: asyncio.Future[None]) -> None:
        """Until `lost` is done, let paho send its pings and notice a broker that is silent."""
        while not lost.done():
            self._guarded(self._client.loop_misc)
            await asyncio.sleep(_TIMER_EVERY_S)

    def _on_socket_open(self, _client: Client, _data: Any, sock: Any) -> None:
        self._on_loop(self._loop.add_reader, sock.fileno(), self._read)

    def _on_socket_close(self, _client: Client, _data: Any, sock: Any) -> None:
        if (number := sock.fileno()) >= 0:
            self._on_loop(self._loop.remove_reader, number)

    def _on_register_write(self, _client: Client, _data: Any, sock: Any) -> None:
        self._on_loop(self._loop.add_writer, sock.fileno(), self._write)

    def _on_unregister_write(self, _client: Client, _data: Any, sock: Any) -> None:
        if (number := sock.fileno()) >= 0:
            self._on_loop(self._loop.remove_writer, number)

    def _on_loop(self, step: Callable[..., object], *arguments: Any) -> None:
        # While it connects, paho calls back from the thread that connects.
        if threading.get_ident() == self._thread:
            step(*arguments)
        else:
            self._loop.call_soon_threadsafe(step, *arguments)

    def _read(self) -> None:
        self._guarded(self._client.loop_read)
        # Bytes that TLS has decrypted already do not make the socket readable again.
        while (sock := self._client.socket()) is not None:
            pending = getattr(sock, "pending", None)
            if pending is None or pending() == 0:
                break
            self._guarded(self._client.loop_read)

    def _write(self) -> None:
        self._guarded(self._client.loop_write)

    def _guarded(self, step: Callable[[], object]) -> None:
        try:
            step()
        except Exception as error:
            self._failed(error)
