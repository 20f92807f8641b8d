"""The shared state's interface for programs: documents, batches, subscriptions, snapshots.

cart = client.state("party:12/5")["cart"]
await cart.merge({"lines": {"a7": {"name": "김밥", "quantity": 2}}})
cart.subscribe(draw, path="/lines")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Self

from client_sdk.contract.errors import StateError
from client_sdk.contract.state.edit import Conflict
from client_sdk.contract.state.operations import Add, Call, Delete, Merge, Operation, Patch, Set
from client_sdk.contract.state.patch import PatchOperation
from client_sdk.contract.state.pointer import parse_pointer
from client_sdk.contract.state.values import Value, same
from client_sdk.errors import ClientError
from client_sdk.shared_state.edit_batch import Batch, EditHandle
from client_sdk.shared_state.edits_api import HistoryPage
from client_sdk.shared_state.engine import Engine
from client_sdk.state.conflicts import EditError
from client_sdk.state.entries import DocumentName, Wish, session_key
from client_sdk.state.private import is_private
from client_sdk.state.records import OpenConflict

NewValue = Value | Callable[[Value | None], Value]
"""A value, or a function from the shown value to the new one."""
StateValues = dict[str, dict[str, Value]]
"""Values by channel and key."""

_batch: ContextVar[Batch | None] = ContextVar("yabam_batch", default=None)


@dataclass(frozen=True, slots=True)
class Meta:
    """A document's state beside its value."""

    loading: bool
    """Whether Core has a newer value than the one shown, or nothing is known yet."""
    conflict: Conflict | None
    """The conflict that waits for `resolve` or `discard`: base, current and own value."""
    error: EditError | None
    """Why the last edit was refused, until another one takes effect."""
    left_out: int
    """Pending edits that do not fit Core's value any more; they are sent all the same."""


