"""Fetch Sync with channels of documents: the same answer, decoded by kind. Pure.

Only clients that follow a document channel decode answers this way, as decoding orders alone is
faster.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from client_sdk.contract.channel import carries_documents
from client_sdk.contract.json_decoding import reader
from client_sdk.contract.limits import MAX_NEXT_CHARS
from client_sdk.contract.state.document import Document, DocumentEvent
from client_sdk.contract.sync import (
    ChannelSync,
    DigestText,
    Epoch,
    Milliseconds,
    Seq,
    StreamGrant,
    SyncResponse,
    decode_channel_sync,
)


class DocumentSnapshot(Struct, frozen=True):
    """The channel's documents, and the head that they belong to."""

    head: Seq
    documents: list[Document] = []
    next: Annotated[str, Meta(max_length=MAX_NEXT_CHARS)] | None = None
    """Pass this to get the next page; None: this is the last or the only page."""


class DocumentSync(Struct, frozen=True):
    """What is new in one channel of documents; the fields are those of `ChannelSync`."""

    channel: str
    head: Seq
    digest: DigestText
    """Sixteen zeros, as there are no orders."""
    reset: str | None
    events: list[DocumentEvent]
    snapshot: DocumentSnapshot | None
    has_more: bool = False
    content_digest: str | None = None
    """The digest of the documents at `head`, 32 hex digits; None: Core does not know."""


class MixedSync(SyncResponse, frozen=True):
    """An answer of Fetch Sync with channels of documents."""

    documents: list[DocumentSync] = msgspec.field(default_factory=list)
    """The channels of documents; `channels` has the channels of orders."""


class _Answer(Struct, frozen=True):
    epoch: Epoch
    server_time: Annotated[datetime, Meta(tz=True)]
    cursor: str
    has_more: bool
    channels: list[msgspec.Raw]
    stream: StreamGrant | None
    poll_after_ms: Milliseconds


class _Named(Struct, frozen=True):
    channel: str


_decoder: Final = reader(_Answer)
_named_decoder: Final = reader(_Named)
_documents_decoder: Final = reader(DocumentSync)


def decode_mixed_sync(body: bytes) -> MixedSync:
    """Read an answer of Fetch Sync, each channel by its kind.

    Raises:
        msgspec.DecodeError: not JSON, or (as its subclass ValidationError) not such an answer.
    """
    answer = _decoder(body)
    orders: list[ChannelSync] = []
    documents: list[DocumentSync] = []
    for raw in answer.channels:
        if carries_documents(_named_decoder(raw).channel):
            documents.append(_documents_decoder(raw))
        else:
            orders.append(decode_channel_sync(raw))
    return MixedSync(
        answer.epoch,
        answer.server_time,
        answer.cursor,
        answer.has_more,
        orders,
        answer.stream,
        answer.poll_after_ms,
        documents,
    )


def parts_of(answer: SyncResponse) -> list[ChannelSync | DocumentSync]:
    """The answer's parts for all channels, of both kinds."""
    documents = answer.documents if isinstance(answer, MixedSync) else []
    return [*answer.channels, *documents]
