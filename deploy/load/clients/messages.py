"""What a process of clients is told, and what it tells: length, then MessagePack."""

from __future__ import annotations

import asyncio
import struct
from typing import Final

import msgspec

from deploy.load.measured.proof import Track

_HEAD: Final = struct.Struct("!I")


class Begin(msgspec.Struct, frozen=True, tag=True):
    """Which clients to play, and when they come."""

    core: tuple[str, int]
    source: str | None
    """The address that they connect from; None: any."""
    token_key: str
    """Signs the clients' tokens."""
    seed: int
    prefix: str
    """Begins the ids of the stores."""
    clients: int
    """Of the whole load test."""
    stores: int
    first: int
    """This process plays this client, and each `step`-th after it."""
    step: int
    began: float
    """When the ramp begins, by the monotonic clock that all processes of a machine share."""
    ramp_s: float


class CutAll(msgspec.Struct, frozen=True, tag=True):
    """Reset every connection of every client, and answer with `WasCut`."""


class Settle(msgspec.Struct, frozen=True, tag=True):
    """Answer with `ClientsSettled` once each stands at its channel's head, or after a time."""

    heads: dict[str, int]
    within_s: float


Instruction = Begin | CutAll | Settle


class Report(msgspec.Struct, frozen=True, tag=True):
    """What happened since the last one, and how the clients are now."""

    modes: dict[str, int]
    counts: dict[str, int]
    syncs: list[float]
    """How long each sync took, in seconds."""
    seen: list[tuple[str, int, float]]
    """An order's reference and version, and when a client had it by the monotonic clock."""
    gave_up: list[tuple[str, str]]
    """The channels of clients that gave up since the last one, and why."""


class WasCut(msgspec.Struct, frozen=True, tag=True):
    """Each client has noticed; the report before this one shows it."""


class ClientsSettled(msgspec.Struct, frozen=True, tag=True):
    """What each client applied."""

    tracks: list[Track]


Tells = Report | WasCut | ClientsSettled

_ENCODER: Final = msgspec.msgpack.Encoder()
TOLD: Final = msgspec.msgpack.Decoder(Instruction)
TELLS: Final = msgspec.msgpack.Decoder(Tells)


def framed(message: Instruction | Tells) -> bytes:
    """A message as it goes over the pipe."""
    body = _ENCODER.encode(message)
    return _HEAD.pack(len(body)) + body


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """The next message as it came, to be decoded by `TOLD` or `TELLS`.

    Raises:
        asyncio.IncompleteReadError, ConnectionError: there is none any more.
    """
    (length,) = _HEAD.unpack(await reader.readexactly(_HEAD.size))
    return await reader.readexactly(length)
