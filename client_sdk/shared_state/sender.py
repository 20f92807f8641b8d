"""The tasks that send edits and commands to Core and fetch large values, with back-off.

A queue is sent with its own subject's token only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from client_sdk.contract.state.document import Document
from client_sdk.contract.state.edit import EditOutcome
from client_sdk.machine.backoff import Backoff
from client_sdk.settings import Settings
from client_sdk.shared_state.edits_api import Again, Answered, EditsApi, NotTaken, Settled
from client_sdk.shared_state.order_desk import OrderDesk
from client_sdk.shared_state.store_writer import StoreWriter
from client_sdk.state.replica import Replica
from client_sdk.state.requests import Request
from client_sdk.state.store import subject_of


class TokenSource(Protocol):
    """A function that returns the access token."""

    def __call__(self, *, new: bool = False) -> Awaitable[str]:
        """Return the token; `new`: the last one was refused."""


class RetryTimer:
    """Decides when a task may try again: woken when there is work, delayed after failures.

    Args:
        settings: the first and the longest delay.
        uniform: a random number evenly between two.
    """

    def __init__(self, settings: Settings, uniform: Callable[[float, float], float]) -> None:
        self._backoff = Backoff(settings, uniform)
        self._woken = asyncio.Event()
        self._not_before = 0.0
        self._kept_away_until = 0.0
        self.last_error: str | None = None
        """Why the last attempt failed; None: it succeeded."""

    def wake(self) -> None:
        """There is work; a running back-off continues."""
        self._woken.set()

    def hurry(self) -> None:
        """Core is reachable again: end the back-off, unless Core asked for more time."""
        self._not_before = 0.0
        self._woken.set()

    def well(self) -> None:
        """The attempt succeeded."""
        self._backoff.forget()
        self._not_before, self.last_error = 0.0, None

    def failed(self, detail: str, retry_after: float | None = None) -> None:
        """The attempt failed: try again after the back-off, or `retry_after` seconds."""
        now = asyncio.get_running_loop().time()
        self.last_error = detail
        self._not_before = now + self._backoff.failed(now)
        self._kept_away_until = now + (retry_after or 0.0)

    async def due(self, is_needed: Callable[[], bool]) -> None:
        """Return once there is work and the delay is over."""
        loop = asyncio.get_running_loop()
        while True:
            self._woken.clear()
            if not is_needed():
                await self._woken.wait()
                continue
            wait_s = max(self._not_before, self._kept_away_until) - loop.time()
            if wait_s <= 0:
                return
            try:
                async with asyncio.timeout(wait_s):
                    await self._woken.wait()
            except TimeoutError:
                continue


class Sender:
    """Sends the queue, one request at a time, with its own subject's token only.

    Edits and order commands are sent in the order in which they were made.

    Args:
        replica: the edits to send; takes the answers.
        desk: the order commands.
        writer: stores answers before a request tells Core that they are received.
        api: Core's API.
        token: returns the access token.
        subject: the subject that the edits are sent as.
        pump: called after each answer.
        retry: when to try.
    """

    def __init__(
        self,
        replica: Replica,
        desk: OrderDesk,
        writer: StoreWriter,
        api: EditsApi,
        token: TokenSource,
        subject: str,
        pump: Callable[[], None],
        retry: RetryTimer,
    ) -> None:
        self._replica = replica
        self._desk = desk
        self._writer = writer
        self._api = api
        self._token = token
        self._subject = subject
        self._pump = pump
        self._refused = False
        self.retry = retry

    async def run(self) -> None:
        """Send for as long as the client lives."""
        while True:
            await self.retry.due(self._is_needed)
            await self._step()

    def _is_needed(self) -> bool:
        queue = self._replica.queue
        if queue.question is not None:
            return True
        if self._desk.is_first:
            return self._desk.can_send
        # Before Core has named its log, it would stay unknown which log has settled the edit.
        return queue.epoch is not None and bool(queue.unanswered)

    async def _step(self) -> None:
        try:
            token = await self._token(new=self._refused)
        except Exception as error:
            self.retry.failed(f"there is no token: {error}")
            return
        if not self._is_own(token):
            self.retry.failed("the token belongs to another subject: edits are not sent")
            return
        while not self._writer.is_clean:
            await self._writer.commit()
        queue = self._replica.queue
        client = queue.question
        if client is not None:
            self._take_settled(client, await self._api.settled(client, token))
        elif self._desk.is_first:
            await self._send_command(token)
        elif (request := queue.request(self._desk.queue.first)) is not None:
            try:
                answer = await self._api.send(request, token)
            except BaseException:
                queue.failed(request)
                raise
            self._take(request, answer)
        self._pump()

    async def _send_command(self, token: str) -> None:
        request = await self._desk.next_request()
        if request is None:
            return
        try:
            answer = await self._api.command(request, token)
        except BaseException:
            self._desk.failed(request)
            raise
        if isinstance(answer, Again):
            self._desk.failed(request)
            self._failed(answer)
            return
        await self._desk.answered(request, answer)
        self._well()

    def _is_own(self, token: str) -> bool:
        return subject_of(token) == self._subject

    def _take_settled(self, client: str, answer: Settled | Again) -> None:
        if isinstance(answer, Again):
            self._failed(answer)
            return
        self._well()
        self._replica.told(client, answer.n, answer.epoch)

    def _take(self, request: Request, answer: Answered | Again | NotTaken) -> None:
        replica = self._replica
        if isinstance(answer, Answered):
            if replica.answered(request, answer.outcomes):
                self._well()
            else:
                self.retry.failed("Core's answer contains no outcome for the edits that were sent")
        elif isinstance(answer, Again):
            replica.queue.failed(request)
            self._failed(answer)
        else:
            self._take_refusal(request, answer)

    def _take_refusal(self, request: Request, answer: NotTaken) -> None:
        # Each of these changes the next request; if one repeats, the back-off delays it.
        problem = answer.problem
        self.retry.failed(f"{problem.title}: {problem.detail}")
        match problem.slug:
            case "edit-gap":
                self._replica.queue.gap(request)
            case "client-taken":
                self._replica.taken(request)
            case "edit-mismatch":
                self._replica.mismatched(request)
            case _:
                self._replica.unacceptable(request, EditOutcome(0, "refused", problem=problem))

    def _well(self) -> None:
        self._refused = False
        self.retry.well()

    def _failed(self, answer: Again) -> None:
        self._refused = answer.unauthorized
        self.retry.failed(answer.detail, answer.retry_after)


class Loader:
    """Fetches the values that events do not contain.

    Args:
        replica: says which values are wanted; takes them.
        api: Core's API.
        token: returns the access token.
        loaded: called with the channel after each value.
        retry: when to try.
    """

    def __init__(
        self,
        replica: Replica,
        api: EditsApi,
        token: TokenSource,
        loaded: Callable[[str], None],
        retry: RetryTimer,
    ) -> None:
        self._replica = replica
        self._api = api
        self._token = token
        self._loaded = loaded
        self._refused = False
        self._tried: dict[tuple[str, str], int] = {}
        self._tries = 0
        self.retry = retry

    async def run(self) -> None:
        """Fetch for as long as the client lives."""
        while True:
            await self.retry.due(lambda: bool(self._wanted()))
            await self._step()

    def _next(self) -> tuple[tuple[str, str], int | None]:
        """The value whose last attempt is the oldest: a failing one does not block the others."""
        wanted = self._wanted()
        self._tried = {name: self._tried[name] for name, _ in wanted if name in self._tried}
        name, version = min(wanted, key=lambda one: self._tried.get(one[0], 0))
        self._tries += 1
        self._tried[name] = self._tries
        return name, version

    def _wanted(self) -> list[tuple[tuple[str, str], int | None]]:
        return [
            ((channel, key), version)
            for channel, documents in self._replica.channels.items()
            for key, version in documents.wanted.items()
        ]

    async def _step(self) -> None:
        name, version = self._next()
        try:
            token = await self._token(new=self._refused)
        except Exception as error:
            self.retry.failed(f"there is no token: {error}")
            return
        documents = self._replica.channels[name[0]]
        log = documents.epoch
        answer = await self._api.document(name, version, token)
        if documents.epoch != log:
            return  # the value may come from the other log
        if isinstance(answer, Again):
            self._refused = answer.unauthorized
            self.retry.failed(answer.detail, answer.retry_after)
            return
        self._refused = False
        self.retry.well()
        if isinstance(answer, Document):
            self._replica.fetched(answer)
        else:
            self._replica.missing(name, version)
        if (name, version) in self._wanted():
            self.retry.failed("Core's answer is not the version that was asked for")
        self._loaded(name[0])
