"""The client SDK: follow and place orders, share documents, and lose nothing of either."""

from client_sdk.buffered.client import BufferedClient, LiveTransport
from client_sdk.buffered.machine import BufferedStart
from client_sdk.buffered.messages import BufferedSettings, StartResult, StartState
from client_sdk.client.async_client import OrderClient, RetryPolicy
from client_sdk.client.blocking_client import BlockingOrderClient
from client_sdk.client.checkpoint import Checkpoint
from client_sdk.client.cursor_stores import CursorStore, FileCursors, MemoryCursors, SqliteCursors
from client_sdk.client.order_book import BookChange, MergeResult, OrderBook
from client_sdk.client.producer import OrderProducer
from client_sdk.commands.order_commands import CommandOutcome
from client_sdk.commands.order_view import ShownOrder
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
from client_sdk.shared.blocking_yabam_client import BlockingYabamClient
from client_sdk.shared.edit_batch import EditHandle
from client_sdk.shared.order_commands import CommandHandle, OrderCommands
from client_sdk.shared.shared_state import Meta, SharedDocument, SharedState
from client_sdk.shared.yabam_client import YabamClient
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
