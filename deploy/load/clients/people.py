"""The identities of a load test's clients. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from client_sdk.contract.channel import parse_channel
from core_api.access.callers import Caller
from core_api.wiring import token_keys
from deploy.load.clients.messages import Begin
from deploy.load.plan import channel_of, place_of

_TOKEN_LIFETIME_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Person:
    """The identity of a client."""

    channel: str
    token: str
    device: str | None
    """The device's name, if the client is a terminal; None: it is a guest's."""


def people(begin: Begin) -> Iterator[tuple[float, Person]]:
    """The clients of one process, each with its time to start: evenly over the ramp."""
    keys = token_keys({"local": begin.token_key}, "local")
    for number in range(begin.first, begin.clients, begin.step):
        store, table = place_of(number, begin.stores, begin.prefix)
        channel = channel_of(number, begin.stores, begin.prefix)
        if table is None:
            device: str | None = f"till-{number // begin.stores + 1}"
            caller = Caller(f"{device}@{store}", "owner", frozenset({store}))
        else:
            device = None
            caller = Caller(f"guest-{number}", "table", table=parse_channel(channel))
        due = begin.began + begin.ramp_s * number / begin.clients
        yield due, Person(channel, keys.sign(caller, _TOKEN_LIFETIME_S), device)
