"""`POST /v1/edits`: the edits of one client, and the outcome of each. Pure.

A malformed edit does not fail its batch: it still uses up its number, and its outcome says what is
wrong.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from client_sdk.contract.channel import NAME_FORM
from client_sdk.contract.digest import MAX_INTEGER, canonical
from client_sdk.contract.errors import PointerError, StateError, StateValueError
from client_sdk.contract.json_decoding import reader
from client_sdk.contract.limits import MAX_EDIT_BYTES, MAX_EDITS, MAX_METADATA_BYTES
from client_sdk.contract.problem import Problem
from client_sdk.contract.state.operations import Operation, decode_operation, encode_operation
from client_sdk.contract.state.pointer import parse_pointer
from client_sdk.contract.state.values import Value, check_value
from client_sdk.contract.text import TEXT_PATTERN, whole

EditNumber = Annotated[int, Meta(ge=1, le=MAX_INTEGER)]
Key = Annotated[str, Meta(pattern=NAME_FORM)]
Client = Annotated[str, Meta(pattern=NAME_FORM)]
Outcome = Literal["applied", "settled", "put-aside", "refused"]


class OwnEdit(Struct, frozen=True):
    """A base that is the client's own edit, which Core may not have settled yet."""

    n: EditNumber


class Edit(Struct, frozen=True, kw_only=True):
    """One change of a document by one client."""

    n: int
    """The edit's number among the client's: 1, 2, 3 … over all channels."""
    channel: str
    key: str
    do: Operation
    base: int | OwnEdit | None = None
    """The version that it is based on; 0: there was no document, and a document deleted meanwhile
    is created again; None: no version is known, and it is concurrent with all versions."""
    schema: int | None = None
    """The version of the schema that it was made for; None: the newest."""
    made_at: datetime | None = None
    """When it was made, by Core's clock as the client knows it; None: the client does not know."""
    metadata: dict[str, Any] | None = None
    """The program's own data, kept with the change in the history."""
    seen: dict[str, Any] | None = None
    """The value that the client saw at each JSON Pointer that it changes; missing: there was none.
    None: the base's values."""
    base_value: Value | UnsetType | None = UNSET
    """The base's value, if the edit was made for an older schema; None: there was no document."""


class UnreadableEdit(Struct, frozen=True):
    """A malformed edit of a batch: it is refused, and uses up its number."""

    n: int
    slug: Literal["invalid", "too-large"]
    """The problem that it is refused with."""
    detail: str
    fingerprint: bytes
    """SHA-256 of its text, to detect a different edit with the same number."""
    pointer: str | None = None
    """A JSON Pointer to an invalid part of the value, if there is one."""


class EditBatch(Struct, frozen=True):
    """The body of `POST /v1/edits`."""

    client: str
    edits: list[Edit | UnreadableEdit]
    """In the order of their numbers."""
    atomic: bool = False
    """Whether Core applies all of them or none."""
    answered: int = 0
    """The client has every outcome up to this number."""
    epoch: str | None = None
    """The epoch of the log that its numbers and bases belong to; None: not named."""


class Conflict(Struct, frozen=True, omit_defaults=True):
    """A conflict for a resolver: the base's value, the current one, and the edit's result."""

    version: int
    """The newest version."""
    current: Value | UnsetType | None = UNSET
    """Its value; None: deleted. Each value is left out if it is large or Core does not have it."""
    base: Value | UnsetType | None = UNSET
    own: Value | UnsetType | None = UNSET


class EditOutcome(Struct, frozen=True, omit_defaults=True):
    """The outcome of one edit."""

    n: int
    outcome: str
    """One of `Outcome`, or an outcome of a newer Core."""
    version: int | None = None
    """The document's newest version after it, if there is or was a document."""
    value: Value | UnsetType | None = UNSET
    """The value at that version, if it differs from the client's expectation; None: deleted."""
    strategy: str | None = None
    """The merge strategy that was used, if it was concurrent."""
    aside: list[str] = []
    """The JSON Pointers at which something of it was put aside."""
    repeated: bool = False
    """Whether this repeats the first answer."""
    problem: Problem | None = None
    """Why it was refused."""
    pointer: str | None = None
    """A JSON Pointer into the value, if the value was refused."""
    conflict: Conflict | None = None
    """With `edit-conflict`."""


class _WireBatch(Struct, frozen=True):
    client: Client
    edits: Annotated[list[msgspec.Raw], Meta(max_length=MAX_EDITS)]
    atomic: bool = False
    answered: Annotated[int, Meta(ge=0, le=MAX_INTEGER)] = 0
    epoch: Annotated[str, Meta(pattern=NAME_FORM)] | None = None


class _Number(Struct, frozen=True):
    n: EditNumber


