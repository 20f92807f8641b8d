"""Sends one request to a receiver, over a connection to an address that was checked.

A name is resolved once for each connection, and the checked address is the one that is connected
to, so a change of the name's address in between has no effect. Redirects are not followed,
certificates are verified, and answers are limited in bytes and in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore
import httpx

from core_api.webhooks.addresses import Networks
from core_api.webhooks.retries import DeliveryOutcome, outcome_of
from server_common.limits import WEBHOOK_ANSWER_BYTES, WEBHOOK_HEAD_BYTES, WEBHOOKS_AT_ONCE

ANSWER_WITHIN_S: Final = 10.0
"""The time-out of an attempt in seconds, from the name's resolution to the answer's head."""
_REST_WITHIN_S: Final = 1.0
_KEPT_S: Final = 30.0
_MAX_ADDRESSES: Final = 4
_HEADERS: Final = {
    "content-type": "application/json",
    "user-agent": "Yabam-Webhooks/1",
    "accept-encoding": "identity",
}
Resolve = Callable[[str, int], list[str]]


class NotPermittedError(OSError):
    """The receiver's name leads to no address that is permitted."""


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host. Raises OSError: it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class _BoundedStream(httpcore.AsyncNetworkStream):
    """A stream with a limit of bytes for each request, which includes interim answers, as these
    have no other limit."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._read = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        part = await self._stream.read(max_bytes, timeout)
        self._read += len(part)
        if self._read > WEBHOOK_HEAD_BYTES:
            raise httpcore.RemoteProtocolError("its answer is too long")
        return part

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._read = 0
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _BoundedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _CheckedBackend(httpcore.AnyIOBackend):
    """Connects to permitted addresses only.

    Args:
        permits: whether an address is permitted.
        resolve: finds the addresses of a host; it may block.
        threads: where names are resolved.
        try_s: the time-out of an address if there is another one to try, in seconds.
    """

    def __init__(
        self,
        permits: Callable[[str], bool],
        resolve: Resolve,
        threads: ThreadPoolExecutor,
        try_s: float,
    ) -> None:
        self._permits = permits
        self._resolve = resolve
        self._threads = threads
        self._try_s = try_s
        self._asked: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            found = await asyncio.shield(self._addresses(host, port))
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"the name {host} does not resolve") from error
        permitted = [address for address in found if self._permits(address)][:_MAX_ADDRESSES]
        if not permitted:
            raise NotPermittedError(f"{host} leads to no address that webhooks may be sent to")
        for address in permitted[:-1]:
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return _BoundedStream(
                    await super().connect_tcp(
                        address, port, self._try_s, local_address, socket_options
                    )
                )
        return _BoundedStream(
            await super().connect_tcp(permitted[-1], port, timeout, local_address, socket_options)
        )

    def _addresses(self, host: str, port: int) -> asyncio.Future[list[str]]:
        """The host's addresses. A name that does not resolve takes one thread, however many ask."""
        asked = self._asked.get((host, port))
        if asked is None:
            loop = asyncio.get_running_loop()
            asked = loop.run_in_executor(self._threads, self._resolve, host, port)
            self._asked[host, port] = asked
            asked.add_done_callback(lambda done: self._answered(host, port, done))
        return asked

    def _answered(self, host: str, port: int, done: asyncio.Future[list[str]]) -> None:
        del self._asked[host, port]
        if not done.cancelled():
            done.exception()  # the caller may have gone


class Poster:
    """Sends requests to receivers.

    Args:
        networks: the networks that may be connected to.
        resolve: finds the addresses of a host.
        answer_within_s: how long an attempt may take, in seconds.
    """

    def __init__(
        self,
        networks: Networks,
        resolve: Resolve = resolve,
        answer_within_s: float = ANSWER_WITHIN_S,
    ) -> None:
        self._within_s = answer_within_s
        # As many threads as requests, so that names that do not resolve delay few others.
        self._threads = ThreadPoolExecutor(WEBHOOKS_AT_ONCE, "webhook-names")
        verify = httpx.create_ssl_context()

        def pool(permits: Callable[[str], bool]) -> httpcore.AsyncConnectionPool:
            return httpcore.AsyncConnectionPool(
                ssl_context=verify,
                max_connections=WEBHOOKS_AT_ONCE,
                keepalive_expiry=_KEPT_S,
                network_backend=_CheckedBackend(
                    permits, resolve, self._threads, answer_within_s / _MAX_ADDRESSES
                ),
            )

        # Unencrypted requests go only to networks of the operator.
        self._pools = {"https": pool(networks.permits), "http": pool(networks.is_own)}

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], now: datetime
    ) -> DeliveryOutcome:
        """Send one request. Returns its outcome.

        Args:
            url: accepted by `check_url`.
            body: JSON, unless the headers say what else it is.
            headers: those of this message, in lower case.
            now: for an answer that names a time.
        """
        try:
            async with asyncio.timeout(self._within_s) as limit:
                return await self._post(url, body, {**_HEADERS, **headers}, now, limit)
        except TimeoutError:
            return DeliveryOutcome("unreachable", f"it did not answer within {self._within_s:g} s")
        except NotPermittedError as error:
            return DeliveryOutcome("unreachable", str(error))
        except (OSError, *_FAILED) as error:
            return DeliveryOutcome("unreachable", f"it cannot be reached: {_told(error)}")

    async def _post(
        self,
        url: str,
        body: bytes,
        headers: dict[str, str],
        now: datetime,
        limit: asyncio.Timeout,
    ) -> DeliveryOutcome:
        target = _url_of(url)
        async with self._pools[target.scheme.decode()].stream(
            "POST", target, headers=list(headers.items()), content=body
        ) as response:
            retry_after = next(
                (v.decode("latin-1") for k, v in response.headers if k.lower() == b"retry-after"),
                None,
            )
            outcome = outcome_of(response.status, retry_after, now)
            # The answer's head came in time, however long the rest takes.
            limit.reschedule(asyncio.get_running_loop().time() + 2 * _REST_WITHIN_S)
            # A connection whose answer was read to its end can be used again.
            with contextlib.suppress(TimeoutError, OSError, *_FAILED):
                async with asyncio.timeout(_REST_WITHIN_S):
                    await _read_some(response)
            return outcome

    async def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            await pool.aclose()
        self._threads.shutdown(wait=False, cancel_futures=True)


_FAILED: Final = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
)


def _url_of(url: str) -> httpcore.URL:
    # httpcore's own parsing of a URL drops the text after a `;` in the last part of its path.
    parts = urlsplit(url)
    return httpcore.URL(
        scheme=parts.scheme,
        host=parts.hostname or "",
        port=parts.port,
        target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )


async def _read_some(response: httpcore.Response) -> None:
    read = 0
    async for part in response.aiter_stream():
        read += len(part)
        if read > WEBHOOK_ANSWER_BYTES:
            return


def _told(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:200]
