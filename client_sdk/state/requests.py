"""The requests that carry edits: which go together, and what Core may forget. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Struct

from client_sdk.contract.limits import MAX_EDITS, MAX_EDITS_BODY_BYTES
from client_sdk.contract.state.edit import OwnEdit
from client_sdk.state.entries import Entry

MAX_GROUP_BYTES: Final = MAX_EDITS_BODY_BYTES - 256
"""What the edits of one request may have; more than what stands around them is left."""


class _Body(Struct, frozen=True):
    client: str
    edits: list[msgspec.Raw]
    atomic: bool
    answered: int


@dataclass(frozen=True, slots=True)
class Request:
    """One `POST /v1/edits`."""

    client: str
    ids: tuple[int, ...]
    body: bytes
    atomic: bool


def chosen_of(waiting: Sequence[Entry], *, one_by_one: bool) -> list[Entry]:
    """The edits of the next request: the first, and as many behind it as one request takes.

    What holds together goes alone, and whole.

    Args:
        waiting: what is not answered, in order; at least one.
        one_by_one: take no more than one.
    """
    first = waiting[0]
    if first.group:
        return [entry for entry in waiting if entry.group == first.group]
    chosen: list[Entry] = []
    room = MAX_GROUP_BYTES
    for entry in waiting:
        room -= len(entry.body) + 1
        if room < 0 or entry.group or entry.client != first.client:
            break
        chosen.append(entry)
        if one_by_one or len(chosen) == MAX_EDITS:
            break
    return chosen


def request_of(chosen: Sequence[Entry], answered: int) -> Request:
    """The request with these edits, in the bytes that they were kept in."""
    client, atomic = chosen[0].client, bool(chosen[0].group)
    body = _Body(client, [msgspec.Raw(entry.body) for entry in chosen], atomic, answered)
    ids = tuple(entry.id for entry in chosen)
    return Request(client, ids, msgspec.json.encode(body), atomic)


def answered_up_to(own: Sequence[Entry], next_n: int | None) -> int:
    """Up to which number every answer is here and is needed by none that is to come.

    Core forgets an answer that the client has. An edit that is made on another one needs Core to
    know what became of that.

    Args:
        own: the entries of the client that asks.
        next_n: the number of its next edit; None: it makes no more.
    """
    needed = [entry.n for entry in own]
    needed += [
        entry.edit.base.n
        for entry in own
        if entry.outcome is None and isinstance(entry.edit.base, OwnEdit)
    ]
    if next_n is not None:
        needed.append(next_n)
    return min(needed) - 1
