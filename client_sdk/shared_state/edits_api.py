"""Core's HTTP API for edits, documents and commands; its answers as plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import httpx
import msgspec
from msgspec import Struct

from client_sdk.contract.errors import FrameError
from client_sdk.contract.json_decoding import reader
from client_sdk.contract.limits import MAX_EDITS_ANSWER_BYTES
from client_sdk.contract.order import EPOCH_HEADER, Order, decode_order
from client_sdk.contract.problem import Problem, decode_problem
from client_sdk.contract.state.document import Document, decode_document
from client_sdk.contract.state.edit import EditOutcome, decode_outcome
from client_sdk.contract.sync import Epoch
from client_sdk.contract.text import is_epoch, time_text
from client_sdk.errors import RefusedError, UnauthorizedError, UnreachableError
from client_sdk.state.entries import DocumentName
from client_sdk.state.orders.commands import CommandRequest
from client_sdk.state.requests import Request
from client_sdk.transport.http_bodies import PACKED, answer_of, bearer
from client_sdk.transport.http_failures import retry_after, shortened

_TIMEOUT_S: Final = 30.0
_FAULTS: Final = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, FrameError)
_PASSING: Final = frozenset({401, 408, 425, 429})
"""Statuses that do not mean that the request itself is wrong: try again."""
_NOT_TAKEN: Final = frozenset({"bad-json", "bad-request", "invalid", "too-large"})


@dataclass(frozen=True, slots=True)
class Answered:
    """Core has settled the request's edits."""

    outcomes: list[EditOutcome]


@dataclass(frozen=True, slots=True)
class Settled:
    """Core has settled a client's edits up to number `n`; the log None: Core does not name it."""

    n: int
    epoch: str | None


@dataclass(frozen=True, slots=True)
class Again:
    """Nothing is settled: try again later, after `retry_after` seconds if given."""

    detail: str
    retry_after: float | None = None
    unauthorized: bool = False
    """Whether the token was refused."""


@dataclass(frozen=True, slots=True)
class NotTaken:
    """Core rejects the request (`edit-gap`, `client-taken`, `edit-mismatch`, or malformed), or
    refuses the command."""

    problem: Problem
    epoch: str | None = None
    """The log of the order in the problem; None: the answer does not name it."""


@dataclass(frozen=True, slots=True)
class Done:
    """Core has done a command."""

    order: Order
    """The order after the command."""
    repeated: bool
    """Whether an earlier try did it; the order may have changed since."""
    epoch: str | None = None
    """The order's log; None: this Core is an older version, which does not name it."""


class _Outcomes(Struct, frozen=True):
    outcomes: list[msgspec.Raw]


class _Known(Struct, frozen=True):
    settled: int
    epoch: Epoch | None = None


class HistoryPage(Struct, frozen=True):
    """A part of a history, newest last."""

    events: list[dict[str, Any]]
    """Each with version, base, diff, author, time, client and metadata, as Core sends them."""
    next: str | None = None
    """Pass this to get the next page; None: this is the last page."""


R = TypeVar("R")
_outcomes: Final = reader(_Outcomes)
_known: Final = reader(_Known)
_history: Final = reader(HistoryPage)
_any: Final = reader(dict[str, Any])


