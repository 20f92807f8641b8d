"""The client SDK: follow and place orders, share documents, and lose nothing of either.

A name is loaded when it is first asked for. Servers import the contract alone and load no HTTP
client for it, and a program that places orders loads no shared state.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from client_sdk.buffered.client import BufferedClient, LiveTransport
    from client_sdk.buffered.machine import BufferedStart
    from client_sdk.buffered.messages import BufferedSettings, StartResult, StartState
    from client_sdk.checkpoint import Checkpoint
    from client_sdk.client.async_client import OrderClient
    from client_sdk.client.blocking_client import BlockingOrderClient
    from client_sdk.client.cursor_stores import (
        CursorStore,
        FileCursors,
        MemoryCursors,
        SqliteCursors,
    )
    from client_sdk.client.handler_retry import RetryPolicy
    from client_sdk.client.order_book import BookChange, MergeResult, OrderBook
    from client_sdk.client.producer import OrderProducer
    from client_sdk.contract.order import Guest, Item, Order, OrderEvent
    from client_sdk.errors import (
        BufferedStartError,
        ChannelError,
        ClientError,
        ClosedError,
        ContractError,
        CursorStoreError,
        HandlerError,
        RefusedError,
        StateError,
        StateStoreError,
        UnauthorizedError,
        UnreachableError,
        YabamError,
    )
    from client_sdk.machine.messages import State
    from client_sdk.machine.sequencing import Change, Reset
    from client_sdk.machine.status import Status
    from client_sdk.settings import Settings
    from client_sdk.shared_state.blocking_yabam_client import BlockingYabamClient
    from client_sdk.shared_state.edit_batch import EditHandle
    from client_sdk.shared_state.order_commands import CommandHandle, OrderCommands
    from client_sdk.shared_state.shared_state import Meta, SharedDocument, SharedState
    from client_sdk.shared_state.yabam_client import YabamClient
    from client_sdk.state.orders.commands import CommandOutcome
    from client_sdk.state.orders.view import ShownOrder
    from client_sdk.state.store import MemoryState, SqliteState, StateStore

__all__ = [
    "BlockingOrderClient",
    "BlockingYabamClient",
    "BookChange",
    "BufferedClient",
    "BufferedSettings",
    "BufferedStart",
    "BufferedStartError",
    "Change",
    "ChannelError",
    "Checkpoint",
    "ClientError",
    "ClosedError",
    "CommandHandle",
    "CommandOutcome",
    "ContractError",
    "CursorStore",
    "CursorStoreError",
    "EditHandle",
    "FileCursors",
    "Guest",
    "HandlerError",
    "Item",
    "LiveTransport",
    "MemoryCursors",
    "MemoryState",
    "MergeResult",
    "Meta",
    "Order",
    "OrderBook",
    "OrderClient",
    "OrderCommands",
    "OrderEvent",
    "OrderProducer",
    "RefusedError",
    "Reset",
    "RetryPolicy",
    "Settings",
    "SharedDocument",
    "SharedState",
    "ShownOrder",
    "SqliteCursors",
    "SqliteState",
    "StartResult",
    "StartState",
    "State",
    "StateError",
    "StateStore",
    "StateStoreError",
    "Status",
    "UnauthorizedError",
    "UnreachableError",
    "YabamClient",
    "YabamError",
]

_NAMES: Final = {
    "client_sdk.buffered.client": ["BufferedClient", "LiveTransport"],
    "client_sdk.buffered.machine": ["BufferedStart"],
    "client_sdk.buffered.messages": ["BufferedSettings", "StartResult", "StartState"],
    "client_sdk.client.async_client": ["OrderClient"],
    "client_sdk.client.handler_retry": ["RetryPolicy"],
    "client_sdk.client.blocking_client": ["BlockingOrderClient"],
    "client_sdk.checkpoint": ["Checkpoint"],
    "client_sdk.client.cursor_stores": [
        "CursorStore",
        "FileCursors",
        "MemoryCursors",
        "SqliteCursors",
    ],
    "client_sdk.client.order_book": ["BookChange", "MergeResult", "OrderBook"],
    "client_sdk.client.producer": ["OrderProducer"],
    "client_sdk.contract.order": ["Guest", "Item", "Order", "OrderEvent"],
    "client_sdk.errors": [
        "BufferedStartError",
        "ChannelError",
        "ClientError",
        "ClosedError",
        "ContractError",
        "CursorStoreError",
        "HandlerError",
        "RefusedError",
        "StateError",
        "StateStoreError",
        "UnauthorizedError",
        "UnreachableError",
        "YabamError",
    ],
    "client_sdk.machine.messages": ["State"],
    "client_sdk.machine.sequencing": ["Change", "Reset"],
    "client_sdk.machine.status": ["Status"],
    "client_sdk.settings": ["Settings"],
    "client_sdk.shared_state.blocking_yabam_client": ["BlockingYabamClient"],
    "client_sdk.shared_state.edit_batch": ["EditHandle"],
    "client_sdk.shared_state.order_commands": ["CommandHandle", "OrderCommands"],
    "client_sdk.shared_state.shared_state": ["Meta", "SharedDocument", "SharedState"],
    "client_sdk.shared_state.yabam_client": ["YabamClient"],
    "client_sdk.state.orders.commands": ["CommandOutcome"],
    "client_sdk.state.orders.view": ["ShownOrder"],
    "client_sdk.state.store": ["MemoryState", "SqliteState", "StateStore"],
}
_MODULES: Final = {name: module for module, names in _NAMES.items() for name in names}

if not TYPE_CHECKING:  # else a name that does not exist would pass as one that does

    def __getattr__(name: str) -> Any:
        """A public name, from its module.

        Raises:
            AttributeError: there is no such name.
        """
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_MODULES[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
