"""Requests with edits: which edits are sent together, and which answers Core may delete. Pure."""

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
"""The most bytes of edits in one request; the request around them needs some more."""


class _Body(Struct, frozen=True):
    client: str
    edits: list[msgspec.Raw]
    atomic: bool
    answered: int
    epoch: str | None


@dataclass(frozen=True, slots=True)
class Request:
    """One `POST /v1/edits`."""

    client: str
    ids: tuple[int, ...]
    body: bytes
    atomic: bool


def chosen_of(waiting: Sequence[Entry], *, one_by_one: bool) -> list[Entry]:
    """The edits of the next request: the first, and as many behind it as one request takes.

    An atomic group is sent as a whole, in a request of its own.

    Args:
        waiting: the unanswered edits, in order; at least one.
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


def request_of(chosen: Sequence[Entry], answered: int, epoch: str | None) -> Request:
    """The request with these edits, in the same bytes as stored.

    Args:
        chosen: the edits.
        answered: the client has all answers up to this number.
        epoch: the log that their numbers and base versions refer to.
    """
    client, atomic = chosen[0].client, bool(chosen[0].group)
    body = _Body(client, [msgspec.Raw(entry.body) for entry in chosen], atomic, answered, epoch)
    ids = tuple(entry.id for entry in chosen)
    return Request(client, ids, msgspec.json.encode(body), atomic)


def answered_up_to(own: Sequence[Entry], next_n: int | None) -> int:
    """The number up to which Core may delete the answers.

    The client must have them, and no later edit may be based on an edit up to there: Core needs the
    outcome of that edit.

    Args:
        own: the entries of the client id that sends.
        next_n: the number of its next edit; None: it will send no new edits.
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
