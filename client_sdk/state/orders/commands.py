"""Order commands in the queue: what a program asks for, and how it is stored. Pure.

Edits and commands of one client share one queue: each has a place, and is sent only after all
before it are answered. A command has no number as edits have. Core does it once because of its
`Idempotency-Key`, which is created with the command and never changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, Struct

from client_sdk.contract.errors import StateError
from client_sdk.contract.json_decoding import reader
from client_sdk.contract.order import STATUSES, Guest, Item, Order
from client_sdk.contract.problem import Problem
from client_sdk.contract.text import shown

CommandKind = Literal["place", "transition", "change"]

MAX_COMMAND_BYTES: Final = 64 * 1024
"""The largest body of a command that Core accepts, in bytes of UTF-8 JSON."""
MAX_COMMANDS: Final = 1000
"""How many commands may wait in the queue."""
MAX_COMMAND_AGE_S: Final = 86_400
"""In seconds. A command that could not be sent for longer is refused as out of date."""
MAX_SENT_AGE_S: Final = 6 * 86_400
"""How long a command that was sent may be sent again, in seconds. Core keeps its key for a week;
after that Core could do it a second time."""
UNKNOWN_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of a new order if Core's clock was not known."""


@dataclass(frozen=True, slots=True)
class CommandWish:
    """What a program asks for."""

    kind: CommandKind
    body: dict[str, Any]
    """The body of the request to Core."""
    order: str | None = None
    """The order, by the id that it is shown under; None: a new one."""
    version: int | None = None
    """Core's version that the program saw."""
    updated_at: datetime | None = None
    """When Core made that version."""
    status: str | None = None
    """The status that was seen."""
    after: int | None = None
    """The place of the newest own command in the order that the program saw; None: none there."""


class QueuedCommand(Struct, frozen=True, kw_only=True):
    """A command that Core has not answered, as it is stored."""

    id: int
    """Its place in the queue, among the edits."""
    key: str
    """Its Idempotency-Key. An order that is not placed yet is shown under that of its command."""
    kind: CommandKind
    body: dict[str, Any]
    order: str | None = None
    """The order's id, or the key of the command that places it while that is unanswered."""
    version: int | None = None
    """The only version at which Core does the command; None: the result of the command `after`."""
    updated_at: datetime | None = None
    """When Core made that version. After a restore the same number may have other content."""
    status: str | None = None
    """The status that the program saw."""
    after: int | None = None
    """The place of the own command that it depends on, while that is unanswered."""
    made_at: datetime | None = None
    """By Core's clock; None: not known."""
    sent_at: datetime | None = None
    """When it was first sent; None: never."""

    @property
    def shown_as(self) -> str:
        """The id that its order is shown under."""
        return self.order or self.key


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """One command as it is sent: the same each time."""

    id: int
    method: Literal["POST", "PATCH"]
    path: str
    key: str
    version: int | None
    """For `If-Match`."""
    updated_at: datetime | None
    """For `Yabam-If-Updated-At`."""
    body: bytes


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """What became of a command."""

    outcome: Literal["applied", "refused"]
    order: Order | None = None
    """The order after the command; after a refusal, the current order, if Core's answer has it."""
    problem: Problem | None = None
    """Why it was refused."""


_decoder: Final = reader(QueuedCommand)
_PATHS: Final[dict[CommandKind, tuple[Literal["POST", "PATCH"], str]]] = {
    "place": ("POST", "/v1/orders"),
    "transition": ("POST", "/v1/orders/{}/transitions"),
    "change": ("PATCH", "/v1/orders/{}"),
}


def encode_command(command: QueuedCommand) -> bytes:
    """The command as JSON for the store."""
    return msgspec.json.encode(command)


def decode_command(data: bytes) -> QueuedCommand:
    """The command that was kept.

    Raises:
        msgspec.DecodeError, StateError: it is damaged.
    """
    command = _decoder(data)
    check_body(command.kind, command.body)
    return command


def check_body(kind: CommandKind, body: dict[str, Any]) -> None:
    """Check the body as far as needed to show the order; Core checks the rest.

    Raises:
        StateError: Core would refuse the body.
    """
    size = len(msgspec.json.encode(body))
    if size > MAX_COMMAND_BYTES:
        raise StateError(f"a command may have at most {MAX_COMMAND_BYTES} bytes, this has {size}")
    if kind == "transition" and body.get("to") not in STATUSES[1:]:
        raise StateError(f"{shown(str(body.get('to')))} is not a status of a transition")
    try:
        items = items_of(body)
        guest_of(body)
    except msgspec.ValidationError as error:
        raise StateError(f"this is not a valid order: {error}") from error
    if kind == "place" and not items:
        raise StateError("an order needs at least one item")
    if kind == "change" and items is None and "note" not in body:
        raise StateError("a change needs items, a note, or both")


def items_of(body: dict[str, Any]) -> list[Item] | None:
    """The items in the body; None: it names none. It raises msgspec.ValidationError."""
    return msgspec.convert(body["items"], list[Item]) if "items" in body else None


def guest_of(body: dict[str, Any]) -> Guest | None:
    """The guest in the body; None: it names none. It raises msgspec.ValidationError."""
    return msgspec.convert(body.get("guest"), Guest | None)


def new_order(command: QueuedCommand) -> Order:
    """The order that a command will place, shown at version 0 until Core has it."""
    body, items = command.body, items_of(command.body) or []
    made_at = command.made_at or UNKNOWN_TIME
    guest = guest_of(body)
    return Order(
        id=command.key,
        store_id=body["store_id"],
        table_id=body.get("table_id"),
        status="placed",
        version=0,
        currency=body["currency"],
        items=items,
        total=total_of(items),
        note=body.get("note", ""),
        reference=body.get("reference"),
        reason=None,
        created_at=made_at,
        updated_at=made_at,
        open=True,
        guest=UNSET if guest is None else guest,
    )


def total_of(items: list[Item]) -> int:
    """The sum of the items' prices."""
    return sum(item.quantity * item.unit_price for item in items)


def request_of(command: QueuedCommand) -> CommandRequest:
    """The command as it is sent; the command that it depends on is answered by then."""
    method, path = _PATHS[command.kind]
    body = msgspec.json.encode(command.body)
    path = path.format(command.order)
    seen = command.version, command.updated_at
    return CommandRequest(command.id, method, path, command.key, *seen, body)
