"""What Core answers about documents: edits, values, history, definitions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from client_sdk.contract.channel import Channel, parse_channel
from client_sdk.contract.errors import ChannelError
from client_sdk.contract.limits import MAX_EDITS, MAX_EDITS_BODY_BYTES
from client_sdk.contract.state.edit import (
    Client as ClientId,
)
from client_sdk.contract.state.edit import (
    EditNumber,
    EditOutcome,
    Key,
    OwnEdit,
    decode_edits,
)
from client_sdk.contract.text import is_id, number_of, shown
from core_api.access.callers import Caller
from core_api.access.reach import check_follow
from core_api.api.answers import NO_STORE, encoded_answer, json_answer
from core_api.api.gate import Gate
from core_api.api.operations import JSON
from core_api.api.request_parts import order_id_of
from core_api.edits.history_reading import parse_position, read_document, read_entries, read_version
from core_api.edits.reading import read_epoch
from core_api.edits.service import EditService
from core_api.errors import BadRequestError, InvalidError, NotFoundError
from core_api.http.bodies import read_request_body
from core_api.orders.history import OrderHistory
from core_api.postgres.pool import Pool
from core_api.system_edits.session_renewals import hear_of
from server_common.limits import HISTORY_ENTRIES

_KEPT: Final = {"cache-control": "private, max-age=86400, immutable"}
_MAX_VERSION: Final = 2**31 - 1


class EditBody(Struct, frozen=True):
    """One edit, as `POST /v1/edits` takes it; the contract's `edit.py` reads it."""

    n: EditNumber
    channel: str
    key: Key
    do: dict[str, Any]
    """One of set, merge, patch, add, delete and call, with what it takes."""
    base: int | OwnEdit | None = None
    schema: int | None = None
    made_at: datetime | None = None
    metadata: dict[str, Any] | None = None
    seen: dict[str, Any] | None = None
    base_value: dict[str, Any] | None = None


class EditsBody(Struct, frozen=True):
    """The body of `POST /v1/edits`."""

    client: ClientId
    edits: Annotated[list[EditBody], Meta(max_length=MAX_EDITS)]
    atomic: bool = False
    answered: int = 0
    epoch: str | None = None


class Settled(Struct, frozen=True):
    """The answer of `POST /v1/edits`."""

    settled: int
    """The client's last settled number."""
    outcomes: list[EditOutcome]
    """One for each edit, in their order."""


class ClientState(Struct, frozen=True):
    """The answer of `GET /v1/edits`."""

    client: str
    settled: int
    """Its last settled number; 0: this log does not know the client."""
    epoch: str
    """The epoch of the log that knows this number, or the epoch before it."""


