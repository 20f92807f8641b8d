"""The channels that cost this server most, computed on request.

Channels are no labels of a metric, as there may be a hundred thousand. They are counted in slices,
so that the streams go on in between.
"""

from __future__ import annotations

import asyncio
from heapq import nlargest
from typing import Final

from msgspec import Struct

from event_server.replay.hub import Hub

MAX_CHANNELS: Final = 100
_SLICE: Final = 2000


class BusyChannel(Struct, frozen=True):
    """One channel that is followed."""

    channel: str
    followers: int
    events: int
    """Of the replay window, as far as its ring reaches."""


class BusyChannels(Struct, frozen=True):
    """The answer of `GET /v1/channels/top`."""

    channels: list[BusyChannel]
    """Those with the most deliveries (events times followers) first."""


async def busiest(hub: Hub, limit: int) -> BusyChannels:
    """The `limit` channels with the most deliveries in the replay window."""
    followed = hub.audiences()
    top: list[BusyChannel] = []
    for at in range(0, len(followed), _SLICE):
        found = [
            BusyChannel(channel, len(audience), _events(hub, channel))
            for channel, audience in followed[at : at + _SLICE]
        ]
        top = nlargest(limit, [*top, *found], key=_rank)
        await asyncio.sleep(0)
    return BusyChannels(top)


def _rank(channel: BusyChannel) -> tuple[int, int, int]:
    return channel.events * channel.followers, channel.followers, channel.events


def _events(hub: Hub, channel: str) -> int:
    ring = hub.rings.get(channel)
    return 0 if ring is None else len(ring.entries)