class _WireEdit(Struct, frozen=True, kw_only=True, omit_defaults=True):
    n: EditNumber
    channel: Annotated[str, Meta(max_length=256, pattern=whole(TEXT_PATTERN))]
    key: Key
    do: Any
    base: Annotated[int, Meta(ge=0, le=MAX_INTEGER)] | OwnEdit | None = None
    schema: Annotated[int, Meta(ge=1, le=MAX_INTEGER)] | None = None
    made_at: Annotated[datetime, Meta(tz=True)] | None = None
    metadata: dict[str, Any] | None = None
    seen: dict[str, Any] | None = None
    base_value: Value | UnsetType | None = UNSET


_batch_decoder: Final = reader(_WireBatch)
_number_decoder: Final = reader(_Number)
_edit_decoder: Final = reader(_WireEdit)


def decode_edits(body: bytes | str) -> EditBatch:
    """Read the body of `POST /v1/edits`.

    Raises:
        msgspec.DecodeError: not JSON, or (as its subclass ValidationError) malformed: no client,
            too many edits, an edit without a number, or numbers that do not increase.
    """
    wire = _batch_decoder(body)
    edits: list[Edit | UnreadableEdit] = []
    for raw in wire.edits:
        number = _number_decoder(raw).n
        if edits and number <= edits[-1].n:
            raise msgspec.ValidationError("the numbers of a batch's edits must increase")
        edits.append(_decode(number, raw))
    return EditBatch(wire.client, edits, wire.atomic, wire.answered, wire.epoch)


def decode_edit(data: bytes | str | msgspec.Raw) -> Edit:
    """Read one edit of any size.

    Raises:
        msgspec.DecodeError: not JSON, or (as its subclass ValidationError) not an edit.
        StateError: its operation or `seen` breaks a rule.
    """
    wire = _edit_decoder(data)
    if isinstance(wire.base, OwnEdit) and wire.base.n >= wire.n:
        raise msgspec.ValidationError("the base must be an edit with a lower number")
    edit = Edit(
        n=wire.n,
        channel=wire.channel,
        key=wire.key,
        do=decode_operation(wire.do),
        base=wire.base,
        schema=wire.schema,
        made_at=wire.made_at,
        metadata=wire.metadata,
        seen=wire.seen,
        base_value=wire.base_value,
    )
    check_edit(edit)
    return edit


def check_edit(edit: Edit) -> None:
    """Check the fields of the edit beside its operation.

    Raises:
        StateError: a pointer in `seen` is malformed, or a value is not valid in a document.
    """
    if edit.seen is not None:
        for pointer, value in edit.seen.items():
            try:
                check_value(value, parse_pointer(pointer))
            except PointerError as error:
                raise PointerError(f"seen: {error}") from error
    if edit.metadata is not None:
        _check_beside("metadata", edit.metadata)
        if len(canonical(edit.metadata)) > MAX_METADATA_BYTES:
            raise StateError(f"metadata may have at most {MAX_METADATA_BYTES} bytes")
    if edit.base_value is not UNSET and edit.base_value is not None:
        _check_beside("base_value", edit.base_value)


def _check_beside(field: str, value: Value) -> None:
    try:
        check_value(value)
    except StateValueError as error:
        raise StateError(f"{field} at {error}") from error


def _decode(number: int, raw: msgspec.Raw) -> Edit | UnreadableEdit:
    text = bytes(raw)
    if len(text) > MAX_EDIT_BYTES:
        detail = f"an edit may have at most {MAX_EDIT_BYTES} bytes, this one has {len(text)}"
        return UnreadableEdit(number, "too-large", detail, sha256(text).digest())
    try:
        return decode_edit(raw)
    except (msgspec.DecodeError, StateError) as error:
        pointer = error.pointer if isinstance(error, StateValueError) else None
        return UnreadableEdit(number, "invalid", str(error), sha256(text).digest(), pointer)


def encode_edit(edit: Edit) -> bytes:
    """One edit as JSON, whose size `MAX_EDIT_BYTES` limits."""
    return msgspec.json.encode(_wire(edit))


def edit_fingerprint(edit: Edit) -> bytes:
    """SHA-256 of the whole edit, to detect a different edit with the same number."""
    return sha256(canonical(_wire(edit))).digest()


def _wire(edit: Edit) -> _WireEdit:
    return _WireEdit(
        n=edit.n,
        channel=edit.channel,
        key=edit.key,
        do=encode_operation(edit.do),
        base=edit.base,
        schema=edit.schema,
        made_at=edit.made_at,
        metadata=edit.metadata,
        seen=edit.seen,
        base_value=edit.base_value,
    )


decode_outcome: Final = reader(EditOutcome)
