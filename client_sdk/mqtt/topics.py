"""The topics of order channels, and of the marks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from msgspec import Meta, Struct

from client_sdk.contract.channel import MAX_SEQ, Channel
from client_sdk.contract.errors import ChannelError
from client_sdk.contract.json_decoding import reader

PREFIX: Final = "yabam/v1"


class Mark(Struct, frozen=True):
    """A gateway's message about a store, every few seconds."""

    epoch: str
    watermark: float
    """Everything committed before this time (seconds since the Unix epoch) was published."""
    heads: Mapping[str, Annotated[int, Meta(ge=0, le=MAX_SEQ)]]
    """The seqs of the last events of its channels; a long inactive channel may be left out."""


decode_mark: Final = reader(Mark)


def topic_of(channel: Channel) -> str:
    """The topic of a channel's events.

    Raises:
        ChannelError: it is not a channel of orders.
    """
    if channel.kind == "store":
        return f"{PREFIX}/{channel.root}/orders"
    if channel.kind == "table":
        return f"{PREFIX}/{channel.root}/tables/{channel.part}/orders"
    raise ChannelError(f"{channel} carries no orders: its documents come by YabamClient")


def marks_topic(store: str) -> str:
    """The topic of a store's marks."""
    return f"{PREFIX}/{store}/marks"


def own_topic(store: str, device: str, what: str) -> str:
    """A topic of a device, below its own: what it publishes, and what is published to it.

    Args:
        store: the device's store.
        device: its id there.
        what: the last word of the topic, such as `status`, `results` or `commands`.
    """
    return f"{PREFIX}/{store}/devices/{device}/{what}"