class SharedDocument:
    """One document as this client shows it. Made by `client.state(channel)[key]`.

    Args:
        engine: stores and sends the edits of the client.
        channel: the channel that carries it.
        key: its key there.
    """

    def __init__(self, engine: Engine, channel: str, key: str) -> None:
        self._engine = engine
        self.channel = channel
        self.key = key

    @property
    def value(self) -> Value | None:
        """Core's value with the pending edits on top; None: there is no document. Do not change it
        in place."""
        return self._engine.view(self.name).value

    @property
    def version(self) -> int:
        """Core's version below the pending edits; 0: there is none."""
        return self._engine.view(self.name).version

    @property
    def pending(self) -> int:
        """How many edits Core's value does not contain yet."""
        return self._engine.view(self.name).pending

    @property
    def meta(self) -> Meta:
        """The document's state beside its value."""
        view = self._engine.view(self.name)
        conflict = None if view.conflict is None else view.conflict.conflict
        return Meta(view.loading, conflict, view.error, view.left_out)

    @property
    def name(self) -> DocumentName:
        """Its channel and key."""
        return self.channel, self.key

    async def set(self, value: NewValue, *, metadata: dict[str, Any] | None = None) -> EditHandle:
        """Replace the whole value. Like all edits it is stored and shown when this returns.

        Args:
            value: the new value, or a function that makes it of the current one.
            metadata: an object that is kept with the edit in the history; None: none.

        Raises:
            StateError: the edit does not fit the document shown, or breaks a rule.
            StateStoreError: it cannot be stored.
            ClosedError: the client is closed.
        """
        if callable(value):
            value = value(self._staged())
        return await self._do(Set(value), metadata)

    async def merge(self, patch: Value, *, metadata: dict[str, Any] | None = None) -> EditHandle:
        """Apply a JSON Merge Patch (RFC 7396); raises as `set`.

        Args:
            patch: the changed members; null removes one.
            metadata: as for `set`.
        """
        return await self._do(Merge(patch), metadata)

    async def patch(
        self, operations: Sequence[PatchOperation], *, metadata: dict[str, Any] | None = None
    ) -> EditHandle:
        """Apply a JSON Patch (RFC 6902); raises as `set`.

        Args:
            operations: applied in this order, all or none.
            metadata: as for `set`.
        """
        return await self._do(Patch(list(operations)), metadata)

    async def add(
        self, numbers: Mapping[str, int], *, metadata: dict[str, Any] | None = None
    ) -> EditHandle:
        """Add amounts to Core's newest numbers; raises as `set`.

        Args:
            numbers: the amounts by JSON Pointer.
            metadata: as for `set`.
        """
        return await self._do(Add(dict(numbers)), metadata)

    async def delete(self, *, metadata: dict[str, Any] | None = None) -> EditHandle:
        """Delete the document; raises as `set`."""
        return await self._do(Delete(), metadata)

    async def call(
        self, name: str, arguments: Any = None, *, metadata: dict[str, Any] | None = None
    ) -> EditHandle:
        """Let Core run the operator's function on the newest value; raises as `set`.

        Args:
            name: the function's, from the definition of the document's key.
            arguments: a JSON value for the function; None: null.
            metadata: an object that is kept with the edit in the history; None: none.
        """
        return await self._do(Call(name, arguments), metadata)

    async def resolve(self, value: Value) -> EditHandle:
        """Resolve the conflict with this value; raises as `set`.

        Raises:
            ClientError: there is none.
        """
        return EditHandle(await self._engine.resolve(self._waiting(), value))

    def discard(self) -> None:
        """Resolve the conflict by keeping Core's value.

        Raises:
            ClientError: there is none.
        """
        self._engine.discard(self._waiting())

    def subscribe(
        self, callback: Callable[[SharedDocument], None], path: str = ""
    ) -> Callable[[], None]:
        """Call a function whenever a part of the document changes. Returns the unsubscriber.

        Args:
            callback: called with this document.
            path: the part, as a JSON Pointer; without one any change counts: of value, version,
                pending and meta.

        Raises:
            PointerError: the path is no JSON Pointer.
        """
        return self._engine.observers.add(
            [self.name], parse_pointer(path), lambda _: callback(self)
        )

    async def history(self, after: int | str = 0, limit: int = 100) -> HistoryPage:
        """A page of the document's history, newest last.

        Args:
            after: events after this version, or the page after the one with this `next`.
            limit: the most events of the page.

        Raises:
            RefusedError, UnauthorizedError, UnreachableError: Core does not return it.
        """
        engine = self._engine
        return await engine.api.history(self.name, after, limit, await engine.token())

    async def _do(self, do: Operation, metadata: dict[str, Any] | None) -> EditHandle:
        engine, batch = self._engine, _batch.get()
        if is_private(self.channel):
            await engine.edit_private(self.name, do)
            return EditHandle.of_private(engine.view(self.name).version)
        wish = Wish(self.channel, self.key, do, metadata)
        if batch is not None and batch.engine is engine:
            return batch.stage(wish)
        return EditHandle((await engine.edit([wish]))[0])

    def _staged(self) -> Value | None:
        batch = _batch.get()
        if batch is not None and batch.engine is self._engine:
            return batch.value(self.name)
        return self.value

    def _waiting(self) -> OpenConflict:
        waiting = self._engine.view(self.name).conflict
        if waiting is None:
            raise ClientError(f"{self.key} has no conflict to decide")
        return waiting


