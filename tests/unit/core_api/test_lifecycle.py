"""The life of an order: each step from each status, and what a command may say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from client_sdk.contract.order import CLOSED_STATUSES, STATUSES, Guest, OrderStatus
from core_api.errors import ImpossibleTransitionError, InvalidError
from core_api.orders.lifecycle import (
    CHANGEABLE,
    MAX_ITEMS,
    NEXT,
    ChangeOrder,
    NewGuest,
    NewItem,
    PlaceOrder,
    Recall,
    RecallTarget,
    Target,
    Transition,
    change,
    decode_stored_order,
    place,
    recall,
    table_view,
    transition,
)
from core_api.printing.routing import PRINTED_STATUSES
from tests.unit.core_api.samples import LATER, NOW, ORDER_ID, order

TARGETS: tuple[Target, ...] = get_args(Target)

# The specification: a row per status, a column per command; the mark says that it is permitted.
SPECIFICATION = """
             accepted rejected preparing ready served paid cancelled change
placed       x        x        .         .     .      .    x         x
accepted     .        .        x         x     .      .    x         x
preparing    .        .        .         x     .      .    x         x
ready        .        .        .         .     x      .    x         .
served       .        .        .         .     .      x    .         .
paid         .        .        .         .     .      .    .         .
rejected     .        .        .         .     .      .    .         .
cancelled    .        .        .         .     .      .    .         .
"""
_HEAD, *_ROWS = [line.split() for line in SPECIFICATION.strip().splitlines()]
CASES = [
    (status, command, mark == "x")
    for status, *marks in _ROWS
    for command, mark in zip(_HEAD, marks, strict=True)
]


def test_the_specification_names_every_status_and_every_command() -> None:
    assert {status for status, _, _ in CASES} == set(STATUSES) == set(NEXT)
    assert set(_HEAD) == {*TARGETS, "change"}


@pytest.mark.parametrize(("status", "command", "permitted"), CASES)
def test_a_step_is_taken_exactly_where_it_follows(
    status: OrderStatus, command: Any, permitted: bool
) -> None:
    before = order(status, 3)

    def act() -> Any:
        if command == "change":
            return change(before, ChangeOrder(note="x"), now=LATER)
        return transition(before, Transition(command), now=LATER)

    if not permitted:
        with pytest.raises(ImpossibleTransitionError) as refused:
            act()
        assert refused.value.order == before
        assert status in str(refused.value)
        return
    made = act()
    assert made.before == before
    assert made.after.version == 4
    assert (made.after.created_at, made.after.updated_at) == (NOW, LATER)
    assert made.after.status == (status if command == "change" else command)
    assert made.type == ("order.changed" if command == "change" else f"order.{command}")


# The specification of the way back: to which statuses an order may be taken back from each.
BACK_FROM: dict[OrderStatus, set[str]] = {
    "placed": set(),
    "accepted": {"placed"},
    "preparing": {"accepted"},
    "ready": {"accepted", "preparing"},
    "served": {"ready"},
    "paid": {"served"},
    "rejected": {"placed"},
    "cancelled": {"placed", "accepted", "preparing", "ready"},
}


@pytest.mark.parametrize("to", get_args(RecallTarget))
@pytest.mark.parametrize("status", STATUSES)
def test_an_order_is_taken_back_one_step_only(status: OrderStatus, to: RecallTarget) -> None:
    before = replace(order(status, 3), reason="why", open=status not in CLOSED_STATUSES)
    if to not in BACK_FROM[status]:
        with pytest.raises(ImpossibleTransitionError) as refused:
            recall(before, Recall(to), now=LATER)
        assert refused.value.order == before
        return
    made = recall(before, Recall(to), now=LATER)
    assert (made.type, made.before) == ("order.recalled", before)
    assert made.after == replace(
        before, status=to, version=4, reason=None, open=True, updated_at=LATER
    )


def test_what_is_closed_is_what_nothing_follows() -> None:
    assert {status for status, after in NEXT.items() if not after} == CLOSED_STATUSES
    assert not CHANGEABLE & CLOSED_STATUSES


def test_every_status_can_be_reached_and_every_open_one_can_be_closed() -> None:
    reached, ahead = set[OrderStatus](), ["placed"]
    while ahead:
        status: Any = ahead.pop()
        reached.add(status)
        ahead += [after for after in NEXT[status] if after not in reached]
    assert reached == set(STATUSES)
    for status in set(STATUSES) - CLOSED_STATUSES:
        assert _can_close(status)


def _can_close(status: OrderStatus) -> bool:
    return status in CLOSED_STATUSES or any(_can_close(after) for after in NEXT[status])


def test_the_protocol_page_shows_the_same_table() -> None:
    page = Path(__file__).parents[3] / "docs" / "protocol.md"
    table = page.read_text(encoding="utf-8").partition("| status | what may follow |")[2]
    listed: dict[str, tuple[str, ...]] = {}
    for left, right in re.findall(r"^\| (`.*?) \| (.*?) \|$", table, re.MULTILINE)[:6]:
        for status in re.findall(r"`(\w+)`", left):
            listed[status] = tuple(re.findall(r"`(\w+)`", right))
    assert listed == NEXT


def test_the_protocol_page_shows_the_way_back() -> None:
    page = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text(encoding="utf-8")
    table = page.partition("| status | it may be taken back to |")[2].partition("\n\n")[0]
    listed: dict[str, set[str]] = {"placed": set()}
    for left, right in re.findall(r"^\| (`.*?) \| (.*?) \|$", table, re.MULTILINE):
        for status in re.findall(r"`(\w+)`", left):
            listed[status] = set(re.findall(r"`(\w+)`", right))
    assert listed == BACK_FROM


def test_a_placed_order_is_at_version_one_and_costs_the_sum_of_its_lines() -> None:
    command = PlaceOrder(
        "12",
        "KRW",
        [NewItem("김밥", 2, 3500), NewItem("라면", 3, 1, "맵게")],
        table_id="5",
        note="창가",
        reference="A-1",
        guest=NewGuest("Kim", "010"),
    )
    made = place(command, order_id=ORDER_ID, placed_by="pos-7", now=NOW)
    after = made.after
    assert (made.type, made.before) == ("order.placed", None)
    assert (after.id, after.status, after.version, after.total) == (ORDER_ID, "placed", 1, 7003)
    assert (after.note, after.reference, after.reason) == ("창가", "A-1", None)
    assert (after.guest, after.placed_by) == (Guest("Kim", "010"), "pos-7")
    assert after.items[1].note == "맵게"


def test_an_order_without_a_guest_says_so_to_the_owner() -> None:
    made = place(
        PlaceOrder("12", "KRW", [NewItem("a", 1, 1)]), order_id=ORDER_ID, placed_by="x", now=NOW
    )
    assert made.after.guest is None
    assert made.after.table_id is None


@pytest.mark.parametrize("to", TARGETS)
def test_a_reason_is_taken_by_a_rejection_and_a_cancellation_only(to: Target) -> None:
    before = order(next(status for status, after in NEXT.items() if to in after))
    if to in ("rejected", "cancelled"):
        assert transition(before, Transition(to, "closed"), now=LATER).after.reason == "closed"
        assert transition(before, Transition(to), now=LATER).after.reason is None
    else:
        with pytest.raises(InvalidError, match="reason"):
            transition(before, Transition(to, "closed"), now=LATER)


def test_a_change_of_the_items_makes_a_new_total_and_leaves_the_note() -> None:
    made = change(order(note="창가"), ChangeOrder(items=[NewItem("a", 3, 5)]), now=LATER)
    assert (made.after.total, made.after.note, made.after.status) == (15, "창가", "placed")


def test_a_change_of_the_note_leaves_the_items() -> None:
    before = order()
    made = change(before, ChangeOrder(note=""), now=LATER)
    assert (made.after.items, made.after.total, made.after.note) == (before.items, 7000, "")


def test_a_change_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidError, match="items, note or both"):
        change(order(), ChangeOrder(), now=LATER)


def test_a_command_leaves_the_order_before_it_as_it_was() -> None:
    before = order()
    transition(before, Transition("accepted"), now=LATER)
    change(before, ChangeOrder(items=[NewItem("a", 3, 5)]), now=LATER)
    assert before == order()


def test_a_tables_view_has_no_key_of_the_owners() -> None:
    shown = msgspec.json.decode(msgspec.json.encode(table_view(order())))
    whole = msgspec.json.decode(msgspec.json.encode(order()))
    assert set(whole) - set(shown) == {"guest", "placed_by"}
    assert {key: whole[key] for key in shown} == shown
    assert table_view(order()).guest is UNSET


def test_an_order_is_read_back_as_it_was_stored() -> None:
    assert decode_stored_order(msgspec.json.encode(order()).decode()) == order()


GOOD: dict[str, Any] = {
    "store_id": "12",
    "currency": "KRW",
    "items": [{"name": "a", "quantity": 1, "unit_price": 1}],
}
LINE: dict[str, Any] = GOOD["items"][0]


def bad_fields(longest: int, *, empty: bool) -> list[Any]:
    return [None, 1, [], "x" * (longest + 1), "a\0b", "\0", "a\n\0", "\0\n"] + (
        [""] if empty else []
    )


_BAD_ITEMS: list[Any] = [[], None, {}, "a", [LINE] * (MAX_ITEMS + 1)]
BAD: dict[str, list[dict[str, Any]]] = {
    "store_id": [
        GOOD | {"store_id": bad}
        for bad in ("", "12\n", "\n12", "1/2", "1@2", "1,2", "a" * 65, "é", "１", "1\0", 12, None)
    ],
    "table_id": [
        GOOD | {"table_id": bad}
        for bad in ("", "5\n", "\n5", "5/6", "5@1", "5,6", "a" * 65, "é", "٣", "5\0", 5)
    ],
    "currency": [
        GOOD | {"currency": bad}
        for bad in ("", "krw", "KR", "KRWX", "KRW\n", "\nKRW", "ＫＲＷ", "K1W", 410, None)
    ],
    "items": [GOOD | {"items": bad} for bad in _BAD_ITEMS],
    "quantity": [
        GOOD | {"items": [LINE | {"quantity": bad}]} for bad in (0, -1, 1000, 1.5, "1", None, True)
    ],
    "unit_price": [
        GOOD | {"items": [LINE | {"unit_price": bad}]}
        for bad in (-1, 10**12 + 1, 1.5, "1", None, True, 10**30)
    ],
    "name": [GOOD | {"items": [LINE | {"name": b}]} for b in bad_fields(200, empty=True)],
    "items[0].note": [GOOD | {"items": [LINE | {"note": b}]} for b in bad_fields(500, empty=False)],
    "$.note": [GOOD | {"note": bad} for bad in bad_fields(500, empty=False)],
    "reference": [GOOD | {"reference": b} for b in bad_fields(100, empty=True) if b is not None],
    "guest.name": [GOOD | {"guest": {"name": b}} for b in bad_fields(200, empty=False)],
    "phone": [GOOD | {"guest": {"phone": b}} for b in bad_fields(40, empty=False)],
    "colour": [GOOD | {"colour": "red"}, GOOD | {"items": [LINE | {"colour": 1}]},
               GOOD | {"guest": {"colour": 1}}],
}  # fmt: skip


@pytest.mark.parametrize("field", BAD)
def test_a_command_that_breaks_a_rule_is_refused_and_the_refusal_names_the_field(
    field: str,
) -> None:
    for body in BAD[field]:
        with pytest.raises(msgspec.ValidationError) as refused:
            msgspec.json.decode(msgspec.json.encode(body), type=PlaceOrder)
        assert field in str(refused.value), body


@pytest.mark.parametrize("lacking", GOOD)
def test_a_command_that_lacks_a_field_is_refused(lacking: str) -> None:
    body = {key: value for key, value in GOOD.items() if key != lacking}
    with pytest.raises(msgspec.ValidationError, match=lacking):
        msgspec.json.decode(msgspec.json.encode(body), type=PlaceOrder)


def test_the_largest_permitted_command_is_taken() -> None:
    line = {"name": "x" * 200, "quantity": 45, "unit_price": 10**12, "note": "x" * 500}
    body = GOOD | {
        "store_id": "a" * 64,
        "table_id": "Az09_.-",
        "items": [line] * MAX_ITEMS,
        "note": "x" * 500,
        "reference": "x" * 100,
        "guest": {"name": "x" * 200, "phone": "x" * 40},
    }
    command = msgspec.json.decode(msgspec.json.encode(body), type=PlaceOrder)
    made = place(command, order_id=ORDER_ID, placed_by="x", now=NOW)
    assert made.after.total == MAX_ITEMS * 45 * 10**12 < 2**53


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=500))
def test_any_text_without_nul_is_a_note_and_stays_as_it_is(note: str) -> None:
    body = msgspec.json.encode(GOOD | {"note": note})
    command = msgspec.json.decode(body, type=PlaceOrder)
    made = place(command, order_id=ORDER_ID, placed_by="x", now=NOW)
    stored = msgspec.json.encode(made.after).decode()
    assert decode_stored_order(stored).note == note
    assert "\n" not in stored
    assert "\r" not in stored


@pytest.mark.parametrize(
    "body",
    [{}, {"to": "placed"}, {"to": "eaten"}, {"to": None}, {"to": "accepted", "more": 1},
     {"to": "cancelled", "reason": ""}, {"to": "cancelled", "reason": "x" * 501},
     {"to": "cancelled", "reason": "a\0"}, {"to": "Accepted"}, {"to": "accepted\n"}],
    ids=str,
)  # fmt: skip
def test_a_malformed_step_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(body), type=Transition)


@pytest.mark.parametrize(
    "body", [{}, {"to": "paid"}, {"to": "cancelled"}, {"to": "placed", "reason": "x"}], ids=str
)
def test_a_malformed_step_back_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(body), type=Recall)


@pytest.mark.parametrize(
    "body", [{"items": []}, {"items": None}, {"note": None}, {"status": "paid"}], ids=str
)
def test_a_malformed_change_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(body), type=ChangeOrder)


def test_a_total_beyond_what_every_reader_holds_exactly_is_refused() -> None:
    most = NewItem("a", 1, 2**53 - 1 - 999 * 10**12)
    rest = NewItem("b", 999, 10**12)
    command = PlaceOrder("12", "KRW", [most, rest])
    made = place(command, order_id="a", placed_by="x", now=NOW)
    assert made.after.total == 2**53 - 1
    over = PlaceOrder("12", "KRW", [most, rest, NewItem("c", 1, 1)])
    with pytest.raises(InvalidError, match=f"{2**53 - 1} at most"):
        place(over, order_id="a", placed_by="x", now=NOW)
    with pytest.raises(InvalidError, match="at most"):
        change(made.after, ChangeOrder(items=over.items), now=NOW)


def test_every_order_says_whether_it_is_open() -> None:
    made = place(
        PlaceOrder("12", "KRW", [NewItem("a", 1, 1)]), order_id="a", placed_by="x", now=NOW
    )
    assert made.after.open is True
    accepted = transition(made.after, Transition("accepted"), now=NOW).after
    assert accepted.open is True
    assert change(accepted, ChangeOrder(note="x"), now=NOW).after.open is True
    assert transition(accepted, Transition("cancelled"), now=NOW).after.open is False


def test_nothing_follows_a_status_that_only_a_newer_core_knows() -> None:
    with pytest.raises(ImpossibleTransitionError, match="what may follow is nothing"):
        transition(replace(order(), status="on its way"), Transition("paid"), now=NOW)


def test_a_printer_may_print_at_each_status_in_the_order_in_which_orders_pass_them() -> None:
    rank = {status: number for number, status in enumerate(PRINTED_STATUSES)}
    assert rank.keys() == set(STATUSES) - {"rejected", "cancelled"}
    steps = [(before, after) for before, follow in NEXT.items() for after in follow]
    assert all(rank[before] < rank[after] for before, after in steps if after in rank)
