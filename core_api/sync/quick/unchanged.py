"""The answer of a Fetch Sync without news, for one channel. Pure.

It is the most frequent answer, and only a few numbers and names in it differ. So it is written from
a template; a test checks that `rules.encode_answer` writes the same bytes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

from client_sdk.contract.sync import StreamGrant
from core_api.sync.queries import Moment, Page

_BEGINNING: Final = b'{"epoch":%b,"server_time":%b,"cursor":"'
_FORM: Final = (
    b'%b%b@%d","has_more":false,"channels":[{"channel":"%b","head":%d,"digest":"%016x",'
    b'"content_digest":"%032x","reset":null,"events":[],"snapshot":null,"has_more":false}],'
    b'"stream":%b,"poll_after_ms":%d}'
)


def is_unchanged(after: int, epoch: str | None, moment: Moment, page: Page) -> bool:
    """Whether the client is up to date, and the channel's digests are known.

    Args:
        after: the client's cursor.
        epoch: the epoch of it; None: not given.
        moment: when the page was read.
        page: the channel's.
    """
    return (
        page.head == after >= page.floor
        and page.content is not None
        and not page.events
        and (epoch is None or epoch == moment.epoch)
    )


def beginning_of(moment: Moment) -> bytes:
    """The common beginning of all answers of one moment."""
    at = datetime.fromtimestamp(moment.unix_s, UTC)
    return _BEGINNING % (msgspec.json.encode(moment.epoch), msgspec.json.encode(at))


def encode_unchanged(
    beginning: bytes,
    channel: str,
    page: Page,
    stream: StreamGrant | None,
    poll_after_ms: int,
) -> bytes:
    """The answer's body.

    Args:
        beginning: what `beginning_of` its moment gives.
        channel: its name, whose grammar needs no escapes.
        page: the channel's, of which `is_unchanged` is true.
        stream: permission to open a stream; None: the client has to poll.
        poll_after_ms: how long a polling client should wait.
    """
    name, head = channel.encode(), page.head
    return _FORM % (
        beginning,
        name,
        head,
        name,
        head,
        page.digest,
        page.content,
        msgspec.json.encode(stream),
        poll_after_ms,
    )
