"""The client SDK: follow a store's or a table's orders, and place them, without losing one."""

from client_sdk.buffered.client import BufferedClient, LiveTransport
from client_sdk.buffered.machine import BufferedStart
from client_sdk.buffered.messages import BufferedSettings, StartResult, StartState
from client_sdk.client.async_client import OrderClient, RetryPolicy
from client_sdk.client.blocking_client import BlockingOrderClient
from client_sdk.client.checkpoint import Checkpoint
from client_sdk.client.cursor_stores import CursorStore, FileCursors, MemoryCursors, SqliteCursors
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
    UnauthorizedError,
    UnreachableError,
    YabamError,
)
from client_sdk.machine.messages import State
from client_sdk.machine.sequencing import Change, Reset
from client_sdk.machine.status import Status
from client_sdk.settings import Settings

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
