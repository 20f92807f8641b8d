"""Subscriptions: which callbacks to call when a part of a document has changed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from client_sdk.contract.state.pointer import MISSING, Path, get
from client_sdk.contract.state.values import same
from client_sdk.state.effects import View
from client_sdk.state.entries import DocumentName

Look = Callable[[DocumentName], View]


@dataclass(eq=False, slots=True)
class Observer:
    """One subscription.

    With a path, it is notified when the value at the path has changed; without one, when anything
    of the document has changed, such as the number of pending edits.
    """

    documents: tuple[DocumentName, ...]
    path: Path
    call: Callable[[list[DocumentName]], None]
    shown: dict[DocumentName, Any]


class Observers:
    """All subscriptions of one client.

    Args:
        look: returns a document as it is shown now.
    """

    def __init__(self, look: Look) -> None:
        self._look = look
        self._observers: list[Observer] = []
        self._followers: list[tuple[str, Callable[[], None]]] = []

    def add(
        self,
        documents: Iterable[DocumentName],
        path: Path,
        call: Callable[[list[DocumentName]], None],
    ) -> Callable[[], None]:
        """Call `call` once per batch that changes any of these. Returns the unsubscriber.

        Args:
            documents: the documents to observe.
            path: the part of each to compare; empty: the whole document.
            call: called with the documents that have changed.
        """
        names = tuple(documents)
        observer = Observer(names, path, call, {name: self._part(name, path) for name in names})
        self._observers.append(observer)

        def end() -> None:
            if observer in self._observers:
                self._observers.remove(observer)

        return end

    def follow(self, channel: str, call: Callable[[], None]) -> Callable[[], None]:
        """Call once per batch that changes the channel's documents. Returns the unsubscriber."""
        follower = channel, call
        self._followers.append(follower)

        def end() -> None:
            if follower in self._followers:
                self._followers.remove(follower)

        return end

    def followers(self, changed: set[DocumentName]) -> list[Callable[[], None]]:
        """The callbacks that follow a channel of which any of these documents may have changed."""
        channels = {name[0] for name in changed}
        return [call for channel, call in self._followers if channel in channels]

    def told(self, changed: set[DocumentName]) -> list[tuple[Observer, list[DocumentName]]]:
        """The observers to notify, each with its changed documents."""
        calls = []
        for observer in tuple(self._observers):
            news = []
            for name in observer.documents:
                if name not in changed and (name[0], "") not in changed:
                    continue
                part = self._part(name, observer.path)
                if not _equal(part, observer.shown[name]):
                    observer.shown[name] = part
                    news.append(name)
            if news:
                calls.append((observer, news))
        return calls

    def _part(self, name: DocumentName, path: Path) -> Any:
        view = self._look(name)
        return get(MISSING if view.value is None else view.value, path) if path else view


def _equal(one: Any, other: Any) -> bool:
    if not isinstance(one, View) or not isinstance(other, View):
        return same(one, other)
    return one == other and same(one.value, other.value)
