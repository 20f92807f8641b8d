"""Short messages between the sockets of a channel, and the receipts that sockets send. Pure.

A message to the others goes to Kafka and comes back from it, here as on every other node, so all
see the messages of a channel in the same order. Messages are not stored: one that Kafka cannot take
soon is refused or dropped. Of receipts only the newest of each device is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from client_sdk.contract.channel import Channel
from client_sdk.contract.json_decoding import decode, decode_any
from client_sdk.contract.socket import MAX_SHORT_BYTES, MESSAGE, ShortMessage, Told
from event_server.errors import StreamRefusedError
from event_server.replay.audience import Subscriber
from event_server.replay.frames import Frames
from event_server.replay.hub import Hub
from server_common.kafka_records.receipts import (
    MAX_RECEIPTS,
    Receipt,
    ReceiptBatch,
    encode_receipts,
)
from server_common.limits import SOCKET_MESSAGES_WAITING, SOCKET_RECEIPTS_WAITING

KINDS: Final = frozenset({"store", "table", "party", "team", "device"})
"""Channels with few followers, who know each other. `public`, `brand` and `global` have many."""
_MAX_RECORD_BYTES: Final = 4 * MAX_SHORT_BYTES


class ChannelMessage(Struct, frozen=True):
    """A record of the topic of short messages; its key is the channel."""

    channel: str
    name: str
    sender: str
    origin: str
    """The connection that it came from; it does not get its own message."""
    body: msgspec.Raw


class Record(NamedTuple):
    """A record that is to be written to Kafka."""

    key: bytes
    value: bytes


_message: Final = msgspec.json.Decoder(ChannelMessage)


class Talk:
    """The open sockets of one process, and what they send to Kafka.

    Args:
        hub: knows the followers of channels.
        frames: in the hub's wire form.
        node: a name that no other process has.
    """

    def __init__(self, hub: Hub, frames: Frames, node: str) -> None:
        self.counts: Counter[str] = Counter()
        """Counts by outcome: `sent`, `delivered`, `dropped`, `malformed`, `receipts`."""
        self.news: Callable[[], None] = lambda: None
        """Called when there is something to write to Kafka."""
        self._hub = hub
        self._frames = frames
        self._node = node
        self._number = 0
        self._origins: dict[Subscriber, str] = {}
        self._messages: list[Record] = []
        self._receipts: dict[tuple[str, str], Receipt] = {}

    def __len__(self) -> int:
        """How many sockets are open."""
        return len(self._origins)

    def join(self, subscriber: Subscriber) -> None:
        """Add an open socket."""
        self._number += 1
        self._origins[subscriber] = f"{self._node}/{self._number}"

    def leave(self, subscriber: Subscriber) -> None:
        """Remove a socket; harmless if it was never added."""
        self._origins.pop(subscriber, None)

    # Messages -------------------------------------------------------------------------------

    def say(self, subscriber: Subscriber, message: ShortMessage, sender: str) -> None:
        """Pass a message on to the others of a channel.

        Args:
            subscriber: the socket that it came from, which does not get it back.
            message: names the channel; that the socket follows it is checked before.
            sender: the subject of the socket's ticket, as the others are told.

        Raises:
            StreamRefusedError: it is too long, or there is no room for it now.
        """
        if len(bytes(message.body)) > MAX_SHORT_BYTES:
            raise StreamRefusedError(
                "too-large", f"the body of a message has at most {MAX_SHORT_BYTES} bytes"
            )
        if len(self._messages) >= SOCKET_MESSAGES_WAITING:
            raise StreamRefusedError(
                "unavailable", "messages cannot be passed on now", retry_after=1.0
            )
        origin = self._origins.get(subscriber, "")
        record = ChannelMessage(message.channel, message.name, sender, origin, message.body)
        self._messages.append(Record(message.channel.encode(), msgspec.json.encode(record)))
        self.counts["sent"] += 1
        self.news()

    def take(self, value: bytes | None) -> None:
        """Pass a record of the topic to its channel's sockets; a malformed one is counted."""
        try:
            if value is None or len(value) > _MAX_RECORD_BYTES:
                raise msgspec.DecodeError("it has no value, or a long one")  # noqa: TRY301
            message = decode(_message, value)
            body = msgspec.json.encode(decode_any(message.body))
            told = Told(message.channel, message.name, message.sender, msgspec.Raw(body))
            frame = self._frames.say(MESSAGE, msgspec.json.encode(told))
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            self.counts["malformed"] += 1
            return
        for subscriber in self._hub.followers(message.channel):
            if self._origins.get(subscriber, message.origin) == message.origin:
                continue  # a stream, or the sender itself
            try:
                subscriber.send(frame)
            except Exception as error:
                self._hub.cut_off(subscriber, error)
            else:
                self.counts["delivered"] += 1

    # Receipts -------------------------------------------------------------------------------

    def received(self, channel: Channel, receipt: Receipt) -> None:
        """Store how far a device of an owner has applied its store's channel."""
        key = (channel.root, receipt.device)
        if key not in self._receipts and len(self._receipts) >= SOCKET_RECEIPTS_WAITING:
            self.counts["dropped"] += 1
            return
        self._receipts[key] = receipt
        self.counts["receipts"] += 1
        self.news()

    @property
    def waits(self) -> bool:
        """Whether something waits for Kafka."""
        return bool(self._messages or self._receipts)

    # For Kafka ------------------------------------------------------------------------------

    def messages(self) -> list[Record]:
        """Take out the messages that wait."""
        messages, self._messages = self._messages, []
        return messages

    def receipts(self) -> list[Record]:
        """Take out the receipts that wait, grouped by store."""
        gathered, self._receipts = self._receipts, {}
        by_store: dict[str, list[Receipt]] = {}
        for (store_id, _), receipt in gathered.items():
            by_store.setdefault(store_id, []).append(receipt)
        return [
            Record(store_id.encode(), encode_receipts(ReceiptBatch(store_id, some)))
            for store_id, receipts in by_store.items()
            for some in _batches(receipts)
        ]


def _batches(receipts: list[Receipt]) -> list[list[Receipt]]:
    return [receipts[at : at + MAX_RECEIPTS] for at in range(0, len(receipts), MAX_RECEIPTS)]
