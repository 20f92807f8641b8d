"""A document in messages, and the event of its change. Pure.

Unknown keys are ignored on reading, so that Core may add fields without breaking a client.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from client_sdk.contract.channel import MAX_SEQ
from client_sdk.contract.json_decoding import reader
from client_sdk.contract.state.digest import document_hash
from client_sdk.contract.state.values import Value

CHANGED: Final = "document.changed"
"""The type of a document's event."""

DocumentOperation = Literal["create", "update", "delete"]
"""What a change does to the whole document; a document made again after a deletion is created."""


class EditName(Struct, frozen=True):
    """The name of an edit: the client id, and the edit's number."""

    client: str
    n: int


class Document(Struct, frozen=True, omit_defaults=True):
    """A document at one version, as in a snapshot or an answer."""

    channel: str
    key: str
    version: Annotated[int, Meta(ge=1)]
    schema: int
    """The version of the schema that the value fits."""
    updated_at: datetime
    by: str
    """The subject that made this version."""
    value: Value | UnsetType | None = UNSET
    """None: it is deleted. Left out: it is larger than `MAX_SHOWN_VALUE_BYTES`; fetch it."""
    edit: EditName | None = None
    """The edit that made this version; None: it was not a client's edit, or is not known."""

    @property
    def content(self) -> int | None:
        """Its hash in the channel's digest; None: the value is not known."""
        return None if self.value is UNSET else document_hash(self.key, self.version, self.value)


class DocumentEvent(Struct, frozen=True, omit_defaults=True):
    """One change of one document, as an event of its channel."""

    id: str
    seq: Annotated[int, Meta(ge=0, le=MAX_SEQ)]
    type: str
    """`CHANGED`, or a type of a newer Core."""
    occurred_at: datetime
    key: str
    version: int
    operation: str
    """One of `DocumentOperation`, or an operation of a newer Core."""
    schema: int
    """The version of the schema that the value fits."""
    by: str
    """The subject that made the change."""
    base: int | None = None
    """The version that the edit was based on; None: it named none."""
    edit: EditName | None = None
    """The client's edit; None: it was not a client's edit."""
    settled: str | None = None
    """The merge strategy that was used, if the edit was concurrent with another."""
    metadata: dict[str, Any] | None = None
    """The metadata of the edit."""
    diff: list[dict[str, Any]] | UnsetType = UNSET
    """The JSON Patch from the previous version. Left out: larger than `MAX_SHOWN_VALUE_BYTES`."""
    data: Value | UnsetType | None = UNSET
    """The whole value. None: it is deleted. Left out: larger than `MAX_SHOWN_VALUE_BYTES`."""

    @property
    def channel(self) -> str:
        """The channel that this event is the `seq`-th of."""
        return self.id.rpartition("@")[0]


decode_document: Final = reader(Document)
decode_document_event: Final = reader(DocumentEvent)