class EditsApi:
    """Core's API for edits, documents and commands.

    Args:
        http: the HTTP client; its base URL is Core's.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def send(self, request: Request, token: str) -> Answered | Again | NotTaken:
        """Send edits."""
        try:
            status, headers, body = await self._ask(
                "POST", "/v1/edits", token, content=request.body
            )
            if status == 200:
                outcomes = _outcomes(body).outcomes
                return Answered([decode_outcome(raw) for raw in outcomes])
        except (*_FAULTS, msgspec.DecodeError) as error:
            return Again(shortened(str(error) or type(error).__name__))
        problem = decode_problem(body)
        if problem is not None and status in (400, 409, 413, 422):
            slugs = _NOT_TAKEN | {"edit-gap", "client-taken", "edit-mismatch"}
            if problem.slug in slugs:
                return NotTaken(problem)
        return _again(status, headers, problem)

    async def settled(self, client: str, token: str) -> Settled | Again:
        """Ask up to which number Core has settled the client's edits."""
        try:
            status, headers, body = await self._ask(
                "GET", "/v1/edits", token, params={"client": client}
            )
            if status == 200:
                known = _known(body)
                return Settled(known.settled, known.epoch)
        except (*_FAULTS, msgspec.DecodeError) as error:
            return Again(shortened(str(error) or type(error).__name__))
        return _again(status, headers, decode_problem(body))

    async def command(self, request: CommandRequest, token: str) -> Done | Again | NotTaken:
        """Send a command to an order."""
        headers = {"idempotency-key": request.key}
        if request.version is not None:
            headers["if-match"] = f'"{request.version}"'
        if request.updated_at is not None:
            headers["yabam-if-updated-at"] = time_text(request.updated_at)
        try:
            status, answered, body = await self._ask(
                request.method, request.path, token, content=request.body, headers=headers
            )
            epoch = _epoch_of(answered)
            if status in (200, 201):
                repeated = answered.get("idempotency-replayed") == "true"
                return Done(decode_order(body), repeated, epoch)
        except (*_FAULTS, msgspec.DecodeError) as error:
            return Again(shortened(str(error) or type(error).__name__))
        problem = decode_problem(body)
        # A refusal without one of our problems is a proxy's, as during a deployment: try again.
        is_refused = problem is not None and 400 <= status < 500 and status not in _PASSING
        if is_refused and problem is not None and problem.slug != "conflict":
            return NotTaken(problem, epoch)
        return _again(status, answered, problem)

    async def document(
        self, name: DocumentName, version: int | None, token: str
    ) -> Document | Again | None:
        """Get a document at a version.

        Args:
            name: its channel and key.
            version: None: the newest.
            token: an access token that may follow the channel.

        Returns:
            The document; None: there is none; `Again`: Core has given no usable answer.
        """
        params = {"channel": name[0], "key": name[1]}
        if version is not None:
            params["version"] = str(version)
        try:
            status, headers, body = await self._ask("GET", "/v1/documents", token, params=params)
            if status == 200:
                document = decode_document(body)
                if (document.channel, document.key) != name:
                    return Again("Core's answer contains a different document")
                return document
        except (*_FAULTS, msgspec.DecodeError) as error:
            return Again(shortened(str(error) or type(error).__name__))
        problem = decode_problem(body)
        if status == 404 and problem is not None and problem.slug == "not-found":
            return None
        return _again(status, headers, problem)

    async def history(
        self, name: DocumentName, after: int | str, limit: int, token: str
    ) -> HistoryPage:
        """A page of a document's history.

        Args:
            name: its channel and key.
            after: events after this version, or the page after the one with this `next`.
            limit: the most events of the page.
            token: an access token that may follow the channel.

        Raises:
            RefusedError, UnauthorizedError, UnreachableError: Core does not return it.
        """
        params = {"channel": name[0], "key": name[1], "after": str(after), "limit": str(limit)}
        body = await self._get("/v1/documents/events", params, token)
        return _decoded(_history, body)

    async def read(self, path: str, params: dict[str, str], token: str) -> dict[str, Any]:
        """GET any other path and return the JSON answer; raises as `history`.

        Args:
            path: relative to Core's address, percent-encoded.
            params: the parameters of the query, not encoded.
            token: an access token.
        """
        return _decoded(_any, await self._get(path, params, token))

    async def request(
        self, method: str, path: str, token: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Send any other request. Returns the answer's JSON, perhaps empty. Raises as `history`.

        Args:
            method: GET, PUT, POST or DELETE.
            path: relative to Core's address.
            token: an access token.
            body: a value that is sent as JSON.
        """
        content = None if body is None else msgspec.json.encode(body)
        answer = await self._done(method, path, token, content=content)
        return _decoded(_any, answer) if answer else {}

    async def _get(self, path: str, params: dict[str, str], token: str) -> bytes:
        return await self._done("GET", path, token, params=params)

    async def _done(
        self,
        method: str,
        path: str,
        token: str,
        *,
        params: dict[str, str] | None = None,
        content: bytes | None = None,
    ) -> bytes:
        try:
            status, _, body = await self._ask(method, path, token, params=params, content=content)
        except _FAULTS as error:
            raise UnreachableError(f"Core cannot be reached: {error}") from error
        if status in (200, 201, 204):
            return body
        problem = decode_problem(body)
        told = shortened(f"{status} {problem.detail or problem.title}" if problem else f"{status}")
        if status == 401:
            raise UnauthorizedError(told)
        if status in (429, 500, 502, 503, 504):
            raise UnreachableError(told)
        raise RefusedError(told, status, problem)

    async def _ask(
        self,
        method: str,
        path: str,
        token: str,
        *,
        params: dict[str, str] | None = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, httpx.Headers, bytes]:
        sent = bearer(token) | PACKED | (headers or {})
        if content is not None:
            sent["content-type"] = "application/json"
        request = self._http.build_request(
            method, path, params=params, content=content, headers=sent, timeout=_TIMEOUT_S
        )
        response, body = await answer_of(self._http, request, MAX_EDITS_ANSWER_BYTES)
        return response.status_code, response.headers, body


def _epoch_of(headers: httpx.Headers) -> str | None:
    told = headers.get(EPOCH_HEADER, "")
    return told if is_epoch(told) else None


def _again(status: int, headers: httpx.Headers, problem: Problem | None) -> Again:
    told = f"{problem.title}: {problem.detail}" if problem is not None else ""
    return Again(shortened(f"{status} {told}".strip()), retry_after(headers), status == 401)


def _decoded(read: Callable[[bytes], R], body: bytes) -> R:
    try:
        return read(body)
    except msgspec.DecodeError as error:
        raise UnreachableError(f"Core's answer is malformed: {error}") from error