class StateApi:
    """The handlers of documents.

    Args:
        edits: settles edits.
        history: reads the histories of orders.
        pool: the database, for reading and for sessions that go on.
        gate: lets callers in.
    """

    def __init__(self, edits: EditService, history: OrderHistory, pool: Pool, gate: Gate) -> None:
        self._edits = edits
        self._history = history
        self._pool = pool
        self._gate = gate
        self._definitions = msgspec.json.encode(
            {"definitions": [one.described() for one in edits.definitions.all]}
        )

    async def settle(self, request: Request) -> bytes:
        """The answer's body of POST /v1/edits.

        Raises:
            CoreError: the request is refused.
        """
        caller = self._gate.caller_of(request)
        body = await read_request_body(request, MAX_EDITS_BODY_BYTES)
        try:
            batch = decode_edits(body)
        except msgspec.ValidationError as error:
            raise InvalidError(str(error)) from error
        except msgspec.DecodeError as error:
            raise BadRequestError(f"the body is not JSON in UTF-8: {error}", "bad-json") from error
        self._gate.charge(caller, len(batch.edits) - 1)
        answer = await self._gate.serve(caller, lambda: self._edits.apply(caller, batch, len(body)))
        return msgspec.json.encode(Settled(answer.settled, list(answer.outcomes)))

    async def edit(self, request: Request) -> Response:
        """POST /v1/edits."""
        return encoded_answer(await self.settle(request))

    async def client(self, request: Request) -> Response:
        """GET /v1/edits: how far a client's edits are settled; renews its session documents.

        Raises:
            BadRequestError: the query names no client.
        """
        caller = self._gate.caller_of(request)
        client = _parameter(request, "client")
        subject = f"{caller.role}:{caller.subject}"
        with self._gate.admit():
            await self._gate.check_stay(caller)
            # The epoch is read first: if a new one begins meanwhile, the client asks again.
            epoch = await self._gate.within_deadline(read_epoch(self._pool))
            known = await self._gate.within_deadline(
                hear_of(self._pool, self._edits.definitions, client, subject)
            )
        settled = 0 if known is None or known.subject != subject else known.settled
        return json_answer(ClientState(client, settled, epoch))

    async def document(self, request: Request) -> Response:
        """GET /v1/documents: a document as it stands, or as it was.

        Raises:
            NotFoundError: there is no such document, or its history does not go back so far.
            BadRequestError: the query names no document, or a malformed version.
            ForbiddenError: the caller may not follow its channel.
        """
        caller = self._gate.caller_of(request)
        channel, key = _place(caller, request)
        version = _number(request, "version", _MAX_VERSION)
        with self._gate.admit():
            work = (
                read_document(self._pool, channel, key)
                if version is None
                else read_version(self._pool, channel, key, version, _sees_a_party(caller, channel))
            )
            body = await self._gate.within_deadline(work)
            await self._gate.check_stay(caller)
        if body is None:
            raise NotFoundError(
                f"there is no document {key} in {channel}"
                + ("" if version is None else f" at version {version}, or it is kept no longer")
            )
        return Response(body, media_type=JSON, headers=NO_STORE if version is None else _KEPT)

    async def events(self, request: Request) -> Response:
        """GET /v1/documents/events: a document's history.

        Raises:
            BadRequestError: the query names no document, or a malformed position.
            ForbiddenError: the caller may not follow its channel.
        """
        caller = self._gate.caller_of(request)
        channel, key = _place(caller, request)
        after = parse_position(request.query_params.get("after", "0"))
        limit = _number(request, "limit", HISTORY_ENTRIES) or HISTORY_ENTRIES
        with self._gate.admit():
            page = await self._gate.within_deadline(
                read_entries(
                    self._pool,
                    channel,
                    key,
                    after,
                    limit,
                    caller.role not in ("table", "device"),
                    _sees_a_party(caller, channel),
                )
            )
            await self._gate.check_stay(caller)
        return json_answer(page)

    async def order_events(self, request: Request) -> Response:
        """GET /v1/orders/{id}/events: an order's history.

        Raises:
            BadRequestError: `after` is no version.
        """
        caller = self._gate.caller_of(request)
        after = _number(request, "after", _MAX_VERSION) or 0
        with self._gate.admit():
            page = await self._gate.within_deadline(
                self._history.of(caller, order_id_of(request), after)
            )
            await self._gate.check_stay(caller)
        return json_answer(page)

    async def definitions(self, request: Request) -> Response:
        """GET /v1/definitions: which documents there may be."""
        self._gate.caller_of(request)
        return encoded_answer(self._definitions)


def _sees_a_party(caller: Caller, channel: str) -> bool:
    """Whether the caller may see only the time of its own party in this channel."""
    return caller.role == "table" and channel.startswith("party:")


def _place(caller: Caller, request: Request) -> tuple[str, str]:
    """The document that the query names.

    Raises:
        BadRequestError: it names none.
        ForbiddenError: the caller may not follow its channel.
    """
    channel = _channel(_parameter(request, "channel", is_name=False))
    check_follow(caller, channel)
    return str(channel), _parameter(request, "key")


def _channel(text: str) -> Channel:
    try:
        channel = parse_channel(text)
    except ChannelError as error:
        raise BadRequestError(str(error), "bad-channel") from error
    if channel.carries != "documents":
        raise BadRequestError(f"{channel} has no documents: it carries orders", "bad-channel")
    return channel


def _parameter(request: Request, name: str, is_name: bool = True) -> str:
    values = request.query_params.getlist(name)
    if len(values) != 1:
        raise BadRequestError(f"give the parameter {name} once")
    if is_name and not is_id(values[0]):
        raise BadRequestError(
            f"{name} is {shown(values[0])}, and must be 1 to 64 of A-Z a-z 0-9 _ . -"
        )
    return values[0]


def _number(request: Request, name: str, limit: int) -> int | None:
    values = request.query_params.getlist(name)
    if not values:
        return None
    number = number_of(values[0], limit) if len(values) == 1 else None
    if number is None:
        raise BadRequestError(f"{name} must be a whole number from 0 to {limit}, given once")
    return number
