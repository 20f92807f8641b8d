"""The shared state for programs without asyncio.

Every call waits for the client's own thread. Callbacks run in another thread, so that they may use
the documents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeVar

from client_sdk.client.blocking_client import LoopThread
from client_sdk.contract.state.edit import EditOutcome
from client_sdk.contract.state.patch import PatchOperation
from client_sdk.contract.state.values import Value
from client_sdk.shared_state.edit_batch import Batch, EditHandle
from client_sdk.shared_state.edits_api import HistoryPage
from client_sdk.shared_state.engine import Engine
from client_sdk.shared_state.shared_state import (
    Meta,
    NewValue,
    SharedDocument,
    SharedState,
    StateValues,
    open_batch,
)

R = TypeVar("R")


class Threads:
    """The client's thread, and the thread that callbacks run in.

    Args:
        loop: the client's thread, with its event loop.
    """

    def __init__(self, loop: LoopThread) -> None:
        self.loop = loop
        self.callbacks = ThreadPoolExecutor(1, thread_name_prefix="yabam-callbacks")
        self.last_error: str | None = None
        """The last error that a callback raised."""

    def callback(self, call: Callable[..., object], *given: object) -> None:
        """Run `call` in the thread of callbacks; `last_error` reports what it raises."""
        self.callbacks.submit(self._called, call, given)

    def _called(self, call: Callable[..., object], given: tuple[object, ...]) -> None:
        try:
            call(*given)
        except Exception as error:
            self.last_error = f"an observer raised {error!r}"

    def look(self, work: Callable[[], R]) -> R:
        """Run a plain function on the client's thread and return its result."""

        async def looked() -> R:
            return work()

        return self.loop.call(looked())


class BlockingEdit:
    """An edit that was queued; `EditHandle` for threads.

    Args:
        threads: the client's thread, which Core's answer comes to.
        handle: the edit.
    """

    def __init__(self, threads: Threads, handle: EditHandle) -> None:
        self._threads = threads
        self._handle = handle

    def settled(self) -> EditOutcome:
        """Wait for Core's answer and return the outcome; raises as `EditHandle.settled`."""
        return self._threads.loop.call(self._handle.settled())


class BlockingDocument:
    """`SharedDocument` for threads; see there for details. Made by `client.state(channel)[key]`.

    Args:
        threads: the client's thread, in which the document is used.
        document: the document there.
    """

    def __init__(self, threads: Threads, document: SharedDocument) -> None:
        self._threads = threads
        self._document = document

    @property
    def name(self) -> tuple[str, str]:
        """Its channel and key."""
        return self._document.name

    @property
    def value(self) -> Value | None:
        """Core's value with the pending edits on top."""
        return self._threads.look(lambda: self._document.value)

    @property
    def version(self) -> int:
        """Core's version below the pending edits."""
        return self._threads.look(lambda: self._document.version)

    @property
    def pending(self) -> int:
        """How many edits Core's value does not contain yet."""
        return self._threads.look(lambda: self._document.pending)

    @property
    def meta(self) -> Meta:
        """The document's state beside its value."""
        return self._threads.look(lambda: self._document.meta)

    def set(self, value: NewValue, *, metadata: dict[str, Any] | None = None) -> BlockingEdit:
        """Replace the whole value, by a value or by what a function makes of the current one."""
        return self._edit(self._document.set(value, metadata=metadata))

    def merge(self, patch: Value, *, metadata: dict[str, Any] | None = None) -> BlockingEdit:
        """Apply a JSON Merge Patch: null removes a member."""
        return self._edit(self._document.merge(patch, metadata=metadata))

    def patch(
        self, operations: Sequence[PatchOperation], *, metadata: dict[str, Any] | None = None
    ) -> BlockingEdit:
        """Apply a JSON Patch."""
        return self._edit(self._document.patch(operations, metadata=metadata))

    def add(
        self, numbers: Mapping[str, int], *, metadata: dict[str, Any] | None = None
    ) -> BlockingEdit:
        """Add to numbers; `numbers` has the amounts by JSON Pointer."""
        return self._edit(self._document.add(numbers, metadata=metadata))

    def delete(self, *, metadata: dict[str, Any] | None = None) -> BlockingEdit:
        """Delete the document."""
        return self._edit(self._document.delete(metadata=metadata))

    def call(
        self, name: str, arguments: Any = None, *, metadata: dict[str, Any] | None = None
    ) -> BlockingEdit:
        """Let Core run the operator's function; raises as `SharedDocument.call`.

        Args:
            name: the function's, from the definition of the document's key.
            arguments: a JSON value for the function; None: null.
            metadata: an object that is kept with the edit in the history; None: none.
        """
        return self._edit(self._document.call(name, arguments, metadata=metadata))

    def resolve(self, value: Value) -> BlockingEdit:
        """Resolve the conflict with this value."""
        return self._edit(self._document.resolve(value))

    def discard(self) -> None:
        """Resolve the conflict by keeping Core's value."""
        self._threads.look(self._document.discard)

    def subscribe(
        self, callback: Callable[[BlockingDocument], None], path: str = ""
    ) -> Callable[[], None]:
        """Call `callback`, in the thread of callbacks, when the part has changed."""
        later = self._threads.callback
        end = self._threads.look(
            lambda: self._document.subscribe(lambda _: later(callback, self), path)
        )
        return lambda: self._threads.look(end)

    def history(self, after: int | str = 0, limit: int = 100) -> HistoryPage:
        """The document's history, as `SharedDocument.history`."""
        return self._threads.loop.call(self._document.history(after, limit))

    @property
    def document(self) -> SharedDocument:
        """The asyncio document behind this one: use it in the client's own thread only."""
        return self._document

    def _edit(self, work: Any) -> BlockingEdit:
        return BlockingEdit(self._threads, self._threads.loop.call(work))


