"""What each role may do with orders. Pure.

| role | may |
| --- | --- |
| owner | all with orders of its stores: place, step, take back, change, read; see the stores'
  devices |
| table | place at its own table; read its own orders as the table sees them; cancel or change one
  of them while it is `placed` |
| producer | place, cancel, change and read orders of its stores |
| device, brand | nothing |
| ops | read any order and see any store's devices; write nothing |

`core_api/access/reach.py` has who may follow a channel.
"""

from __future__ import annotations

from client_sdk.contract.channel import Channel
from client_sdk.contract.order import Order
from core_api.access.callers import Caller
from core_api.errors import ForbiddenError, NotFoundError
from core_api.orders.lifecycle import Target


def check_devices(caller: Caller, store_id: str) -> None:
    """Whether the caller may see the store's devices.

    Raises:
        ForbiddenError: it may not.
    """
    if caller.role == "ops" or (caller.role == "owner" and caller.has_store(store_id)):
        return
    raise ForbiddenError("this token does not permit seeing the devices of that store")


def check_place(caller: Caller, store_id: str, table_id: str | None) -> None:
    """Whether the caller may place an order there.

    Args:
        caller: who asks.
        store_id: the order's store.
        table_id: the order's table; None: it is placed at the counter.

    Raises:
        ForbiddenError: it may not.
    """
    if caller.role in ("owner", "producer") and caller.has_store(store_id):
        return
    if caller.role == "table" and caller.table == Channel("table", store_id, table_id):
        return
    where = f"store {store_id}" + (f", table {table_id}" if table_id else "")
    raise ForbiddenError(f"this token does not permit placing an order at {where}")


def check_read(caller: Caller, order: Order) -> None:
    """Whether the caller may see the order.

    Raises:
        NotFoundError: it may not, and may not know that the order exists either.
    """
    own_store = caller.role in ("owner", "producer") and caller.has_store(order.store_id)
    if not (caller.role == "ops" or own_store or _is_own_table(caller, order)):
        raise NotFoundError(f"there is no order {order.id} that this token may see")


def check_transition(caller: Caller, order: Order, to: Target) -> None:
    """Whether the caller may take the order to that status.

    Args:
        caller: who asks.
        order: as it stands.
        to: the status after the step.

    Raises:
        ForbiddenError: it may see the order but not do this.
        NotFoundError: it may not see the order.
    """
    check_read(caller, order)
    if caller.role == "owner" or (caller.role == "producer" and to == "cancelled"):
        return
    if caller.role == "table" and to == "cancelled" and order.status == "placed":
        return
    raise ForbiddenError(
        f"a token of role {caller.role} does not permit taking a {order.status} order to {to}"
    )


def check_recall(caller: Caller, order: Order) -> None:
    """Whether the caller may take the order a step back.

    Raises:
        ForbiddenError: it may see the order but not do this.
        NotFoundError: it may not see the order.
    """
    check_read(caller, order)
    if caller.role != "owner":
        raise ForbiddenError(f"a token of role {caller.role} does not permit taking an order back")


def check_change(caller: Caller, order: Order) -> None:
    """Whether the caller may change the order's items and note.

    Raises:
        ForbiddenError: it may see the order but not do this.
        NotFoundError: it may not see the order.
    """
    check_read(caller, order)
    if caller.role in ("owner", "producer"):
        return
    if caller.role == "table" and order.status == "placed":
        return
    raise ForbiddenError(
        f"a token of role {caller.role} does not permit changing a {order.status} order"
    )


def _is_own_table(caller: Caller, order: Order) -> bool:
    return caller.table is not None and caller.table == Channel(
        "table", order.store_id, order.table_id
    )
