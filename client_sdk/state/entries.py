"""One edit of this client, from its creation to Core's answer. Pure."""

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
    """An edit as the program asks for it, before it has a number."""

    channel: str
    key: str
    do: Operation
    metadata: dict[str, Any] | None = None
    base: int | None = None
    """The version that the edit is based on; None: the one that is shown now."""


@dataclass(frozen=True, slots=True)
class Basis:
    """The version that an edit is based on, and when the edit was made."""

    base: int | OwnEdit | None
    schema: int | None = None
    made_at: datetime | None = None
    seen: dict[str, Any] | None = None
    base_value: Value | UnsetType | None = UNSET


@dataclass(slots=True)
class Entry:
    """An edit in the queue.

    It is removed once Core has answered it and the view does not apply it any more.
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
    """Core's answer; None: Core has not answered yet."""
    at: int | None = None
    """The first version that contains the edit, from an event or the answer; 0: every version of
    this log contains it; None: not known, or none does."""
    shown: bool = True
    """Whether the view applies it on top of Core's value."""
    within: bool = field(default=False, compare=False)
    """Whether the value shown meanwhile, from another log, contains the edit already: then the view
    does not apply it again. Not stored, as such a value is not stored."""
    sent: bool = field(default=True, compare=False)
    """Whether it may have been sent under its number; True if that is unknown, after a restart."""

    @property
    def n(self) -> int:
        """The edit's number among those of its client id."""
        return self.edit.n

    @property
    def document(self) -> DocumentName:
        """The document that it changes."""
        return self.edit.channel, self.edit.key

    @property
    def is_unsure(self) -> bool:
        """Whether Core may have settled the edit in a version that is not known here."""
        return self.sent and self.outcome is None and self.at is None

    @property
    def is_done(self) -> bool:
        """Whether the edit can be removed from the queue."""
        return self.outcome is not None and not self.shown

    def rename(self, client: str, edit: Edit) -> None:
        """Restart the edit under this client id and number, unanswered."""
        self.client, self.edit, self.body = client, edit, encode_edit(edit)
        self.outcome, self.at, self.shown, self.sent = None, None, True, False


def session_key(key: str, client: str) -> str:
    """The key of a document that belongs to the client's session and ends with it."""
    return f"{key}.{client}"


def new_entry(place: int, client: str, n: int, wish: Wish, basis: Basis, group: int) -> Entry:
    """Make an edit.

    The values that the client saw, and the base's value, are left out if they would make the edit
    too large. Core then uses the versions that it has stored.

    Args:
        place: its place in the queue.
        client: the client id.
        n: its number.
        wish: what the edit is to do.
        basis: the version that it is based on.
        group: the atomic group that it belongs to; 0: none.

    Raises:
        StateError: the edit is too large even without those values.
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
    """The first version that contains an edit with this outcome; None: no version does.

    An unknown outcome, from a newer Core, counts as applied unless it has a problem.
    """
    if outcome.outcome in ("refused", "put-aside") or outcome.problem is not None:
        return None
    return outcome.version


def newly_contained(
    entries: Iterable[Entry], channel: str, found: Sequence[Document | DocumentEvent]
) -> list[Entry]:
    """Mark the edits that these versions contain; their answers may have been lost.

    Core settles a client's edits in order. So if one of the versions was made by an edit, all edits
    before it are settled too: each is in its document's version, or was refused.

    Args:
        entries: the queue.
        channel: the channel of the versions.
        found: the versions, all read at the same time.
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
