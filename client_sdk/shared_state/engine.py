"""The shell around the replica: stores edits before they are shown, and notifies observers.

Order commands are in the same queue; `order_desk.py` is the shell around those.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

from msgspec import UNSET

from client_sdk.client.order_book import OrderBook
from client_sdk.contract.state.edit import EditOutcome
from client_sdk.contract.state.operations import Operation, Set
from client_sdk.contract.state.values import Value, check_document
from client_sdk.errors import ClientError, ClosedError
from client_sdk.machine.backoff import Backoff
from client_sdk.machine.messages import CheckDocuments, DeliverDocument
from client_sdk.settings import Settings
from client_sdk.shared_state.edits_api import Again, EditsApi
from client_sdk.shared_state.order_desk import OrderDesk
from client_sdk.shared_state.sender import Loader, RetryTimer, Sender, TokenSource
from client_sdk.shared_state.store_writer import StoreWriter
from client_sdk.state.conflicts import Resolver
from client_sdk.state.effects import View
from client_sdk.state.entries import DocumentName, Wish
from client_sdk.state.observers import Observers
from client_sdk.state.orders.command_queue import CommandQueue
from client_sdk.state.private import PrivateDocuments, is_private
from client_sdk.state.records import DropWaiting, OpenConflict, Write
from client_sdk.state.replica import Replica
from client_sdk.state.store import subject_of
from client_sdk.supervision import BackgroundTasks

RENEW_EVERY_S = 3 * 3600.0
"""The interval of session renewals, in seconds; without them Core ends the session after a day."""


class Engine:
    """The running shared state of one client.

    Args:
        replica: the rules for documents.
        commands: the queue of order commands.
        book: Core's orders.
        followed: all channels that are followed.
        private: the documents that never leave the device.
        writer: writes to the store.
        api: Core's API.
        token: returns the access token.
        subject: the subject that the edits are sent as.
        settings: the numbers of the back-off.
        uniform: a random number evenly between two.
        core_time: the time by Core's clock; None: not known.
        diverged: called with a channel whose documents have another digest than Core's.
        resolvers: the functions that resolve conflicts, by key.
    """

    def __init__(
        self,
        replica: Replica,
        commands: CommandQueue,
        book: OrderBook,
        followed: Sequence[str],
        private: PrivateDocuments,
        writer: StoreWriter,
        api: EditsApi,
        token: TokenSource,
        subject: str,
        settings: Settings,
        uniform: Callable[[float, float], float],
        core_time: Callable[[], datetime | None],
        diverged: Callable[[str], None],
        resolvers: Mapping[str, Resolver],
    ) -> None:
        self.replica = replica
        self.private = private
        self.writer = writer
        self.api = api
        self.token = token
        self.subject = subject
        self.observers = Observers(self.view)
        self.last_error: str | None = None
        """The last error in a callback, a resolver or one of the client's tasks."""
        self._core_time = core_time
        self._diverged = diverged
        self._resolvers = dict(resolvers)
        self._lock = asyncio.Lock()
        retry = RetryTimer(settings, uniform)
        self.desk = OrderDesk(
            commands,
            replica,
            writer,
            book,
            followed,
            core_time,
            self._lock,
            self.pump,
            self.note_error,
        )
        self._sender = Sender(replica, self.desk, writer, api, token, subject, self.pump, retry)
        self._loader = Loader(replica, api, token, self._loaded, RetryTimer(settings, uniform))
        self._changed: set[DocumentName] = set()
        self._telling = False
        self._outcomes: dict[int, asyncio.Future[EditOutcome]] = {}
        self._tasks = BackgroundTasks(self.note_error, back_off=settings, uniform=uniform)
        self._settings = settings
        self._uniform = uniform
        self._closed = False
        self._online = asyncio.Event()

    @property
    def sending_error(self) -> str | None:
        """Why the last attempt to send edits failed; None: it succeeded."""
        return self._sender.retry.last_error

    def start(self) -> None:
        """Start the tasks that send, fetch and store."""
        self._tasks.keep("sender", self._sender.run)
        self._tasks.keep("loader", self._loader.run)
        self._tasks.keep("store-writer", self.writer.run)
        self._tasks.keep("renewal", self._renew)
        for waiting in tuple(self.replica.waiting.values()):
            self._decide(waiting)
        self.pump()

    async def stop(self) -> None:
        """Store what is not stored yet, and stop the tasks."""
        if self._closed:
            return
        self._closed = True
        await self._tasks.stop()
        async with self._lock:
            self.writer.put(self.replica.drain().writes)
            for future in self._outcomes.values():
                if not future.done():
                    future.set_exception(ClosedError("the client was closed before Core answered"))
                    future.exception()  # avoids a warning if no program waits for this future
            self.desk.close()
            await self.writer.close()

    # ── what comes in ────────────────────────────────────────────────────────

    def take(self, command: DeliverDocument | CheckDocuments) -> None:
        """Take a command of the machine for documents."""
        if self._closed:
            return
        if isinstance(command, DeliverDocument):
            self.replica.take(command.change, command.epoch)
        elif self.replica.agrees(command.channel, command.content_digest) is False:
            self._diverged(command.channel)
        self.pump()

    def online(self) -> None:
        """Core is reachable: try to send now."""
        self._sender.retry.hurry()
        self._loader.retry.hurry()
        self._online.set()

    async def edit(
        self, wishes: Sequence[Wish], *, atomic: bool = False, decides: OpenConflict | None = None
    ) -> list[asyncio.Future[EditOutcome]]:
        """Make edits; they are stored and shown when this returns.

        Args:
            wishes: what the program asks for, in this order.
            atomic: Core applies all of them or none; they must be in one store.
            decides: the conflict that they resolve; None: none.

        Returns:
            For each edit a future of Core's answer.

        Raises:
            StateError: one of them does not fit the document shown; none is made.
            StateStoreError: they cannot be stored; none is made.
            ClosedError: the client is closed.
            ClientError: the conflict was already resolved.
        """
        async with self._lock:
            if self._closed:
                raise ClosedError("the client is closed")
            if decides is not None and decides.id not in self.replica.waiting:
                raise ClientError("this conflict was already decided")
            ids = None
            while ids is None:
                decided = None if decides is None else decides.id
                writes = self.replica.prepare(
                    wishes, self._core_time(), atomic=atomic, decides=decided
                )
                if decided is not None:
                    writes.append(DropWaiting(decided))
                await self._commit(writes)
                ids = self.replica.accept()
            if decides is not None:
                self.replica.decided(decides)
            futures = [asyncio.get_running_loop().create_future() for _ in ids]
            self._outcomes |= dict(zip(ids, futures, strict=True))
        self.pump()
        return futures

    async def edit_private(self, name: DocumentName, do: Operation) -> None:
        """Change a document that never leaves the device.

        Raises:
            StateError: the change does not fit the document shown.
            StateStoreError: it cannot be stored.
            ClosedError: the client is closed.
        """
        async with self._lock:
            if self._closed:
                raise ClosedError("the client is closed")
            changed = self.private.changed(name, do)
            await self.writer.commit(self.private.writes_of(name, changed))
            self.private.show(name, changed)
        self._changed.add(name)
        self.pump()

    async def resolve(self, waiting: OpenConflict, value: Value) -> asyncio.Future[EditOutcome]:
        """Resolve a conflict with this value; raises as `edit`."""
        check_document(value)
        wish = Wish(waiting.channel, waiting.key, Set(value))
        return (await self.edit([wish], decides=waiting))[0]

    def discard(self, waiting: OpenConflict) -> None:
        """Resolve a conflict by keeping Core's value."""
        self.replica.decided(waiting)
        self.pump()

    # ── what goes out ────────────────────────────────────────────────────────

    def view(self, name: DocumentName) -> View:
        """The document as it is shown now.

        Raises:
            StateError: its channel is not followed.
        """
        return self.private.view(name) if is_private(name[0]) else self.replica.view(name)

    def pump(self) -> None:
        """Process the replica's effects: store, fetch and notify."""
        effects = self.replica.drain()
        self.writer.put(effects.writes)
        for place, outcome in effects.outcomes:
            future = self._outcomes.pop(place, None)
            if future is not None and not future.done():
                future.set_result(outcome)
        for waiting in effects.conflicts:
            self._decide(waiting)
        self._changed |= effects.changed
        if self._changed and not self._telling and not self._closed:
            # Once for all changes in one turn of the event loop.
            self._telling = True
            self._tasks.later("observers", 0.0, self._tell)
        self._sender.retry.wake()
        self._loader.retry.wake()

    def _tell(self) -> None:
        self._telling = False
        changed, self._changed = self._changed, set()
        calls: list[Callable[[], None]] = [
            partial(one.call, names) for one, names in self.observers.told(changed)
        ]
        for call in (*calls, *self.observers.followers(changed)):
            try:
                call()
            except Exception as error:
                self.last_error = f"an observer raised {error!r}"

    def note_error(self, error: str) -> None:
        """Note an error of a callback, a resolver or a task."""
        self.last_error = error

    async def _commit(self, writes: list[Write]) -> None:
        try:
            await self.writer.commit(writes)
        except BaseException:
            self.replica.queue.abandon()
            raise

    def _loaded(self, channel: str) -> None:
        if self.replica.agrees_now(channel) is False:
            self._diverged(channel)
        self.pump()

    def _decide(self, waiting: OpenConflict) -> None:
        resolver = self._resolvers.get(waiting.key)
        if resolver is not None:
            self._tasks.once("resolver", self._resolved(waiting, resolver))

    async def _resolved(self, waiting: OpenConflict, resolver: Resolver) -> None:
        conflict = waiting.conflict
        base = None if conflict.base is UNSET else conflict.base
        own = None if conflict.own is UNSET else conflict.own
        current = conflict.current
        if current is UNSET:
            document = self.replica.channels[waiting.channel].get(waiting.key)
            shown = None if document is None else document.value
            current = None if shown is UNSET else shown
        try:
            value = resolver(waiting.key, base, current, own)
            if inspect.isawaitable(value):
                value = await value
            if value is None:
                self.discard(waiting)
            else:
                await self.resolve(waiting, value)
        except Exception as error:
            # The conflict stays in the document's meta, where a person can resolve it.
            self.last_error = f"the resolver of {waiting.key} raised {error!r}"

    async def _renew(self) -> None:
        back_off = Backoff(self._settings, self._uniform)
        while True:
            await self._online.wait()
            client = self.replica.queue.client
            if any(
                one.key.endswith(f".{client}")
                for documents in self.replica.channels.values()
                for one in documents.all
            ):
                token = await self.token()
                # A request with another subject's token would not renew this session.
                if subject_of(token) == self.subject:
                    answer = await self.api.settled(client, token)
                    if isinstance(answer, Again):
                        now = asyncio.get_running_loop().time()
                        await asyncio.sleep(max(back_off.failed(now), answer.retry_after or 0.0))
                        continue
            back_off.forget()
            await asyncio.sleep(RENEW_EVERY_S)
