"""The client SDK: follow and place orders and share documents, without losing any change.

A name is loaded on its first use. So servers, which import only the contract, load no HTTP client,
and a program that only places orders does not load the shared state.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from client_sdk.buffered.client import BufferedClient as BufferedClient
    from client_sdk.buffered.client import LiveTransport as LiveTransport
    from client_sdk.buffered.machine import BufferedStart as BufferedStart
    from client_sdk.buffered.messages import BufferedSettings as BufferedSettings
    from client_sdk.buffered.messages import StartResult as StartResult
    from client_sdk.buffered.messages import StartState as StartState
    from client_sdk.checkpoint import Checkpoint as Checkpoint
    from client_sdk.client.async_client import OrderClient as OrderClient
    from client_sdk.client.blocking_client import BlockingOrderClient as BlockingOrderClient
    from client_sdk.client.cursor_stores import CursorStore as CursorStore
    from client_sdk.client.cursor_stores import FileCursors as FileCursors
    from client_sdk.client.cursor_stores import MemoryCursors as MemoryCursors
    from client_sdk.client.cursor_stores import SqliteCursors as SqliteCursors
    from client_sdk.client.handler_retry import RetryPolicy as RetryPolicy
    from client_sdk.client.order_book import BookChange as BookChange
    from client_sdk.client.order_book import MergeResult as MergeResult
    from client_sdk.client.order_book import OrderBook as OrderBook
    from client_sdk.client.producer import OrderProducer as OrderProducer
    from client_sdk.contract.order import Guest as Guest
    from client_sdk.contract.order import Item as Item
    from client_sdk.contract.order import Order as Order
    from client_sdk.contract.order import OrderEvent as OrderEvent
    from client_sdk.errors import BufferedStartError as BufferedStartError
    from client_sdk.errors import ChannelError as ChannelError
    from client_sdk.errors import ClientError as ClientError
    from client_sdk.errors import ClosedError as ClosedError
    from client_sdk.errors import ContractError as ContractError
    from client_sdk.errors import CursorStoreError as CursorStoreError
    from client_sdk.errors import HandlerError as HandlerError
    from client_sdk.errors import RefusedError as RefusedError
    from client_sdk.errors import StateError as StateError
    from client_sdk.errors import StateStoreError as StateStoreError
    from client_sdk.errors import UnauthorizedError as UnauthorizedError
    from client_sdk.errors import UnreachableError as UnreachableError
    from client_sdk.errors import YabamError as YabamError
    from client_sdk.machine.messages import State as State
    from client_sdk.machine.sequencing import Change as Change
    from client_sdk.machine.sequencing import Reset as Reset
    from client_sdk.machine.status import Status as Status
    from client_sdk.settings import Settings as Settings
    from client_sdk.shared_state.blocking_yabam_client import (
        BlockingYabamClient as BlockingYabamClient,
    )
    from client_sdk.shared_state.edit_batch import EditHandle as EditHandle
    from client_sdk.shared_state.order_commands import CommandHandle as CommandHandle
    from client_sdk.shared_state.order_commands import OrderCommands as OrderCommands
    from client_sdk.shared_state.shared_state import Meta as Meta
    from client_sdk.shared_state.shared_state import SharedDocument as SharedDocument
    from client_sdk.shared_state.shared_state import SharedState as SharedState
    from client_sdk.shared_state.yabam_client import YabamClient as YabamClient
    from client_sdk.state.orders.commands import CommandOutcome as CommandOutcome
    from client_sdk.state.orders.view import ShownOrder as ShownOrder
    from client_sdk.state.store import MemoryState as MemoryState
    from client_sdk.state.store import SqliteState as SqliteState
    from client_sdk.state.store import StateStore as StateStore

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

if not TYPE_CHECKING:  # otherwise type checkers would accept names that do not exist
    __all__ = sorted(_MODULES)

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
    return sorted({*globals(), *_MODULES})
