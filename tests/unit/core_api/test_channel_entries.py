"""How a change becomes rows: digests that add up, views that show no more than they may."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from client_sdk.contract.digest import content_hash, order_hash
from client_sdk.contract.order import Order, decode_event
from core_api.event_log.lines import event_json
from core_api.orders.channel_entries import Views, log_write_of
from core_api.orders.lifecycle import (
    CHANGEABLE,
    ChangeOrder,
    NewGuest,
    NewItem,
    OrderChange,
    PlaceOrder,
    Transition,
    change,
    following,
    place,
    transition,
)
from tests.unit.core_api.samples import LATER, NOW, ORDER_ID, order

UNSIGNED = (1 << 64) - 1
VIEWS = Views(*[log_write_of(OrderChange("order.placed", None, order()), None).owner_view] * 2)


@dataclass
class World:
    """Channels and orders as Postgres would hold them."""

    orders: dict[str, Order] = field(default_factory=dict)
    views: dict[str, Views] = field(default_factory=dict)
    digests: dict[str, int] = field(default_factory=dict)
    """Signed 64 bits, as the column is."""
    contents: dict[str, int] = field(default_factory=dict)

    def apply(self, made: OrderChange) -> None:
        rows = log_write_of(made, self.views.get(made.after.id))
        self.orders[made.after.id] = made.after
        self.views[made.after.id] = Views(rows.owner_view, rows.table_view)
        for entry in rows.entries:
            assert -(1 << 63) <= entry.digest_delta < 1 << 63
            self.digests[entry.channel] = self.digests.get(entry.channel, 0) ^ entry.digest_delta
            known = self.contents.get(entry.channel, 0)
            self.contents[entry.channel] = known ^ entry.content_delta

    def expected(self, channel: str) -> int:
        digest = 0
        for one in self.orders.values():
            names = {f"store:{one.store_id}", f"table:{one.store_id}/{one.table_id}"}
            if one.is_open and channel in names:
                digest ^= order_hash(one.id, one.version)
        return digest

    def expected_content(self, channel: str) -> int:
        """By an independent library of RFC 8785, from what each channel was sent."""
        digest = 0
        for one in self.orders.values():
            views = self.views[one.id]
            seen = {f"store:{one.store_id}": views.owner}
            if views.table is not None:
                seen[f"table:{one.store_id}/{one.table_id}"] = views.table
            if one.is_open and channel in seen:
                canonical = rfc8785.dumps(json.loads(seen[channel]))
                digest ^= int.from_bytes(sha256(canonical).digest()[:16], "big")
        return digest


@settings(deadline=None)
@given(st.data())
def test_the_digests_of_any_lives_are_those_of_the_open_orders(data: st.DataObject) -> None:
    world = World()
    for number in range(data.draw(st.integers(1, 25))):
        known = sorted(world.orders)
        if not known or data.draw(st.booleans()):
            command = PlaceOrder(
                data.draw(st.sampled_from(["1", "2"])),
                "KRW",
                [NewItem("a", 1, 1)],
                table_id=data.draw(st.sampled_from(["5", "6", None])),
            )
            made = place(command, order_id=f"order-{number}", placed_by="x", now=NOW)
        else:
            current = world.orders[data.draw(st.sampled_from(known))]
            steps = [*following(current), *(["change"] if current.status in CHANGEABLE else [])]
            if not steps:
                continue
            step = data.draw(st.sampled_from(steps))
            if step == "change":
                made = change(current, ChangeOrder(note=str(number)), now=LATER)
            else:
                made = transition(current, Transition(step), now=LATER)  # type: ignore[arg-type]
        world.apply(made)
        for channel, digest in world.digests.items():
            assert digest & UNSIGNED == world.expected(channel)
            assert world.contents[channel] == world.expected_content(channel)


def test_a_channel_whose_orders_are_all_closed_has_the_empty_digest() -> None:
    world = World()
    world.apply(OrderChange("order.placed", None, order()))
    world.apply(transition(order(), Transition("accepted"), now=LATER))
    assert all(world.digests.values())
    world.apply(transition(order("accepted", 2), Transition("cancelled"), now=LATER))
    assert world.digests == {"store:12": 0, "table:12/5": 0}
    assert world.contents == {"store:12": 0, "table:12/5": 0}


def test_the_state_before_counts_as_it_was_stored_and_not_as_it_would_be_written_now() -> None:
    # An older Core left out what this one writes; a newer one wrote what this one does not know.
    stored = Views(
        *(f'{{"tip": 5, "id": "{ORDER_ID}", "of": "{who}"}}' for who in ("owner", "table"))
    )
    rows = log_write_of(transition(order(), Transition("cancelled"), now=LATER), stored)
    assert [entry.content_delta for entry in rows.entries] == [
        content_hash(stored.owner),
        content_hash(stored.table or ""),
    ]


def test_a_change_without_the_views_before_it_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="views"):
        log_write_of(transition(order(), Transition("accepted"), now=LATER), None)
    with pytest.raises(ValueError, match="views"):
        log_write_of(OrderChange("order.placed", None, order()), VIEWS)


def test_a_change_goes_to_the_store_and_to_the_table_in_the_order_of_the_locks() -> None:
    rows = log_write_of(OrderChange("order.placed", None, order()), None)
    assert [entry.channel for entry in rows.entries] == ["store:12", "table:12/5"]
    assert len({entry.digest_delta for entry in rows.entries}) == 1


def test_an_order_without_a_table_goes_to_its_store_only() -> None:
    rows = log_write_of(OrderChange("order.placed", None, order(table_id=None)), None)
    assert [entry.channel for entry in rows.entries] == ["store:12"]
    assert rows.table_view is None


def test_the_table_gets_the_same_order_without_the_owners_fields() -> None:
    secret = order(guest=NewGuest("Kim-secret", "010-secret"), placed_by="pos-secret")
    rows = log_write_of(OrderChange("order.placed", None, secret), None)
    owner, table = rows.entries
    assert owner.body.count("secret") == 3
    for text in (table.body, rows.table_view or ""):
        assert "secret" not in text
        assert "guest" not in text
        assert "placed_by" not in text
    shown, whole = json.loads("{" + table.body)["data"], json.loads("{" + owner.body)["data"]
    assert shown == {k: v for k, v in whole.items() if k not in ("guest", "placed_by")}


def test_a_note_that_speaks_of_a_guest_is_still_shown_to_the_table() -> None:
    rows = log_write_of(
        OrderChange("order.placed", None, order(note='"guest": {"placed_by"}')), None
    )
    assert json.loads("{" + rows.entries[1].body)["data"]["note"] == '"guest": {"placed_by"}'


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60),
    st.integers(1, 2**63 - 1),
)
def test_an_event_is_one_line_and_is_read_back_whole(note: str, seq: int) -> None:
    made = transition(order(note=note), Transition("accepted"), now=LATER)
    for entry in log_write_of(made, VIEWS).entries:
        text = event_json(entry.channel, seq, entry.body)
        assert len(text.encode().splitlines()) == 1
        event = decode_event(text)
        assert (event.id, event.seq, event.channel) == (
            f"{entry.channel}@{seq}",
            seq,
            entry.channel,
        )
        assert (event.type, event.occurred_at) == ("order.accepted", LATER)
        assert (event.order_id, event.order_version) == (made.after.id, 2)
        assert event.data.note == note


def test_times_are_written_in_utc_as_rfc_3339() -> None:
    body = json.loads(
        "{" + log_write_of(OrderChange("order.placed", None, order()), None).entries[0].body
    )
    assert body["occurred_at"] == "2026-11-21T03:00:38.624170Z"
    assert body["data"]["created_at"] == "2026-11-21T03:00:38.624170Z"
