"""Computes missing content digests in the background, after a sync has met them.

After an upgrade no channel has one, and while older Cores still write beside newer ones, channels
lose it again. A sync that meets such a channel answers without it, and requests it here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from client_sdk.contract.channel import Channel
from client_sdk.contract.digest import EMPTY, content_hash
from core_api.errors import UnavailableError
from core_api.postgres.pool import Pool
from core_api.sync.missing_digest_statements import correct, read_unknown
from server_common.logs import get_logger

log = get_logger()

MAX_WAITING: Final = 1000
"""The most channels that wait; the next sync of a further one requests it again."""
_PAUSE_S: Final = 1.0
_ORDERS_AT_ONCE: Final = 50


class DigestFiller:
    """Fills in one channel after the other, in the order of the requests.

    Args:
        pool: the database.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: dict[Channel, None] = {}
        self._news = asyncio.Event()

    def unknown(self, channel: Channel) -> None:
        """Request the channel's missing content digest; it is filled in soon."""
        if len(self._waiting) < MAX_WAITING:
            self._waiting[channel] = None
            self._news.set()

    async def run(self) -> None:
        """Fill in until cancelled. A failed channel waits for its next request."""
        while True:
            while not self._waiting:
                self._news.clear()
                await self._news.wait()
            channel = next(iter(self._waiting))
            del self._waiting[channel]
            try:
                await self.fill(channel)
            except UnavailableError as error:
                log.warning("content_digest_waits", channel=str(channel), reason=str(error))
                await asyncio.sleep(_PAUSE_S)
            except Exception as error:
                log.error("content_digest_failed", channel=str(channel), exc_info=error)
                await asyncio.sleep(_PAUSE_S)

    async def fill(self, channel: Channel) -> bool:
        """Fill in one channel's digest. Returns whether it is known now.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        seen = await read_unknown(self._pool, channel)
        return seen is None or await correct(
            self._pool, channel, seen, await _digest_of(seen.orders)
        )


async def _digest_of(orders: Sequence[str]) -> int:
    """The content digest of these; other work goes on in between, however many they are."""
    digest = EMPTY
    for place, order in enumerate(orders, 1):
        digest ^= content_hash(order)
        if place % _ORDERS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return digest
