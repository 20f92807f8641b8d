"""Orders and callers for the tests of Core's rules."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from msgspec.structs import replace

from client_sdk.contract.order import Guest, Item, Order, OrderStatus
from core_api.access.callers import Caller
from core_api.access.tokens import TokenKeys
from core_api.api.gate import Gate
from core_api.api.handlers.device_handlers import DevicesApi
from core_api.api.handlers.push_handlers import PushApi
from core_api.api.handlers.state_handlers import StateApi
from core_api.api.handlers.webhook_handlers import WebhooksApi
from core_api.devices.commands.lifecycle import CommandLifecycle
from core_api.devices.registrations import Registrations
from core_api.documents.definitions import Definitions
from core_api.documents.demonstration import DEFINITIONS
from core_api.documents.devices import DEVICE_DEFINITIONS
from core_api.edits.plan import Rules
from core_api.edits.service import EditService
from core_api.orders.history import OrderHistory
from core_api.push.guests import GuestPhones
from core_api.push.messages import PushKeys
from core_api.push.registrations import PushSubscriptions
from core_api.store_rules.sold_out_or_closed import is_obeyed
from core_api.sync.stream_grants import StreamGrants
from core_api.system_edits.document_access import DocumentAccess
from core_api.webhooks.addresses import Networks
from core_api.webhooks.registrations import Subscriptions
from core_api.webhooks.signing import WebhookKeys
from server_common.access.tickets import TicketKeys
from server_common.devices.identity import DeviceKeys

NOW: Final = datetime(2026, 11, 21, 3, 0, 38, 624170, tzinfo=UTC)
LATER: Final = datetime(2026, 11, 21, 3, 5, 0, tzinfo=UTC)
ORDER_ID: Final = "01a1fc0c-7a60-77c9-ba73-87c38a9e69f5"
GRANTS: Final = StreamGrants(
    TicketKeys({"t": b"k" * 32}, "t"), lambda _channels: "https://events.example/v1/stream", 30.0
)


def order(status: OrderStatus = "placed", version: int = 1, **more: object) -> Order:
    """An order of table 5 in store 12."""
    made = Order(
        id=ORDER_ID,
        store_id="12",
        table_id="5",
        status=status,
        version=version,
        currency="KRW",
        items=[Item("김밥", 2, 3500)],
        total=7000,
        note="",
        reference=None,
        reason=None,
        created_at=NOW,
        updated_at=NOW,
        guest=Guest("Kim", "010"),
        placed_by="pos-7",
    )
    return replace(made, **more)


def devices_api(gate: Gate, tokens: TokenKeys, pool: Any = None, log: Any = None) -> DevicesApi:
    """The handlers of devices with this database, and their own keys."""
    rules = Rules(Definitions([*DEFINITIONS, *DEVICE_DEFINITIONS]), 4, is_obeyed)
    documents = DocumentAccess(pool, rules, lambda _channels: None)
    keys = DeviceKeys({"k": b"d" * 32}, "k")
    return DevicesApi(
        Registrations(documents, keys),
        CommandLifecycle(documents, lambda: "made"),
        log,
        pool,
        tokens,
        gate,
    )


def webhooks_api(gate: Gate, pool: Any = None) -> WebhooksApi:
    """The handlers of webhooks with this database, and their own keys."""
    keys = WebhookKeys({"k": b"w" * 32}, "k")
    return WebhooksApi(Subscriptions(pool, keys, Networks(), lambda: "made", lambda: None), gate)


def push_api(gate: Gate, pool: Any = None) -> PushApi:
    """The handlers of pushes with this database, and their own key."""
    keys = PushKeys("p" * 43, "mailto:ops@example.com")
    return PushApi(PushSubscriptions(pool, keys, Networks()), GuestPhones(pool, Networks()), gate)


async def everybody_stays(caller: Caller) -> None:
    """No party has left its table."""
    assert caller.role == "table"


def state_api(gate: Gate, pool: Any = None) -> StateApi:
    """The handlers of documents with this database and the demonstration's definitions."""
    edits = EditService(pool, Definitions(DEFINITIONS), 4, lambda _channels: None, is_obeyed)
    return StateApi(edits, OrderHistory(pool), pool, gate)
