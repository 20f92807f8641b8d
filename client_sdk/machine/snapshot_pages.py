"""Snapshots that come in pages, put together before anything is applied. Pure.

Half a snapshot is no state to show. Its pages are all true at the head of the first; what has
changed since is left out of the later ones, and the events after that head bring it.

A server that never comes to an end is not believed: the pages of one sync have limits.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from client_sdk.contract.limits import MAX_ANEW, MAX_EMPTY_PAGES, MAX_PAGED_SYNC_BYTES, MAX_PAGES
from client_sdk.contract.order import Order
from client_sdk.contract.state.document import Document
from client_sdk.contract.state.sync import DocumentSnapshot, DocumentSync, MixedSync, parts_of
from client_sdk.contract.sync import ChannelSync, Snapshot, SyncResponse


class Assembly:
    """The answer of one sync, whole once `next` is None.

    Args:
        answer: the first answer.
        size: its length in bytes.

    Raises:
        ValueError: it is longer than a sync may be.
    """

    def __init__(self, answer: SyncResponse, size: int) -> None:
        self._first = answer
        self._channels = parts_of(answer)
        self._place = 0
        self._items: list[Order | Document] = []
        self._seen: set[str] = set()
        self._pages = self._anew = self._empty = self._size = 0
        self._count(size)
        self._go_to_next()

    @property
    def next(self) -> str | None:
        """What to ask for next; None: every snapshot of the answer is whole."""
        if self._place == len(self._channels):
            return None
        snapshot = self._channels[self._place].snapshot
        return None if snapshot is None else snapshot.next

    @property
    def answer(self) -> SyncResponse:
        """All that came so far, as one answer."""
        if not self._pages:
            return self._first
        # Even if nothing came meanwhile, the stream's ticket is still to be had.
        orders = [one for one in self._channels if isinstance(one, ChannelSync)]
        whole = msgspec.structs.replace(self._first, channels=orders, has_more=True)
        if not isinstance(whole, MixedSync):
            return whole
        documents = [one for one in self._channels if isinstance(one, DocumentSync)]
        return msgspec.structs.replace(whole, documents=documents)

    def add(self, further: SyncResponse, size: int) -> None:
        """Take the page that was asked for by `next`.

        A page that starts anew (retention has overtaken the first) takes the place of the pages
        before it.

        Args:
            further: the answer that brings it.
            size: its length in bytes.

        Raises:
            ValueError: it is of another answer, as when the log began anew meanwhile, or the pages
                go beyond a limit.
        """
        page = self.next
        if page is None:
            raise ValueError("every snapshot of the answer is whole")
        if further.epoch != self._first.epoch:
            raise ValueError("the log began anew between two pages of a snapshot")
        begun = self._channels[self._place]
        brought = parts_of(further)
        more = brought[0] if len(brought) == 1 else None
        if more is None or more.snapshot is None or more.channel != begun.channel:
            raise ValueError("the page is of another channel, or lacks its snapshot")
        self._count(size)
        self._pages += 1
        self._seen.add(page)
        if more.reset is not None:
            self._start_anew(more)
        else:
            self._go_on(begun, more, more.snapshot)
        if self.next in self._seen or self._pages >= MAX_PAGES:
            raise ValueError("the pages of a snapshot do not come to an end")
        self._go_to_next()

    def _start_anew(self, more: ChannelSync | DocumentSync) -> None:
        self._anew += 1
        if self._anew > MAX_ANEW:
            raise ValueError("the pages of a snapshot start anew again and again")
        self._channels[self._place] = more
        self._items = []

    def _go_on(
        self,
        begun: ChannelSync | DocumentSync,
        more: ChannelSync | DocumentSync,
        page: Snapshot | DocumentSnapshot,
    ) -> None:
        assert begun.snapshot is not None  # noqa: S101 (it has a next)
        if page.head != begun.snapshot.head:
            raise ValueError("the page does not go on where the last one ended")
        items = _items_of(page)
        self._empty = 0 if items else self._empty + 1
        if self._empty > MAX_EMPTY_PAGES:
            raise ValueError("the pages of a snapshot bring nothing")
        if not self._items:
            self._items = list(_items_of(begun.snapshot))
        # One list grows: with a copy for each page, many pages would cost their square.
        self._items.extend(items)
        name = "orders" if isinstance(page, Snapshot) else "documents"
        whole = msgspec.structs.replace(page, **{name: self._items})
        self._channels[self._place] = msgspec.structs.replace(
            more, reset=begun.reset, snapshot=whole
        )

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > MAX_PAGED_SYNC_BYTES:
            raise ValueError(f"the answer is longer than {MAX_PAGED_SYNC_BYTES} bytes in all")

    def _go_to_next(self) -> None:
        while self._place < len(self._channels) and self.next is None:
            self._place += 1
            self._items = []
            self._empty = 0


def _items_of(page: Snapshot | DocumentSnapshot) -> Sequence[Order | Document]:
    return page.orders if isinstance(page, Snapshot) else page.documents
