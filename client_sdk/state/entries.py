"""One edit of this client, from its making to its answer. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from client_sdk.contract.errors import StateError
from client_sdk.contract.limits import MAX_EDIT_BYTES
from client_sdk.contract.state.document import Document, DocumentEvent
from client_sdk.contract.state.edit import Edit, EditOutcome, OwnEdit, encode_edit
from client_sdk.contract.state.operations import Operation
from client_sdk.contract.state.values import Value

DocumentName = tuple[str, str]
"""A document: its channel and its key."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a program asks for, before it has a number."""

    channel: str
    key: str
    do: Operation
    metadata: dict[str, Any] | None = None
    base: int | None = None
    """The version it is made on; None: what is shown now."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What an edit was made on, and when."""

    base: int | OwnEdit | None
    schema: int | None = None
    made_at: datetime | None = None
    seen: dict[str, Any] | None = None
    base_value: Value | UnsetType | None = UNSET


@dataclass(slots=True)
class Entry:
    """An edit in the queue.

    It leaves when it is answered and the view does not apply it any more.
    """

    id: int
    """Its place in the queue; never used twice, and kept when the edit gets another number."""
    client: str
    edit: Edit
    body: bytes
    """The edit as it is sent: the same bytes each time."""
    group: int = 0
    """The atomic group that it belongs to; 0: none."""
    outcome: EditOutcome | None = None
    """Core's answer; None: it is awaited."""
    at: int | None = None
    """The version that contains it, as an event or the answer says; 0: every version of this log
    does; None: not known, or none."""
    shown: bool = True
    """Whether the view applies it on top of Core's value."""
    within: bool = field(default=False, compare=False)
    """Whether the value of another log that is shown meanwhile has it: then it is not applied a
    second time. It is not kept, as such a value is not."""
    sent: bool = field(default=True, compare=False)
    """Whether it may have been sent under its number; after a start nobody knows."""

    @property
    def n(self) -> int:
        """The client's number of it."""
        return self.edit.n

    @property
    def document(self) -> DocumentName:
        """The document that it changes."""
        return self.edit.channel, self.edit.key

    @property
    def is_unsure(self) -> bool:
        """Whether Core may have settled it, and nobody here knows in which version."""
        return self.sent and self.outcome is None and self.at is None

    @property
    def is_done(self) -> bool:
        """Whether nothing more is to be done about it."""
        return self.outcome is not None and not self.shown

    def rename(self, client: str, edit: Edit) -> None:
        """Begin anew under this client and number; nobody has answered that yet."""
        self.client, self.edit, self.body = client, edit, encode_edit(edit)
        self.outcome, self.at, self.shown, self.sent = None, None, True, False


def session_key(key: str, client: str) -> str:
    """The key of the document that ends with the client's session."""
    return f"{key}.{client}"


def new_entry(place: int, client: str, n: int, wish: Wish, basis: Basis, group: int) -> Entry:
    """Make an edit.

    What its client saw, and the base's value, are left out where they would make the edit too
    large: then Core goes by what it has kept.

    Args:
        place: its place in the queue.
        client: who makes it.
        n: its number.
        wish: what it is to do.
        basis: what its client saw.
        group: the atomic group that it belongs to; 0: none.

    Raises:
        StateError: it is too large all the same.
    """
    edit = Edit(
        n=n,
        channel=wish.channel,
        key=wish.key,
        do=wish.do,
        base=basis.base,
        schema=basis.schema,
        made_at=basis.made_at,
        metadata=wish.metadata,
        seen=basis.seen,
        base_value=basis.base_value,
    )
    body = encode_edit(edit)
    if len(body) > MAX_EDIT_BYTES:
        edit = replace(edit, seen=None, base_value=UNSET)
        body = encode_edit(edit)
    if len(body) > MAX_EDIT_BYTES:
        raise StateError(f"an edit may have at most {MAX_EDIT_BYTES} bytes, this has {len(body)}")
    return Entry(place, client, edit, body, group, sent=False)


def contained_at(outcome: EditOutcome) -> int | None:
    """The version that contains an edit with this outcome; None: no version does.

    An outcome that only a newer Core knows took effect, unless there is a problem.
    """
    if outcome.outcome in ("refused", "put-aside") or outcome.problem is not None:
        return None
    return outcome.version


def newly_contained(
    entries: Iterable[Entry], channel: str, found: Sequence[Document | DocumentEvent]
) -> list[Entry]:
    """Note which edits these versions of one moment contain, whose answers may have been lost.

    Core settles the edits of a client in their order. So all up to one that made any of the
    versions were settled by then: they are in the version of their document, or were refused.

    Args:
        entries: the queue.
        channel: the channel of the versions.
        found: the versions.
    """
    versions = {one.key: one.version for one in found}
    settled: dict[str, int] = {}
    for author in (one.edit for one in found):
        if author is not None:
            settled[author.client] = max(author.n, settled.get(author.client, 0))
    noted = []
    for entry in entries:
        is_open = entry.at is None and entry.outcome is None
        is_here = entry.edit.channel == channel and entry.edit.key in versions
        if is_open and is_here and entry.n <= settled.get(entry.client, 0):
            entry.at = versions[entry.edit.key]
            noted.append(entry)
    return noted
