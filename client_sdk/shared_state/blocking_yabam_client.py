"""The client of orders and documents for programs without asyncio."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from client_sdk.client.blocking_client import BlockingOrderClient, LoopThread
from client_sdk.client.runner import Token
from client_sdk.errors import ClosedError
from client_sdk.shared_state.blocking_commands import BlockingCommands
from client_sdk.shared_state.blocking_state import BlockingState, Threads
from client_sdk.shared_state.yabam_client import YabamClient, YabamOptions
from client_sdk.state.conflicts import Resolver


class BlockingYabamClient(BlockingOrderClient):
    """`YabamClient` for threads: `client.state(channel)[key].merge(…)` waits until it is stored.

    Errors are those of `YabamClient`. Resolvers and callbacks of subscriptions run in threads of
    their own; `state` may be used from any thread.

    Args:
        base_url: Core's address.
        token: an access token, or a function (async or not) that returns one, as for `OrderClient`.
        channels: the channels to follow, of orders, of documents or of both; 1 to 500.
        resolvers: the functions that resolve the conflicts of documents, by key, as for
            `YabamClient`; each runs in a thread of its own.
        options: the other arguments of `YabamClient`, by name.
    """

    def __init__(
        self,
        base_url: str,
        token: Token,
        channels: Sequence[str],
        *,
        resolvers: Mapping[str, Resolver] | None = None,
        **options: Unpack[YabamOptions],
    ) -> None:
        self._loop = LoopThread()
        self._threads = Threads(self._loop)
        self._yabam = YabamClient(
            base_url,
            token,
            channels,
            resolvers={key: _in_thread(one) for key, one in (resolvers or {}).items()},
            **options,
        )
        self._client = self._yabam
        self.orders = self._client.orders
        """The open orders, including the change that is being handled."""

    @property
    def state(self) -> BlockingState:
        """The documents.

        Raises:
            ClosedError: the client was never opened.
        """
        engine = self._yabam._engine
        if engine is None:
            raise ClosedError("the client is not open: use it in a with statement")
        return BlockingState(self._threads, self._yabam.state, engine)

    @property
    def commands(self) -> BlockingCommands:
        """Orders, and commands that change them, with or without a network.

        Raises:
            ClosedError: the client was never opened.
        """
        return BlockingCommands(self._threads, self._yabam.commands)

    def close(self) -> None:
        """Close the stream and stop; unsettled edits stay in the store."""
        super().close()
        self._threads.callbacks.shutdown(wait=False)


def _in_thread(resolver: Resolver) -> Resolver:
    async def resolved(key: str, base: Any, current: Any, own: Any) -> Any:
        value = await asyncio.to_thread(resolver, key, base, current, own)
        return await value if inspect.isawaitable(value) else value

    return resolved
