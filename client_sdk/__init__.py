"""The client SDK: follow a store's or a table's orders, and place them, without losing one."""

from client_sdk.blocking import BlockingOrderClient
from client_sdk.buffered import BufferedStart
from client_sdk.buffered_client import BufferedClient, LiveTransport
from client_sdk.buffered_signals import BufferedSettings, StartResult, StartState
from client_sdk.client import OrderClient, RetryPolicy
from client_sdk.contract.order import Guest, Item, Order, OrderEvent
from client_sdk.cursors import (
    Checkpoint,
    CursorStore,
    FileCursors,
    MemoryCursors,
    SqliteCursors,
)
from client_sdk.errors import (
    BufferedStartError,
    ChannelError,
    ClientError,
    ClosedError,
    ContractError,
    CursorStoreError,
    HandlerError,
    RefusedError,
    UnauthorizedError,
    UnreachableError,
    YabamError,
)
from client_sdk.merge import Change, Reset
from client_sdk.orders import BookChange, MergeResult, OrderBook
from client_sdk.producer import OrderProducer
from client_sdk.settings import Settings
from client_sdk.signals import State
from client_sdk.status import Status

__all__ = [
    "BlockingOrderClient",
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
    "ContractError",
    "CursorStore",
    "CursorStoreError",
    "FileCursors",
    "Guest",
    "HandlerError",
    "Item",
    "LiveTransport",
    "MemoryCursors",
    "MergeResult",
    "Order",
    "OrderBook",
    "OrderClient",
    "OrderEvent",
    "OrderProducer",
    "RefusedError",
    "Reset",
    "RetryPolicy",
    "Settings",
    "SqliteCursors",
    "StartResult",
    "StartState",
    "State",
    "Status",
    "UnauthorizedError",
    "UnreachableError",
    "YabamError",
]
