"""Starts and stops aiokafka's clients so that none of their connections is left behind.

This works around two bugs of aiokafka. A start that is cancelled while it waits for its first
answer leaks the connection on which it had asked. And a consumer's stop that meets a cancelled
request ends in a CancelledError that is not ours, before it has closed any connection. Such a
connection stays open until the garbage collector finds it.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, Protocol

from aiokafka.errors import KafkaError

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer

_START_ENDS_WITHIN_S: Final = 2.0
"""A working broker answers sooner; one that hangs must not delay our own stop for longer."""


class Startable(Protocol):
    """Any of aiokafka's clients."""

    async def start(self) -> None:
        """Connect to the cluster."""


async def start_client(client: Startable) -> None:
    """Start it. When this is cancelled, the start first completes, so that `stop` or `close` of the
    client knows every connection; a broker that does not answer delays this only for a short time.

    Raises:
        KafkaError, OSError, TimeoutError: as the client's own `start`.
    """
    starting = asyncio.ensure_future(client.start())
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait({starting}, timeout=_START_ENDS_WITHIN_S)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        raise


async def stop_consumer(consumer: AIOKafkaConsumer, patience_s: float) -> None:
    """Stop it and close its connections, even if requests of it were cancelled.

    Args:
        consumer: started or not.
        patience_s: the time-out of each of the two steps, in seconds.
    """
    stopping = asyncio.ensure_future(consumer.stop())
    await asyncio.wait({stopping}, timeout=patience_s)
    stopping.cancel()
    await asyncio.gather(stopping, return_exceptions=True)
    # stop() may have ended before this, its last step; once more does no harm.
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(patience_s):
            await consumer._client.close()
