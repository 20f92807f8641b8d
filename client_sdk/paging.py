"""Snapshots that come in pages, put together before anything is applied. Pure.

Half a snapshot is no state to show. Its pages are all true at the head of the first; what has
changed since is left out of the later ones, and the events after that head bring it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from client_sdk.contract.sync import SyncResponse

MAX_PAGES: Final = 10_000
"""More pages than any channel has; a server that goes on beyond them is not believed."""


def next_page(answer: SyncResponse) -> str | None:
    """What to ask for next; None: every snapshot of the answer is whole."""
    for channel in answer.channels:
        if channel.snapshot is not None and channel.snapshot.next is not None:
            return channel.snapshot.next
    return None


def with_page(answer: SyncResponse, page: str, further: SyncResponse) -> SyncResponse:
    """The answer with the orders of a further page, which was asked for by `page`.

    A further answer that starts anew (retention has overtaken the first page) takes its place.

    Raises:
        ValueError: they do not belong together, as when the log began anew meanwhile.
    """
    if further.epoch != answer.epoch:
        raise ValueError("the log began anew between two pages of a snapshot")
    channels = list(answer.channels)
    place = next(
        (n for n, c in enumerate(channels) if c.snapshot is not None and c.snapshot.next == page),
        None,
    )
    if place is None or len(further.channels) != 1:
        raise ValueError("the page is of another answer")
    begun, more = channels[place], further.channels[0]
    if begun.snapshot is None or more.snapshot is None or more.channel != begun.channel:
        raise ValueError("the page is of another channel, or lacks its snapshot")
    if more.reset is not None:
        channels[place] = more
    elif more.snapshot.head != begun.snapshot.head or more.snapshot.next == page:
        raise ValueError("the page does not go on where the last one ended")
    else:
        whole = msgspec.structs.replace(
            more.snapshot, orders=[*begun.snapshot.orders, *more.snapshot.orders]
        )
        channels[place] = msgspec.structs.replace(more, reset=begun.reset, snapshot=whole)
    # Even if nothing came meanwhile, the stream's ticket is still to be had.
    return msgspec.structs.replace(answer, channels=channels, has_more=True)
