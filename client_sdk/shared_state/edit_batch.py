"""Batches of edits, and the handles by which a program waits for an edit's outcome."""

from __future__ import annotations

import asyncio
from typing import Self

from client_sdk.contract.state.edit import EditOutcome
from client_sdk.contract.state.values import Value
from client_sdk.errors import ClientError
from client_sdk.shared_state.engine import Engine
from client_sdk.state.entries import DocumentName, Wish
from client_sdk.state.view import perform


class EditHandle:
    """An edit that was queued. Made by the methods of a document.

    Args:
        outcome: brings Core's answer; None: the batch of the edit has not ended.
    """

    def __init__(self, outcome: asyncio.Future[EditOutcome] | None = None) -> None:
        self._outcome = outcome

    @classmethod
    def of_private(cls, version: int) -> Self:
        """The handle of an edit of a private document, which is settled at once."""
        future = asyncio.get_running_loop().create_future()
        future.set_result(EditOutcome(0, "applied", version))
        return cls(future)

    async def settled(self) -> EditOutcome:
        """Wait for Core's answer and return the outcome, which may be a refusal.

        Raises:
            ClientError: the edit's batch has not ended.
            ClosedError: the client was closed first; the edit is sent after a restart of it.
        """
        if self._outcome is None:
            raise ClientError("the batch of this edit has not ended, or was discarded")
        # Cancelling one waiter must not cancel the others.
        return await asyncio.shield(self._outcome)

    def bind(self, outcome: asyncio.Future[EditOutcome]) -> None:
        """Attach the future that brings Core's answer."""
        self._outcome = outcome


class Batch:
    """Edits that are sent together.

    Args:
        engine: stores and sends the edits.
        atomic: Core applies all of them or none.
    """

    def __init__(self, engine: Engine, *, atomic: bool) -> None:
        self.engine = engine
        self._atomic = atomic
        self._staged: list[tuple[Wish, EditHandle]] = []
        self._values: dict[DocumentName, Value | None] = {}

    def stage(self, wish: Wish) -> EditHandle:
        """Add an edit to the batch.

        Raises:
            StateError: it does not fit the document as shown with the batch's earlier edits.
        """
        name = wish.channel, wish.key
        self._values[name] = perform(wish.do, self.value(name), {})
        handle = EditHandle()
        self._staged.append((wish, handle))
        return handle

    def value(self, name: DocumentName) -> Value | None:
        """The document with the edits so far."""
        return self._values[name] if name in self._values else self.engine.view(name).value

    async def send(self) -> None:
        """Queue all edits of the batch; raises as `Engine.edit`."""
        if not self._staged:
            return
        wishes = [wish for wish, _ in self._staged]
        futures = await self.engine.edit(wishes, atomic=self._atomic)
        for (_, handle), future in zip(self._staged, futures, strict=True):
            handle.bind(future)
