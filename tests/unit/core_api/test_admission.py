"""What is taken in comes out: an order's size, one line of text, answers in fair shares."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract.channel import MAX_SEQ
from client_sdk.contract.limits import (
    LONGEST_CHANNEL,
    MAX_EVENT_LINE_BYTES,
    MAX_ORDER_BYTES,
    REASON_BYTES,
)
from client_sdk.contract.order import Item, OrderStatus
from core_api.errors import BadRequestError
from core_api.event_log.lines import event_json, one_line
from core_api.orders.admission import OpenLimits, Scope, check_size, too_many_open
from core_api.orders.channel_entries import Views, log_write_of
from core_api.orders.lifecycle import OrderChange, Transition, transition
from core_api.sync.events_or_reset import fitting_pages, fitting_snapshots, is_short, joined
from core_api.sync.queries import OpenOrders, Page, PageQuery
from tests.unit.core_api.samples import LATER, order

ENDS = "\u2028\u2029\u0085"


@given(st.text(alphabet=st.sampled_from([*ENDS, "\\", '"', "a", "김", "é", "\x84", "\x01"])))
def test_one_line_is_the_same_text_without_what_some_take_for_a_line_end(text: str) -> None:
    written = one_line(msgspec.json.encode(text)).decode()
    assert msgspec.json.decode(written) == text
    assert not set(written) & set(ENDS)
    assert len(written.splitlines()) == 1


def of_size(size: int, status: OrderStatus = "placed") -> OrderChange:
    """An order that was placed, whose owner's view has so many bytes."""
    bare = log_write_of(
        OrderChange("order.placed", None, order(status, items=[], note="")), None
    ).owner_bytes
    item = len(msgspec.json.encode(Item("n", 1, 1, "")))
    count = 1 + (size - bare) // (item + 501)
    rest = size - bare - count * (item + 1) + 1
    each, more = divmod(rest, count)
    notes = ["x" * (each + (n < more)) for n in range(count)]
    return OrderChange(
        "order.placed", None, order(status, items=[Item("n", 1, 1, n) for n in notes])
    )


def test_an_order_may_have_its_most_bytes_and_not_one_more() -> None:
    fits = log_write_of(of_size(MAX_ORDER_BYTES), None)
    assert fits.owner_bytes == len(fits.owner_view.encode()) == MAX_ORDER_BYTES
    check_size(fits)
    with pytest.raises(BadRequestError, match=f"has {MAX_ORDER_BYTES + 1} bytes") as refused:
        check_size(log_write_of(of_size(MAX_ORDER_BYTES + 1), None))
    assert refused.value.slug == "too-large"
    check_size(
        log_write_of(OrderChange("order.accepted", None, of_size(MAX_ORDER_BYTES + 1).after), None)
    )


def test_the_largest_order_with_the_longest_reason_fits_a_line_of_a_stream() -> None:
    placed = of_size(MAX_ORDER_BYTES)
    written = log_write_of(placed, None)
    cancelled = transition(placed.after, Transition("cancelled", "\x01" * 500), now=LATER)
    stepped = log_write_of(cancelled, Views(written.owner_view, written.table_view))
    assert stepped.owner_bytes - MAX_ORDER_BYTES <= REASON_BYTES
    line = event_json(LONGEST_CHANNEL, MAX_SEQ, stepped.entries[0].body)
    assert len(f"data: {line}".encode()) <= MAX_EVENT_LINE_BYTES


@pytest.mark.parametrize(
    ("scope", "text"),
    [
        ("table", "table 5 of store 12 has no room for it: at most 1 orders, and 2 bytes"),
        ("subject", "subject placed in store 12 has no room for it: at most 3 orders, and 4 bytes"),
        ("store", "store 12 has no room for it: at most 5 orders, and 6 bytes"),
    ],
)
def test_a_refusal_for_lack_of_room_names_the_limit(scope: Scope, text: str) -> None:
    write = log_write_of(of_size(1000), None)
    assert text in str(too_many_open(write, scope, OpenLimits(1, 2, 3, 4, 5, 6)))


sizes = st.lists(st.integers(0, 50), min_size=1, max_size=20)


@given(sizes, st.integers(1, 200))
def test_pages_share_an_answer_and_one_of_them_always_gets_on(found: list[int], room: int) -> None:
    pages = [Page(9, 0, 0, ((1, "x" * size),) if size else ()) for size in found]
    kept = fitting_pages(pages, room)
    given_sizes = [page.size for page in kept if page.events]
    assert sum(given_sizes) <= max(room, min([s for s in found if s], default=0))
    assert bool(given_sizes) == any(found)
    opened = [
        OpenOrders(9, 0, ("x" * size,), ids=(UUID(int=n + 1),)) for n, size in enumerate(found)
    ]
    left = fitting_snapshots(opened, room)
    assert all(orders.cut != bool(orders.ids) for orders in left)
    assert any(orders.ids for orders in left)


@pytest.mark.parametrize(
    ("after", "limit", "given_to", "short"),
    [(0, 5, 5, False), (0, 5, 3, True), (5, 500, 9, False), (5, 500, 5, True), (9, 5, 9, False)],
)
def test_a_page_is_short_if_neither_limit_nor_head_ended_it(
    after: int, limit: int, given_to: int, short: bool
) -> None:
    events = tuple((seq, "b") for seq in range(after + 1, given_to + 1))
    assert is_short(PageQuery("store:1", after, limit), Page(9, 0, 0, events)) is short


def test_a_snapshot_put_together_is_true_at_its_first_head_and_leaves_out_what_changed() -> None:
    first = OpenOrders(5, 1, ("a",), ids=(UUID(int=1),), cut=True)
    second = OpenOrders(
        7, 2, ("b", "c"), ids=(UUID(int=2), UUID(int=3)), changed=frozenset({UUID(int=2)}), cut=True
    )
    third = OpenOrders(8, 3, (), ids=(), cut=False)
    whole = joined(joined(first, second), third)
    assert (whole.true_at, whole.head, whole.digest) == (5, 8, 3)
    assert (list(whole.orders), whole.cut) == (["a", "c"], False)