class BlockingChannel:
    """The documents of one channel. Made by `client.state(channel)`.

    Args:
        threads: the client's thread, in which the documents are used.
        state: the documents of all channels.
        channel: a followed channel, `private` or `session`.

    Raises:
        StateError: the channel is not followed, or carries no documents.
    """

    def __init__(self, threads: Threads, state: SharedState, channel: str) -> None:
        self._threads = threads
        self._channel = state(channel)

    def __getitem__(self, key: str) -> BlockingDocument:
        return BlockingDocument(self._threads, self._channel[key])

    def session(self, key: str) -> BlockingDocument:
        """This client's own document for a key with the lifetime `session`."""
        return BlockingDocument(self._threads, self._channel.session(key))

    @property
    def keys(self) -> list[str]:
        """The keys of the existing documents."""
        return self._threads.look(lambda: self._channel.keys)


class BlockingState:
    """`SharedState` for threads; see there for details. It is `client.state`.

    Args:
        threads: the client's thread, in which the documents are used.
        state: the documents there.
        engine: stores and sends the edits.
    """

    def __init__(self, threads: Threads, state: SharedState, engine: Engine) -> None:
        self._threads = threads
        self._state = state
        self._engine = engine

    def __call__(self, channel: str) -> BlockingChannel:
        """The documents of a channel."""
        return BlockingChannel(self._threads, self._state, channel)

    @property
    def client_id(self) -> str:
        """The client id that this client's edits are sent under."""
        return self._state.client_id

    @property
    def waiting(self) -> int:
        """How many edits Core has not answered."""
        return self._threads.look(lambda: self._state.waiting)

    @property
    def sending_error(self) -> str | None:
        """Why the last attempt to send edits failed; None: it succeeded."""
        return self._state.sending_error

    @property
    def last_error(self) -> str | None:
        """The last error that a callback or a resolver raised."""
        return self._threads.last_error or self._state.last_error

    def subscribe(
        self, documents: Sequence[BlockingDocument], callback: Callable[[], None]
    ) -> Callable[[], None]:
        """Call `callback`, in its thread, once per batch that changes any of these."""
        inner = [one.document for one in documents]
        end = self._threads.look(
            lambda: self._state.subscribe(inner, lambda: self._threads.callback(callback))
        )
        return lambda: self._threads.look(end)

    def batch(self, *, atomic: bool = False) -> _BlockingBatching:
        """`with client.state.batch(): …`: the edits in it are stored and sent together."""
        return _BlockingBatching(self._threads, Batch(self._engine, atomic=atomic))

    def export(self) -> StateValues:
        """The shown values of all followed documents."""
        return self._threads.look(self._state.export)

    def restore(self, snapshot: StateValues) -> list[BlockingEdit]:
        """Set the documents to the snapshot's values, by edits."""
        handles = self._threads.loop.call(self._state.restore(snapshot))
        return [BlockingEdit(self._threads, handle) for handle in handles]

    def definitions(self) -> list[dict[str, Any]]:
        """The definitions of the keys, as declared by Core's operator."""
        return self._threads.loop.call(self._state.definitions())


class _BlockingBatching:
    """A batch as a context of this thread."""

    def __init__(self, threads: Threads, batch: Batch) -> None:
        self._threads = threads
        self._batch = batch

    def __enter__(self) -> Self:
        # Each call to the client's thread runs in a copy of this thread's context.
        self._end = open_batch(self._batch)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_raised: object) -> None:
        self._end()
        if kind is None:
            self._threads.loop.call(self._batch.send())
