"""The asyncio client for orders and documents together."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Self, Unpack

from client_sdk.client.async_client import ClientOptions, OrderClient
from client_sdk.client.runner import Token
from client_sdk.contract.channel import carries_documents
from client_sdk.contract.state.document import Document
from client_sdk.errors import ClosedError, StateStoreError
from client_sdk.machine.messages import CheckDocuments, Deliver, DeliverDocument, Diverged
from client_sdk.machine.sequencing import Change
from client_sdk.shared_state.edits_api import EditsApi
from client_sdk.shared_state.engine import Engine
from client_sdk.shared_state.order_commands import OrderCommands
from client_sdk.shared_state.shared_state import SharedState
from client_sdk.shared_state.store_writer import StoreWriter
from client_sdk.state.conflicts import Resolver
from client_sdk.state.orders.command_queue import CommandQueue
from client_sdk.state.orders.commands import QueuedCommand, decode_command
from client_sdk.state.private import PrivateDocuments
from client_sdk.state.queue import EditQueue
from client_sdk.state.records import Stored, entry_of
from client_sdk.state.replica import Replica
from client_sdk.state.store import MemoryState, StateStore, subject_of
from client_sdk.state.view import Calls
from client_sdk.transport.http_bodies import check_token


class YabamOptions(ClientOptions, total=False):
    """The further options of `YabamClient` and its blocking form."""

    state: StateStore | None
    subject: str | None
    calls: Mapping[str, Calls] | None
    new_client: Callable[[], str]


class YabamClient(OrderClient):
    """Follows channels of orders and of documents, on one stream.

    Orders work as with `OrderClient`; `commands` changes them through the queue. `state` has the
    documents, which need no loop over `events()`.

    Args:
        base_url: Core's address.
        token: an access token, or a function (async or not) that returns one, as for `OrderClient`.
        channels: the channels to follow, of orders, of documents or of both; 1 to 500.
        state: the store of edits and documents; default: in memory.
        subject: the token's subject. Only needed if a function returns the token and the client may
            be opened without a network.
        resolvers: the functions that resolve the conflicts of documents, by key.
        calls: predictions of the operator's functions, by key and name, so that a `call` is shown
            before Core has answered.
        new_client: returns a new client id.
        options: the other arguments of `OrderClient`, by name.

    Raises:
        ChannelError: a channel name is malformed, or there are none or too many.
        DeviceError: the device's name is malformed.
        ContractError: the token has characters that no token has.
    """

    _shows_documents: ClassVar = True

    def __init__(
        self,
        base_url: str,
        token: Token,
        channels: Sequence[str],
        *,
        state: StateStore | None = None,
        subject: str | None = None,
        resolvers: Mapping[str, Resolver] | None = None,
        calls: Mapping[str, Calls] | None = None,
        new_client: Callable[[], str] = lambda: uuid.uuid4().hex,
        **options: Unpack[ClientOptions],
    ) -> None:
        super().__init__(base_url, token, channels, **options)
        self._store = state or MemoryState()
        self._subject = subject
        self._resolvers = resolvers or {}
        self._calls = calls or {}
        self._new_client = new_client
        self._engine: Engine | None = None
        self._was_answered = False
        self._change: Change | None = None
        """The last change that was passed to the desk."""

    @property
    def state(self) -> SharedState:
        """The documents.

        Raises:
            ClosedError: the client was never opened.
        """
        if self._engine is None:
            raise ClosedError("the client is not open: use `async with`")
        return SharedState(self._engine)

    @property
    def commands(self) -> OrderCommands:
        """Orders, and commands that change them, with or without a network.

        Raises:
            ClosedError: the client was never opened.
        """
        if self._engine is None:
            raise ClosedError("the client is not open: use `async with`")
        return OrderCommands(self._engine.desk)

    async def __aenter__(self) -> Self:
        """Open the store, and follow the channels from the stored cursor on.

        Raises:
            ClosedError: it was entered before, or is closed.
            StateStoreError: the store cannot be read, or belongs to another subject.
            CursorStoreError: the cursor cannot be read.
        """
        if self._engine is not None or self._http.is_closed:
            raise ClosedError("a client can be entered only once: create a new one")
        subject = self._subject or subject_of(await self._first_token())
        writer = StoreWriter(self._store)
        try:
            stored = await writer.open(subject)
            self._engine = self._engine_of(stored, writer, subject)
        except BaseException:
            await self._http.aclose()
            raise
        try:
            await super().__aenter__()
        except BaseException:
            await self._engine.stop()
            raise
        self._engine.desk.follow(None, self._deliveries.epoch)
        self._engine.start()
        return self

    async def close(self) -> None:
        """Close the stream and stop; unsettled edits stay in the store."""
        try:
            if self._engine is not None:
                await self._engine.stop()
        finally:
            await super().close()

    # ── the rest ─────────────────────────────────────────────────────────────

    def _engine_of(self, stored: Stored, writer: StoreWriter, subject: str) -> Engine:
        followed: dict[str, list[Document]] = {
            name: [] for name in self._channels if carries_documents(name)
        }
        for document in stored.documents:
            if document.channel in followed:
                followed[document.channel].append(document)
        orders = [name for name in self._channels if not carries_documents(name)]
        commands = CommandQueue((decode_command(body) for body in stored.commands), orders)
        replica = Replica(
            _queue_of(stored, self._new_client, commands.own.entries),
            followed,
            stored.waiting,
            self._calls,
            self._resolvers,
        )
        return Engine(
            replica,
            commands,
            self.orders,
            self._channels,
            PrivateDocuments(stored.private),
            writer,
            EditsApi(self._http),
            self._current_token,
            subject,
            self._settings,
            self._uniform,
            self._core_time,
            self._diverged,
            self._resolvers,
        )

    async def _first_token(self) -> str:
        if isinstance(self._token, str):
            return self._token
        made = self._token()
        return check_token(await made if inspect.isawaitable(made) else made)

    async def _current_token(self, *, new: bool = False) -> str:
        if self._runner is None:
            raise ClosedError("the client is not open")
        return await self._runner.current_token(new=new)

    def _core_time(self) -> datetime | None:
        return self._machine.freshness.core_time(self._clock())

    def _diverged(self, channel: str) -> None:
        # The machine is still processing an input when it asks for this comparison.
        if self._runner is not None:
            self._runner.feed_soon(Diverged(channel))

    def _take_next(self) -> Deliver | None:
        delivery = super()._take_next()
        if delivery is None or self._engine is None:
            return delivery
        # A change that its consumer failed on is delivered again.
        if delivery.change is not self._change:
            self._change = delivery.change
            self._engine.desk.follow(delivery.change, delivery.epoch)
        return delivery

    def _put_document(self, command: DeliverDocument | CheckDocuments) -> None:
        if self._engine is not None:
            self._engine.take(command)

    def _publish_status(self) -> None:
        super()._publish_status()
        answered = self._machine.freshness.certain_at is not None and not self._machine.failing
        if answered and not self._was_answered and self._engine is not None:
            self._engine.online()
        self._was_answered = answered


def _queue_of(
    stored: Stored, new_client: Callable[[], str], commands: Sequence[QueuedCommand] = ()
) -> EditQueue:
    entries = [entry_of(row) for row in stored.entries]
    # The counters are stored after a command, so they may be missing beside one.
    next_id = max((one.id + 1 for one in commands), default=1)
    counters = stored.counters
    if counters is None:
        if entries:
            raise StateStoreError("the state is damaged: it has edits without a client id")
        return EditQueue(new_client(), new_client, next_id=next_id)
    own = [entry.n for entry in entries if entry.client == counters.client]
    return EditQueue(
        counters.client,
        new_client,
        # An answer during the storing of an edit may have stored the counters from before the edit.
        next_n=max([counters.next_n, *(n + 1 for n in own)]),
        next_id=max([counters.next_id, next_id, *(entry.id + 1 for entry in entries)]),
        epoch=counters.epoch,
        entries=entries,
    )
