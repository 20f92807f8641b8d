"""The network of one client, which can be switched off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx


class OwnNetwork:
    """The network between one client and all servers."""

    def __init__(self) -> None:
        self._gone = asyncio.Event()

    def take_away(self) -> None:
        """Switch the network off: requests fail, and open connections break."""
        self._gone.set()

    def give_back(self) -> None:
        """Switch the network on again."""
        self._gone = asyncio.Event()

    def transport(self) -> httpx.AsyncBaseTransport:
        """The transport for the client's HTTP requests."""
        return _Transport(self)

    async def unless_gone(self, work: asyncio.Future[bytes | None]) -> bytes | None:
        """The result of `work`.

        Raises:
            httpx.ReadError: the network was switched off meanwhile.
        """
        gone = asyncio.ensure_future(self._gone.wait())
        either: set[asyncio.Future[Any]] = {work, gone}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise httpx.ReadError("the network is gone")
            return work.result()
        finally:
            work.cancel()
            gone.cancel()

    @property
    def is_gone(self) -> bool:
        """Whether the network is off."""
        return self._gone.is_set()


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, network: OwnNetwork) -> None:
        self._network = network
        self._inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._network.is_gone:
            raise httpx.ConnectError("the network is gone")
        response = await self._inner.handle_async_request(request)
        if self._network.is_gone:
            await response.aclose()
            raise httpx.ReadError("the network is gone")
        assert isinstance(response.stream, httpx.AsyncByteStream)
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=_Stream(response.stream, self._network),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Stream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, network: OwnNetwork) -> None:
        self._inner = inner
        self._network = network

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = aiter(self._inner)
        while True:
            chunk = await self._network.unless_gone(asyncio.ensure_future(_next(chunks)))
            if chunk is None:
                return
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(chunks, None)
