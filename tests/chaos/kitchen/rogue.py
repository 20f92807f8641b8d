"""A device that sends invalid messages, sends too many, and never reads.

It encodes MQTT 3.1.1 itself, as a library would read what the broker sends.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from typing import Final

from deploy.processes.ports import LOOPBACK
from server_common.devices.identity import parse_user
from server_common.devices.mqtt_topics import accepted_topic, commands_topic, up_topic
from server_common.mqtt.broker import Broker

_CONNECT, _PUBLISH_AT_LEAST_ONCE, _SUBSCRIBE = 0x10, 0x32, 0x82
_USER_PASSWORD_CLEAN: Final = 0xC2
_KEEPALIVE_S: Final = 60
_AT_ONCE: Final = 50
_PAUSE_S: Final = 0.1
_GARBAGE: Final = (
    b"", b"\0", b"{", b"[" * 3000, b"\xff" * 1000, b'{"boot":1e99,"n":1}', b"null", b"x" * 60_000,
)  # fmt: skip


class Rogue:
    """The device.

    Args:
        broker: the broker, with the device's credentials.
        port: the broker's own port, without a proxy.
    """

    def __init__(self, broker: Broker, port: int) -> None:
        self._broker, self._port = broker, port
        identity = parse_user(broker.user)
        self._place = identity.store, identity.device
        self.sent = 0
        """How many messages it has sent."""

    async def misbehave(self, seconds: float) -> None:
        """Send for so many seconds; also send bytes that are no MQTT on another connection."""
        await self._talk_nonsense()
        reader, writer = await asyncio.open_connection(LOOPBACK, self._port, limit=1024)
        numbers = itertools.count(1)
        try:
            writer.write(self._hello())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while not reader.at_eof():
                        self._say(writer, numbers)
                        await writer.drain()
                        await asyncio.sleep(_PAUSE_S)
        finally:
            writer.transport.abort()

    async def _talk_nonsense(self) -> None:
        _, writer = await asyncio.open_connection(LOOPBACK, self._port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n" + bytes(range(256)) * 64)
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.transport.abort()

    def _hello(self) -> bytes:
        name, password = self._broker.user, self._broker.password
        head = _text("MQTT") + bytes((4, _USER_PASSWORD_CLEAN)) + _KEEPALIVE_S.to_bytes(2, "big")
        topics = accepted_topic(*self._place), commands_topic(*self._place)
        followed = b"".join(_text(topic) + b"\1" for topic in topics)
        return _packet(_CONNECT, head + _text(name) + _text(name) + _text(password)) + _packet(
            _SUBSCRIBE, b"\0\1" + followed
        )

    def _say(self, writer: asyncio.StreamWriter, numbers: itertools.count[int]) -> None:
        for payload in _GARBAGE:
            for kind in ("event", "result", "status", "received", "snapshot"):
                self._publish(writer, up_topic(*self._place, kind), payload)
            self._publish(writer, up_topic(*self._place, "telemetry", "x"), payload)
        for _ in range(_AT_ONCE):
            event = {"boot": 1, "n": next(numbers), "name": "flood"}
            self._publish(writer, up_topic(*self._place, "event"), json.dumps(event).encode())

    def _publish(self, writer: asyncio.StreamWriter, topic: str, payload: bytes) -> None:
        self.sent += 1
        number = (self.sent % 65_000 + 1).to_bytes(2, "big")
        writer.write(_packet(_PUBLISH_AT_LEAST_ONCE, _text(topic) + number + payload))


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def _packet(kind: int, body: bytes) -> bytes:
    """An MQTT packet: its kind, its length as a variable byte integer, its body."""
    length, left = bytearray(), len(body)
    while True:
        left, digit = divmod(left, 128)
        length.append(digit | (0x80 if left else 0))
        if not left:
            return bytes((kind, *length)) + body
