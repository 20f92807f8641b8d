"""Turn what a program asks for into edits with numbers and base versions. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from msgspec import UNSET, UnsetType

from client_sdk.contract.channel import parse_channel
from client_sdk.contract.errors import StateError
from client_sdk.contract.limits import MAX_EDITS
from client_sdk.contract.state.document import Document
from client_sdk.contract.state.edit import OwnEdit, check_edit
from client_sdk.contract.state.operations import (
    Operation,
    Patch,
    Set,
    decode_operation,
    encode_operation,
)
from client_sdk.contract.state.values import Value
from client_sdk.contract.text import is_id, shown
from client_sdk.state.entries import Basis, DocumentName, Entry, Wish
from client_sdk.state.queue import EditQueue
from client_sdk.state.requests import MAX_GROUP_BYTES
from client_sdk.state.view import Calls, Composed, perform, seen_by

_KEPT_FOR: Final = timedelta(hours=1)
"""Core keeps every version for this long, whatever the document's definition says."""


@dataclass(frozen=True, slots=True)
class Look:
    """A document as it is when an edit is made."""

    composed: Composed
    """What is shown."""
    version: int | None
    """Core's version below that; 0: there is no document; None: nothing is known."""
    document: Document | None
    """Core's document."""
    calls: Calls


def make_entries(
    queue: EditQueue,
    look: Callable[[DocumentName], Look],
    wishes: Sequence[Wish],
    made_at: datetime | None,
    *,
    atomic: bool,
) -> list[Entry]:
    """Prepare the edits in the queue; each one sees the changes of those before it.

    Args:
        queue: assigns the numbers.
        look: returns a document as it is shown; raises if its channel is not followed.
        wishes: the edits that the program asks for.
        made_at: now, by Core's clock; None: that is not known.
        atomic: Core applies all of them or none.

    Raises:
        StateError: an edit does not fit the document shown, or is malformed or too large.
    """
    stores = {parse_channel(wish.channel).store_id for wish in wishes}
    if atomic and len(stores) > 1:
        raise StateError("an atomic batch must stay within one store")
    if atomic and len(wishes) > MAX_EDITS:
        raise StateError(f"an atomic batch may have at most {MAX_EDITS} edits")
    values: dict[DocumentName, Value | None] = {}
    group = queue.next_id if atomic else 0
    entries = [_made(queue, look, wish, made_at, group, values) for wish in wishes]
    if atomic and sum(len(entry.body) + 1 for entry in entries) > MAX_GROUP_BYTES:
        raise StateError("an atomic batch must fit into one request: make it smaller")
    return entries


def _made(
    queue: EditQueue,
    look: Callable[[DocumentName], Look],
    wish: Wish,
    made_at: datetime | None,
    group: int,
    values: dict[DocumentName, Value | None],
) -> Entry:
    name = wish.channel, wish.key
    met = look(name)
    if not is_id(wish.key):
        raise StateError(f"{shown(wish.key)} is not a key: use 1 to 64 of A-Z a-z 0-9 _ . -")
    decode_operation(encode_operation(wish.do))
    value = values.get(name, met.composed.value)
    values[name] = perform(wish.do, value, met.calls)
    shown_as = queue.base_for(name, met.version, met.composed.left_out)
    document = met.document
    base = shown_as if wish.base is None else wish.base
    basis = Basis(
        base,
        None if document is None or document.value is None else document.schema,
        made_at,
        seen_by(wish.do, value),
        _base_value(wish.do, base, document, made_at),
    )
    entry = queue.prepare(wish, basis, group)
    check_edit(entry.edit)
    return entry


def _base_value(
    do: Operation, base: int | OwnEdit | None, document: Document | None, made_at: datetime | None
) -> Value | UnsetType:
    """The base version's value, if Core may have deleted it; UNSET: it is not needed."""
    if not isinstance(do, Set | Patch) or document is None or base != document.version:
        return UNSET
    if document.value is None or document.value is UNSET:
        return UNSET
    is_young = made_at is not None and made_at - document.updated_at < _KEPT_FOR
    return UNSET if is_young else document.value