class StateChannel:
    """The documents of one channel. Made by `client.state(channel)`.

    Args:
        engine: stores and sends the edits of the client.
        channel: a followed channel, `private` or `session`.
    """

    def __init__(self, engine: Engine, channel: str) -> None:
        self._engine = engine
        self.channel = channel

    def __getitem__(self, key: str) -> SharedDocument:
        return SharedDocument(self._engine, self.channel, key)

    def session(self, key: str) -> SharedDocument:
        """This client's own document for a key with the lifetime `session`.

        Core deletes it after the client was closed for a day. If the client gets another id, it is
        another document: call this again.
        """
        return self[session_key(key, self._engine.replica.queue.client)]

    @property
    def keys(self) -> list[str]:
        """The sorted keys of the documents that Core has; of `private`, of all documents."""
        if is_private(self.channel):
            return self._engine.private.keys(self.channel)
        return sorted(one.key for one in self._engine.replica.channels[self.channel].all)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` once per batch that changes any document here, or adds one. Returns the
        unsubscriber."""
        return self._engine.observers.follow(self.channel, callback)


class SharedState:
    """All documents of one client. It is `client.state`.

    Args:
        engine: stores and sends the edits of the client.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self, channel: str) -> StateChannel:
        """The documents of a followed channel, of `private`, or of `session`.

        Raises:
            StateError: the channel is not followed, or carries no documents.
        """
        if not is_private(channel) and channel not in self._engine.replica.channels:
            raise StateError(f"{channel} is not a channel of documents that this client follows")
        return StateChannel(self._engine, channel)

    @property
    def client_id(self) -> str:
        """The client id that this client's edits are sent under."""
        return self._engine.replica.queue.client

    @property
    def waiting(self) -> int:
        """How many edits Core has not answered."""
        return len(self._engine.replica.queue.unanswered)

    @property
    def sending_error(self) -> str | None:
        """Why the last attempt to send edits failed; None: it succeeded."""
        return self._engine.sending_error

    @property
    def last_error(self) -> str | None:
        """The last error of a callback, a resolver or one of the client's tasks."""
        return self._engine.last_error

    def subscribe(
        self, documents: Sequence[SharedDocument], callback: Callable[[], None]
    ) -> Callable[[], None]:
        """Call a function once per batch that changes any of these. Returns the unsubscriber.

        Args:
            documents: of any followed channels.
            callback: reads the documents to see what has changed.
        """
        names = [document.name for document in documents]
        return self._engine.observers.add(names, (), lambda _: callback())

    def batch(self, *, atomic: bool = False) -> _Batching:
        """`async with client.state.batch(): …`: the edits in it are stored and sent together.

        They are shown, and every observer is called once, when the block ends. If the block raises,
        they are discarded.

        Args:
            atomic: Core applies all edits or none; they must be in one store.
        """
        return _Batching(self._engine, atomic=atomic)

    def export(self) -> StateValues:
        """The shown values of all followed documents."""
        snapshot: StateValues = {}
        for channel, documents in self._engine.replica.channels.items():
            pending = {e.edit.key for e in self._engine.replica.queue.entries}
            for key in sorted({one.key for one in documents.all} | pending):
                value = self._engine.view((channel, key)).value
                if value is not None:
                    snapshot.setdefault(channel, {})[key] = value
        return snapshot

    async def restore(self, snapshot: StateValues) -> list[EditHandle]:
        """Set the documents to the snapshot's values, by edits; other documents stay as they are.

        Raises:
            StateError: a value breaks a rule, or a channel is not followed; nothing is edited.
        """
        wishes = [
            Wish(channel, key, Set(value))
            for channel, documents in snapshot.items()
            for key, value in documents.items()
            if not same(self._engine.view((channel, key)).value, value)
        ]
        return [EditHandle(one) for one in await self._engine.edit(wishes)] if wishes else []

    async def definitions(self) -> list[dict[str, Any]]:
        """The definitions of the keys, as declared by Core's operator.

        Raises:
            RefusedError, UnauthorizedError, UnreachableError: Core does not return them.
        """
        engine = self._engine
        answer = await engine.api.read("/v1/definitions", {}, await engine.token())
        definitions: list[dict[str, Any]] = answer.get("definitions", [])
        return definitions


def open_batch(batch: Batch) -> Callable[[], None]:
    """Put the edits of this context into the batch. Returns a function that ends this.

    Raises:
        ClientError: another batch is open.
    """
    if _batch.get() is not None:
        raise ClientError("another batch is open: end it first")
    token = _batch.set(batch)
    return lambda: _batch.reset(token)


class _Batching:
    """A batch as an async context manager."""

    def __init__(self, engine: Engine, *, atomic: bool) -> None:
        self._batch = Batch(engine, atomic=atomic)

    async def __aenter__(self) -> Self:
        self._end = open_batch(self._batch)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_raised: object) -> None:
        self._end()
        if kind is None:
            await self._batch.send()
