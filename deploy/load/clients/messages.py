"""The messages to and from a process of clients: their length in bytes, then MessagePack."""

from __future__ import annotations

import asyncio
import struct
from typing import Final

import msgspec

from deploy.load.measured.proof import Track

_HEAD: Final = struct.Struct("!I")


class Begin(msgspec.Struct, frozen=True, tag=True):
    """The clients to run, and when they start."""

    core: tuple[str, int]
    source: str | None
    """The local address that they connect from; None: any."""
    token_key: str
    """Signs the clients' tokens."""
    seed: int
    prefix: str
    """The prefix of all stores' ids."""
    clients: int
    """The number of clients in the whole load test."""
    stores: int
    first: int
    """This process runs this client, and each `step`-th after it."""
    step: int
    began: float
    """When the ramp begins, by the monotonic clock, which all processes of a machine share."""
    ramp_s: float


class CutAll(msgspec.Struct, frozen=True, tag=True):
    """Reset every connection of every client, and answer with `WasCut`."""


class Settle(msgspec.Struct, frozen=True, tag=True):
    """Answer with `ClientsSettled` once each client is at its channel's head or time is over."""

    heads: dict[str, int]
    within_s: float


Instruction = Begin | CutAll | Settle


class Report(msgspec.Struct, frozen=True, tag=True):
    """What happened since the last report, and the clients' current modes."""

    modes: dict[str, int]
    counts: dict[str, int]
    syncs: list[float]
    """How long each sync took, in seconds."""
    seen: list[tuple[str, int, float]]
    """An order's reference and version, and the monotonic time when a client received it."""
    gave_up: list[tuple[str, str]]
    """The channels of clients that gave up since the last report, and why."""


class WasCut(msgspec.Struct, frozen=True, tag=True):
    """All clients have noticed the cut; the report before this message shows it."""


class ClientsSettled(msgspec.Struct, frozen=True, tag=True):
    """What each client applied."""

    tracks: list[Track]


Tells = Report | WasCut | ClientsSettled

_ENCODER: Final = msgspec.msgpack.Encoder()
TOLD: Final = msgspec.msgpack.Decoder(Instruction)
TELLS: Final = msgspec.msgpack.Decoder(Tells)


def framed(message: Instruction | Tells) -> bytes:
    """A message as bytes for the socket."""
    body = _ENCODER.encode(message)
    return _HEAD.pack(len(body)) + body


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """The next message as bytes, to be decoded by `TOLD` or `TELLS`.

    Raises:
        asyncio.IncompleteReadError, ConnectionError: the socket is closed.
    """
    (length,) = _HEAD.unpack(await reader.readexactly(_HEAD.size))
    return await reader.readexactly(length)
