"""One client's request: its edits, what each may be, and how its answer is made. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from client_sdk.contract.channel import Channel, parse_channel
from client_sdk.contract.errors import ChannelError
from client_sdk.contract.problem import problem
from client_sdk.contract.state.edit import Edit, EditBatch, EditOutcome, UnreadableEdit
from core_api.access.callers import Caller
from core_api.access.reach import may_follow
from core_api.documents.definitions import Definition, Definitions, session_client
from core_api.edits.what_was_read import DocumentName
from core_api.parties.guest_token_end import party_at

_UNKNOWN: Final = "unknown-document"
_SMALL_BYTES: Final = 16 * 1024


@dataclass(frozen=True)
class EditRequest:
    """What one client asks for."""

    caller: Caller
    batch: EditBatch
    size: int = 0
    """The bytes of its body."""

    @property
    def weight(self) -> int:
        """How many small requests it counts as within a batch."""
        return max(1, len(self.batch.edits), self.size // _SMALL_BYTES)

    @property
    def client(self) -> str:
        """The client's id."""
        return self.batch.client

    @property
    def subject(self) -> str:
        """The subject that the client belongs to."""
        return f"{self.caller.role}:{self.caller.subject}"

    @property
    def party(self) -> str | None:
        """The channel of the party that a guest sits with; None: the caller is no guest."""
        if self.caller.role != "table" or self.caller.table is None:
            return None
        return str(party_at(self.caller.table))

    @cached_property
    def names(self) -> tuple[DocumentName, ...]:
        """The documents that it is about, each once, sorted."""
        return tuple(sorted({(e.channel, e.key) for e in self.batch.edits if isinstance(e, Edit)}))

    @cached_property
    def locks(self) -> tuple[str, ...]:
        """The names of the locks it needs: its client, its documents, their channels."""
        names = self.names
        channels = {channel for channel, _ in names}
        return (self.client, *(f"{c} {key}" for c, key in names), *sorted(channels))

    @property
    def identities(self) -> tuple[object, ...]:
        """What no two requests that are settled together may share: the client."""
        return (self.client,)


@dataclass(frozen=True, slots=True)
class Admitted:
    """An edit that its caller may make."""

    edit: Edit
    channel: Channel
    definition: Definition


def admit(
    request: EditRequest, edit: Edit | UnreadableEdit, definitions: Definitions
) -> Admitted | EditOutcome:
    """The edit with its document's definition, or its refusal.

    Args:
        request: whose edit it is.
        edit: one of its edits.
        definitions: which documents there may be.
    """
    if isinstance(edit, UnreadableEdit):
        return refused(edit.n, edit.slug, edit.detail, edit.pointer)
    try:
        channel = parse_channel(edit.channel)
    except ChannelError as error:
        return refused(edit.n, "bad-channel", str(error))
    definition = definitions.of(channel.kind, edit.key)
    if definition is None:
        return refused(
            edit.n,
            _UNKNOWN,
            f"no document {edit.key} is defined for channels of kind {channel.kind}: "
            "GET /v1/definitions lists what there is",
        )
    if not may_write(request.caller, channel, definition):
        return refused(
            edit.n, "forbidden", f"this token does not permit editing {edit.key} in {channel}"
        )
    if session_client(definition, edit.key) not in (None, request.client):
        return refused(edit.n, "forbidden", f"{edit.key} belongs to another client's session")
    return Admitted(edit, channel, definition)


def may_write(caller: Caller, channel: Channel, definition: Definition) -> bool:
    """Whether the caller may edit such a document in that channel.

    Args:
        caller: who asks.
        channel: the document's.
        definition: of the document.
    """
    return caller.role in definition.writers and may_follow(caller, channel)


def refused(n: int, slug: str, detail: str, pointer: str | None = None) -> EditOutcome:
    """The outcome of an edit that is refused.

    Args:
        n: the edit's number.
        slug: the problem's name.
        detail: what is wrong, and what the client can do.
        pointer: the JSON Pointer of the fault in the value; None: the value is not at fault.
    """
    return EditOutcome(n, "refused", problem=problem(slug, detail), pointer=pointer)
