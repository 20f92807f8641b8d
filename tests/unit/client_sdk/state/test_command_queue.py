"""The queue of commands to orders: what is shown, sent, given up, and never done twice."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from client_sdk.contract.errors import StateError
from client_sdk.contract.order import Order, decode_order
from client_sdk.contract.problem import decode_problem
from client_sdk.contract.text import time_text
from client_sdk.errors import RefusedError
from client_sdk.state.orders.command_queue import CommandQueue, CommandSettlement
from client_sdk.state.orders.commands import (
    MAX_COMMAND_BYTES,
    MAX_COMMANDS,
    CommandOutcome,
    CommandRequest,
    CommandWish,
    decode_command,
    encode_command,
)
from client_sdk.state.orders.view import ShownOrder, newest, shown_order, shown_orders
from client_sdk.state.records import PutCommand
from client_sdk.state.store import MemoryState
from tests.unit.client_sdk.state.order_core import NOW, OrderCore, order_id

ITEMS = [{"name": "Tea", "quantity": 2, "unit_price": 100}]
NEW = {"store_id": "1", "table_id": "5", "currency": "KRW", "items": ITEMS}


def at(number: int) -> str:
    """When Core did the n-th thing, counted from 0."""
    return time_text(NOW + timedelta(seconds=number))


CHANNELS = ("store:1", "table:1/5")


class Desk:
    """One client with its store, driven by hand."""

    def __init__(self, core: OrderCore) -> None:
        self.core = core
        self.store = MemoryState()
        self.book: dict[str, Order] = {}
        self.outcomes: dict[int, CommandOutcome] = {}
        self.place = 0
        self.now = NOW
        self.queue = self._opened()

    def _opened(self) -> CommandQueue:
        commands = self.store.open("a").commands
        return CommandQueue((decode_command(body) for body in commands), CHANNELS, "A")

    def crash(self) -> None:
        self.queue = self._opened()

    def sync(self) -> None:
        """The log brings all that Core has."""
        for order in self.core.orders.values():
            self.book[order.id] = order
            self.queue.answered.contained(order.id, order.version)
        self.book = {key: order for key, order in self.book.items() if order.is_open}

    @property
    def shown(self) -> list[ShownOrder]:
        return shown_orders(self.book.values(), self.queue.own)

    def see(self, name: str | int) -> ShownOrder:
        """An order as it is shown, by its id or its number."""
        named = self.queue.id_of(order_id(name) if isinstance(name, int) else name)
        core = newest(self.book.values(), self.queue.own)
        seen = shown_order(core.get(named), named, self.queue.own)
        assert seen is not None
        return seen

    def make(self, kind: Any, body: dict[str, Any], seen: ShownOrder | None = None) -> str:
        """Make a command; the id that its order is shown under."""
        wish = CommandWish(kind, body)
        if seen is not None:
            order = seen.order
            based_on = order.id, order.version, order.updated_at, order.status, seen.after
            wish = CommandWish(kind, body, *based_on)
        self.place += 1
        command = self.queue.prepare(wish, self.place, "c1", self.now)
        self.store.write([PutCommand(command.id, encode_command(command))])
        self.queue.accept(command)
        return command.shown_as

    def step(self, name: str | int, to: str) -> None:
        self.make("transition", {"to": to}, self.see(name))

    def request(self) -> CommandRequest | None:
        """What goes out next; what must be kept before is kept."""
        settlement = self.queue.before_sending(self.now)
        if settlement is not None:
            self.settle(settlement)
            if settlement.outcomes:
                return None
        return self.queue.request()

    def ask(self, request: CommandRequest) -> tuple[int, bytes]:
        version = None if request.version is None else f'"{request.version}"'
        at = None if request.updated_at is None else time_text(request.updated_at)
        return self.core.ask(request.method, request.path, request.key, (version, at), request.body)

    def hear(
        self, answer: tuple[int, bytes], *, repeated: bool = False, epoch: str | None = None
    ) -> None:
        status, body = answer
        if status < 400:
            self.hear_done(decode_order(body), repeated=repeated, epoch=epoch)
            return
        problem = decode_problem(body)
        assert problem is not None
        order = RefusedError("", status, problem).order
        self.settle(self.queue.refused(problem, order), epoch=epoch)

    def hear_done(self, order: Order, *, repeated: bool = False, epoch: str | None = None) -> None:
        self.settle(self.queue.applied(order, repeated=repeated), epoch=epoch)

    def begin_anew(
        self, channel: str = "store:1", *, same_log: bool = True, log: str = "A"
    ) -> None:
        """A snapshot of the book comes for the channel."""
        listed = {order.id: order.version for order in self.book.values()}
        self.queue.answered.reset(channel, listed, log=log, same_log=same_log)

    def follow(self, log: str) -> None:
        """Another log begins, with snapshots of the book."""
        self.begin_anew(CHANNELS[0], same_log=False, log=log)
        self.begin_anew(CHANNELS[1], log=log)

    def settle(
        self, settlement: CommandSettlement, *, keep: bool = True, epoch: str | None = None
    ) -> None:
        self.store.write(settlement.writes)
        order = settlement.order
        listed = order is not None and order.id in self.book
        self.queue.settle(settlement, keep=keep, listed=listed, epoch=epoch)
        self.outcomes |= {command.id: outcome for command, outcome in settlement.outcomes}

    def send(self) -> None:
        """Send, and hear the answers, until nothing waits."""
        for _ in range(100):
            if self.queue.first is None:
                return
            request = self.request()
            if request is not None:
                self.hear(self.ask(request))
        raise AssertionError("the queue does not come to an end")

    def slugs(self) -> list[str | None]:
        """Of each command that is settled, why it was refused."""
        told = [self.outcomes[place] for place in sorted(self.outcomes)]
        return [None if one.problem is None else one.problem.slug for one in told]


@pytest.fixture
def core() -> OrderCore:
    return OrderCore()


@pytest.fixture
def desk(core: OrderCore) -> Desk:
    return Desk(core)


@pytest.fixture
def placed(core: OrderCore, desk: Desk) -> Desk:
    """A client that shows an order somebody else placed."""
    core.placed()
    desk.sync()
    return desk


# ── what is shown ────────────────────────────────────────────────────────────


def test_a_step_is_shown_before_core_answers(placed: Desk) -> None:
    placed.step(1, "accepted")
    assert (placed.see(1).order.status, placed.see(1).pending) == ("accepted", 1)
    assert placed.core.orders[order_id(1)].status == "placed"


def test_a_new_order_is_shown_before_core_has_it(desk: Desk) -> None:
    name = desk.make("place", NEW)
    (shown,) = desk.shown
    assert (shown.order.id, shown.order.version, shown.order.total) == (name, 0, 200)


def test_a_refused_step_is_taken_back_with_its_reason(core: OrderCore, placed: Desk) -> None:
    placed.step(1, "accepted")
    core.do(1, {"to": "cancelled"})
    placed.send()
    assert placed.queue.own.errors[order_id(1)].slug == "stale-version"
    assert placed.shown == []  # cancelled, as Core says


def test_an_answered_step_is_shown_on_until_the_log_brings_it(placed: Desk) -> None:
    placed.step(1, "accepted")
    placed.send()
    assert (placed.see(1).order.status, placed.see(1).pending) == ("accepted", 0)
    placed.sync()
    assert placed.queue.own.known == {}
    assert placed.see(1).order.status == "accepted"


def test_a_new_order_changes_its_name_when_core_has_it_and_is_shown_once(desk: Desk) -> None:
    name = desk.make("place", NEW)
    desk.send()
    assert [one.order.id for one in desk.shown] == [order_id(1)]
    assert desk.see(name).order.id == order_id(1)
    desk.sync()
    assert [one.order.id for one in desk.shown] == [order_id(1)]


def test_an_order_that_is_being_cancelled_stays_until_core_has_answered(placed: Desk) -> None:
    placed.step(1, "cancelled")
    assert [(one.order.status, one.order.open) for one in placed.shown] == [("cancelled", False)]
    placed.send()
    assert placed.shown == []


def test_a_step_that_does_not_fit_any_more_is_left_out_and_still_sent(
    core: OrderCore, placed: Desk
) -> None:
    placed.step(1, "accepted")
    core.do(1, {"to": "rejected"})
    placed.book[order_id(1)] = core.orders[order_id(1)]
    seen = placed.see(1)
    assert (seen.order.status, seen.pending, seen.left_out) == ("rejected", 1, 1)
    assert placed.request() is not None


def test_a_change_of_items_is_shown_with_its_total(placed: Desk) -> None:
    placed.make("change", {"items": ITEMS, "note": "hot"}, placed.see(1))
    order = placed.see(1).order
    assert (order.total, order.note) == (200, "hot")


def test_an_answer_that_is_newer_than_a_snapshot_is_shown_and_stepped_from(placed: Desk) -> None:
    placed.step(1, "accepted")
    placed.send()
    placed.begin_anew()
    placed.step(1, "preparing")
    placed.send()
    assert placed.slugs() == [None, None]


def test_an_answer_that_the_snapshot_holds_is_forgotten(core: OrderCore, placed: Desk) -> None:
    placed.step(1, "accepted")
    placed.send()
    placed.book = dict(core.orders)
    placed.begin_anew()
    assert placed.queue.own.known == {}


def test_an_answer_is_forgotten_where_the_snapshot_lacks_its_order(placed: Desk) -> None:
    placed.step(1, "accepted")
    placed.send()
    placed.book = {}
    placed.begin_anew()
    assert placed.shown == []


def test_an_answer_of_a_log_that_is_gone_is_forgotten(placed: Desk) -> None:
    placed.step(1, "accepted")
    placed.send()
    placed.begin_anew(same_log=False)
    assert placed.queue.own.known == {}


def test_another_channels_answers_are_kept(placed: Desk) -> None:
    placed.step(1, "accepted")
    placed.send()
    placed.book = {}
    placed.begin_anew("store:9")
    assert placed.see(1).order.status == "accepted"


def test_an_answer_that_comes_after_an_older_snapshot_is_stepped_from(placed: Desk) -> None:
    placed.step(1, "accepted")
    request = placed.request()
    assert request is not None
    answer = placed.ask(request)
    placed.begin_anew()
    placed.hear(answer)
    placed.step(1, "preparing")
    placed.send()
    assert placed.slugs() == [None, None]


def test_an_answer_of_an_order_that_a_snapshot_has_ended_meanwhile_is_not_shown(
    placed: Desk,
) -> None:
    placed.step(1, "accepted")
    request = placed.request()
    assert request is not None
    answer = placed.ask(request)
    placed.book = {}
    placed.begin_anew()
    placed.hear(answer)
    assert placed.shown == []


def test_an_answer_from_before_its_log_was_replaced_is_not_shown(placed: Desk) -> None:
    placed.step(1, "accepted")
    request = placed.request()
    assert request is not None
    answer = placed.ask(request)
    placed.begin_anew(same_log=False)
    placed.hear(answer)
    assert placed.queue.own.known == {}
    assert placed.slugs() == [None]


@pytest.fixture
def restored(placed: Desk) -> Desk:
    """A client whose step Core has taken after a restore, in log B, of which it does not know."""
    placed.step(1, "accepted")
    request = placed.request()
    assert request is not None
    placed.hear(placed.ask(request), epoch="B")
    return placed


def test_an_answer_of_a_later_log_is_shown_before_that_begins_here(restored: Desk) -> None:
    assert restored.see(1).order.status == "accepted"


def test_an_answer_of_a_later_log_is_shown_though_its_version_is_lower(
    core: OrderCore, placed: Desk
) -> None:
    for note in ("a", "b"):
        placed.book[order_id(1)] = core.do(1, {"note": note})
    placed.step(1, "accepted")
    assert placed.request() is not None
    done = structs.replace(core.orders[order_id(1)], status="accepted", version=2)
    placed.hear_done(done, epoch="B")
    assert (placed.see(1).order.status, placed.see(1).order.version) == ("accepted", 2)


def test_an_order_that_a_later_log_has_ended_is_not_shown(core: OrderCore, placed: Desk) -> None:
    placed.step(1, "cancelled")
    assert placed.request() is not None
    ended = structs.replace(core.orders[order_id(1)], status="cancelled", version=2, open=False)
    placed.hear_done(ended, epoch="B")
    assert placed.shown == []


def test_an_answer_of_a_later_log_is_stepped_from_after_an_older_snapshot_of_it(
    restored: Desk,
) -> None:
    restored.follow("B")
    restored.step(1, "preparing")
    restored.send()
    assert restored.slugs() == [None, None]


def test_an_answer_of_a_later_log_is_forgotten_where_its_snapshot_holds_it(
    core: OrderCore, restored: Desk
) -> None:
    restored.book = dict(core.orders)
    restored.follow("B")
    assert (restored.queue.own.known, restored.queue.own.ahead) == ({}, {})


def test_what_the_log_before_still_brings_says_nothing_of_a_later_logs_answer(
    restored: Desk,
) -> None:
    restored.queue.answered.contained(order_id(1), 7)
    assert restored.see(1).order.status == "accepted"


def test_an_answer_of_a_later_log_is_forgotten_where_a_still_later_one_begins(
    restored: Desk,
) -> None:
    restored.follow("C")
    assert (restored.queue.own.known, restored.queue.own.ahead) == ({}, {})


def test_an_answer_of_a_later_log_waits_where_one_between_begins(restored: Desk) -> None:
    restored.queue.own.ahead.clear()
    restored.step(1, "accepted")
    assert restored.request() is not None
    restored.hear_done(restored.core.orders[order_id(1)], epoch="D")
    restored.follow("C")
    assert restored.see(1).order.status == "accepted"
    restored.follow("D")
    assert list(restored.queue.own.known) == [order_id(1)]


def test_an_answer_of_an_earlier_log_than_another_that_waits_is_not_shown(restored: Desk) -> None:
    restored.make("change", {"note": "hot"}, restored.see(1))
    assert restored.request() is not None
    done = structs.replace(restored.core.orders[order_id(1)], note="old", version=9)
    restored.hear_done(done, epoch="AB")
    assert restored.see(1).order.note == ""


def test_an_answer_that_names_a_log_that_is_gone_is_not_shown(placed: Desk) -> None:
    placed.step(1, "accepted")
    request = placed.request()
    assert request is not None
    answer = placed.ask(request)
    placed.follow("B")
    placed.hear(answer, epoch="A")
    assert placed.queue.own.known == {}


def test_an_answer_of_the_log_that_began_while_it_was_under_way_is_stepped_from(
    placed: Desk,
) -> None:
    placed.step(1, "accepted")
    request = placed.request()
    assert request is not None
    answer = placed.ask(request)
    placed.follow("B")
    placed.hear(answer, epoch="B")
    placed.step(1, "preparing")
    placed.send()
    assert placed.slugs() == [None, None]


def test_an_answer_of_a_later_log_is_held_against_the_snapshot_of_its_channel_alone(
    restored: Desk,
) -> None:
    # The table's orders are still those of the log before, with higher versions.
    restored.queue.answered.reset("store:1", {order_id(1): 1}, log="B", same_log=False)
    assert restored.see(1).order.status == "accepted"
    restored.queue.answered.reset("table:1/5", {order_id(1): 1}, log="B", same_log=True)
    restored.step(1, "preparing")
    restored.send()
    assert restored.slugs() == [None, None]


def test_an_answer_is_ahead_of_a_channel_that_has_not_begun_its_log_though_another_has(
    core: OrderCore, placed: Desk
) -> None:
    placed.begin_anew("store:9", same_log=False, log="B")
    assert placed.queue.answered.is_ahead(core.orders[order_id(1)], "B")
    placed.begin_anew("store:1", log="B")
    placed.begin_anew("table:1/5", log="B")
    assert not placed.queue.answered.is_ahead(core.orders[order_id(1)], "B")


def test_an_answer_of_a_log_that_was_followed_before_a_backup_of_an_earlier_one_is_not_shown(
    placed: Desk,
) -> None:
    placed.follow("B")
    placed.step(1, "accepted")
    request = placed.request()
    assert request is not None
    answer = placed.ask(request)
    placed.follow("A")
    placed.hear(answer, epoch="B")
    assert (placed.queue.own.known, placed.queue.own.ahead) == ({}, {})


def test_a_repeated_answer_is_not_shown_before_any_log_has_begun(core: OrderCore) -> None:
    desk = Desk(core)
    desk.queue = CommandQueue((), CHANNELS)
    order = core.placed()
    desk.queue.answered.take(order, repeated=True, listed=False, epoch="A")
    assert desk.shown == []


def test_a_log_that_begins_after_one_went_back_has_its_answers_shown(placed: Desk) -> None:
    placed.step(1, "accepted")
    request = placed.request()
    assert request is not None
    placed.begin_anew(same_log=False)
    placed.follow("B")
    placed.hear(placed.ask(request), epoch="B")
    assert placed.see(1).order.status == "accepted"


def test_an_answer_is_not_shown_where_its_log_went_back_in_the_same_epoch(placed: Desk) -> None:
    placed.step(1, "accepted")
    request = placed.request()
    assert request is not None
    answer = placed.ask(request)
    placed.begin_anew(same_log=False)
    placed.hear(answer, epoch="A")
    assert placed.queue.own.known == {}


def test_a_repeated_answer_that_the_log_is_behind_is_stepped_from(placed: Desk) -> None:
    placed.step(1, "accepted")
    request = placed.request()
    assert request is not None
    answer = placed.ask(request)
    placed.queue.failed(request)
    assert placed.request() is not None
    placed.hear(answer, repeated=True)
    placed.step(1, "preparing")
    placed.send()
    assert placed.slugs() == [None, None]


def test_a_repeated_answer_on_top_of_another_that_is_shown_is_stepped_from(desk: Desk) -> None:
    name = desk.make("place", NEW)
    desk.step(name, "accepted")
    placing = desk.request()
    assert placing is not None
    desk.hear(desk.ask(placing))
    request = desk.request()
    assert request is not None
    desk.hear(desk.ask(request), repeated=True)
    desk.step(1, "preparing")
    desk.send()
    assert desk.slugs() == [None, None, None]


def test_a_repeated_answer_does_not_bring_back_an_order_that_has_ended(placed: Desk) -> None:
    placed.step(1, "accepted")
    assert placed.request() is not None
    placed.book = {}
    placed.hear_done(placed.core.do(1, {"to": "accepted"}), repeated=True)
    assert placed.shown == []
    assert placed.slugs() == [None]


# ── what is sent ─────────────────────────────────────────────────────────────


def test_a_chain_of_steps_made_offline_is_done_in_order(core: OrderCore, placed: Desk) -> None:
    for to in ("accepted", "preparing", "ready"):
        placed.step(1, to)
    placed.send()
    assert core.orders[order_id(1)].status == "ready"
    assert [seen[0] for *_, seen in core.asked] == ['"1"', '"2"', '"3"']


def test_an_order_is_placed_and_cancelled_offline(core: OrderCore, desk: Desk) -> None:
    name = desk.make("place", NEW)
    desk.step(name, "cancelled")
    desk.send()
    assert [done.type for done in core.log] == ["order.placed", "order.cancelled"]


def test_a_command_whose_answer_is_lost_is_done_once(core: OrderCore, desk: Desk) -> None:
    desk.make("place", NEW)
    request = desk.request()
    assert request is not None
    desk.ask(request)
    desk.queue.failed(request)
    desk.send()
    assert len(core.log) == 1
    assert len(core.asked) == 2


def test_what_waits_survives_a_crash_with_the_same_key_and_version(
    core: OrderCore, placed: Desk
) -> None:
    placed.step(1, "accepted")
    placed.step(1, "preparing")
    request = placed.request()
    assert request is not None
    placed.ask(request)
    placed.crash()
    placed.send()
    assert core.orders[order_id(1)].version == 3
    assert core.asked[0] == core.asked[1]


def test_a_version_that_a_crash_comes_after_is_that_of_the_answer(
    core: OrderCore, placed: Desk
) -> None:
    placed.step(1, "accepted")
    placed.step(1, "preparing")
    request = placed.request()
    assert request is not None
    placed.hear(placed.ask(request))
    placed.crash()
    placed.send()
    assert core.orders[order_id(1)].status == "preparing"
    assert [seen for *_, seen in core.asked] == [('"1"', at(0)), ('"2"', at(1))]


def test_what_was_answered_is_not_sent_again_after_a_crash(core: OrderCore, placed: Desk) -> None:
    placed.step(1, "accepted")
    placed.send()
    placed.crash()
    assert placed.queue.first is None
    assert len(core.asked) == 1


def test_a_command_names_the_time_of_the_version_that_its_author_saw(
    core: OrderCore, placed: Desk
) -> None:
    placed.step(1, "accepted")
    placed.send()
    assert [seen for *_, seen in core.asked] == [('"1"', at(0))]


def test_a_command_on_what_was_answered_since_names_the_time_in_the_answer(
    core: OrderCore, placed: Desk
) -> None:
    placed.step(1, "accepted")
    seen = placed.see(1)
    placed.send()
    placed.make("transition", {"to": "preparing"}, seen)
    placed.send()
    assert core.asked[-1][3] == ('"2"', at(1))


def test_a_command_that_was_kept_without_a_time_is_sent_without_one(
    core: OrderCore, placed: Desk
) -> None:
    placed.step(1, "accepted")
    (kept,) = placed.store.open("a").commands
    before = json.loads(kept)
    del before["updated_at"]
    placed.store.write([PutCommand(1, json.dumps(before).encode())])
    placed.crash()
    placed.send()
    assert [seen for *_, seen in core.asked] == [('"1"', None)]
    assert placed.slugs() == [None]


def test_one_request_is_under_way_at_a_time(placed: Desk) -> None:
    placed.step(1, "accepted")
    assert placed.request() is not None
    assert placed.queue.request() is None


# ── refusals ─────────────────────────────────────────────────────────────────


def test_one_refused_command_never_stalls_the_rest(core: OrderCore, placed: Desk) -> None:
    core.sold_out.add("Tea")
    placed.make("place", NEW)
    placed.step(1, "accepted")
    placed.send()
    assert placed.slugs() == ["sold-out", None]


def test_what_was_made_on_a_refused_command_is_given_up_with_it(
    core: OrderCore, placed: Desk
) -> None:
    core.sold_out.add("Tea")
    name = placed.make("place", NEW)
    placed.step(name, "cancelled")
    placed.step(1, "accepted")
    placed.step(1, "preparing")
    placed.send()
    assert placed.slugs() == ["sold-out", "depends", None, None]
    assert placed.queue.own.errors[name].slug == "sold-out"


def test_a_step_is_tried_again_where_the_status_is_as_it_was_seen(
    core: OrderCore, placed: Desk
) -> None:
    core.do(1, {"to": "accepted"})
    placed.sync()
    placed.step(1, "preparing")
    core.do(1, {"note": "hot"})
    placed.send()
    assert placed.slugs() == [None]
    assert core.orders[order_id(1)].note == "hot"


def test_a_cancel_does_not_cancel_food_that_is_being_cooked(core: OrderCore, placed: Desk) -> None:
    placed.step(1, "cancelled")
    core.do(1, {"to": "accepted"})
    core.do(1, {"to": "preparing"})
    placed.send()
    assert placed.slugs() == ["stale-version"]
    assert core.orders[order_id(1)].status == "preparing"
    refused = placed.outcomes[1].order
    assert refused is not None
    assert refused.status == "preparing"


def test_nobody_accepts_what_was_changed_meanwhile(core: OrderCore, placed: Desk) -> None:
    placed.step(1, "accepted")
    core.do(1, {"note": "without nuts"})
    placed.send()
    assert placed.slugs() == ["stale-version"]


def test_a_change_does_not_undo_anothers(core: OrderCore, placed: Desk) -> None:
    placed.make("change", {"note": "mine"}, placed.see(1))
    core.do(1, {"note": "theirs"})
    placed.send()
    assert placed.slugs() == ["stale-version"]
    assert core.orders[order_id(1)].note == "theirs"


def test_nothing_is_done_to_another_version_of_the_same_number(
    core: OrderCore, placed: Desk
) -> None:
    placed.step(1, "accepted")
    core.restored(1, {"note": "without nuts"})
    placed.send()
    assert placed.slugs() == ["stale-version"]
    assert core.orders[order_id(1)].status == "placed"


def test_a_change_of_another_version_of_the_same_number_is_left_out(
    core: OrderCore, placed: Desk
) -> None:
    placed.make("change", {"note": "mine"}, placed.see(1))
    core.restored(1, {"note": "theirs"})
    placed.book[order_id(1)] = core.orders[order_id(1)]
    seen = placed.see(1)
    assert (seen.order.note, seen.left_out) == ("theirs", 1)


def test_a_step_tried_again_names_the_time_that_the_refusal_told(
    core: OrderCore, placed: Desk
) -> None:
    placed.step(1, "cancelled")
    core.restored(1, {"note": "hot"})
    placed.send()
    assert placed.slugs() == [None]
    assert [seen for *_, seen in core.asked] == [('"1"', at(0)), ('"1"', at(1))]


def test_a_step_on_what_was_answered_since_it_was_seen_goes_on_from_there(placed: Desk) -> None:
    placed.step(1, "accepted")
    seen = placed.see(1)
    placed.send()
    placed.make("transition", {"to": "preparing"}, seen)
    placed.send()
    assert placed.slugs() == [None, None]


def test_a_step_on_what_was_refused_since_it_was_seen_is_not_taken(
    core: OrderCore, placed: Desk
) -> None:
    placed.step(1, "accepted")
    seen = placed.see(1)
    core.do(1, {"to": "cancelled"})
    placed.send()
    with pytest.raises(StateError, match="read the order again"):
        placed.make("transition", {"to": "preparing"}, seen)


# ── age and limits ───────────────────────────────────────────────────────────


@pytest.mark.parametrize(("hours", "slug"), [(23, None), (25, "too-late")])
def test_a_command_that_nobody_means_any_more_is_given_up(
    core: OrderCore, desk: Desk, hours: int, slug: str | None
) -> None:
    desk.make("place", NEW)
    desk.now = NOW + timedelta(hours=hours)
    desk.send()
    assert desk.slugs() == [slug]


@pytest.mark.parametrize(("days", "slug"), [(5, None), (7, "too-late")])
def test_a_command_that_was_sent_is_sent_again_only_while_core_knows_its_key(
    core: OrderCore, desk: Desk, days: int, slug: str | None
) -> None:
    desk.make("place", NEW)
    request = desk.request()
    assert request is not None
    desk.ask(request)
    desk.crash()
    desk.now = NOW + timedelta(days=days)
    desk.send()
    assert desk.slugs() == [slug]
    assert len(core.log) == 1


def test_a_command_made_before_cores_clock_was_known_is_as_old_as_its_first_sending(
    core: OrderCore, desk: Desk
) -> None:
    desk.place += 1
    command = desk.queue.prepare(CommandWish("place", NEW), desk.place, "c1", None)
    desk.queue.accept(command)
    desk.send()
    assert desk.slugs() == [None]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("place", {**NEW, "items": []}),
        ("place", {**NEW, "items": [{"name": "Tea"}]}),
        ("place", {**NEW, "note": "x" * MAX_COMMAND_BYTES}),
        ("transition", {"to": "eaten"}),
        ("transition", {"to": "placed"}),
        ("change", {}),
    ],
)
def test_what_core_could_not_take_is_refused_at_once(
    desk: Desk, kind: Any, body: dict[str, Any]
) -> None:
    with pytest.raises(StateError):
        desk.make(kind, body)


def test_no_more_than_so_many_commands_wait(desk: Desk) -> None:
    command = desk.queue.prepare(CommandWish("place", NEW), 1, "c1", NOW)
    desk.queue.own.entries = [command] * MAX_COMMANDS
    with pytest.raises(StateError, match="are waiting"):
        desk.make("place", NEW)


def test_an_order_that_is_not_shown_cannot_be_stepped(placed: Desk) -> None:
    seen = placed.see(1)
    other = replace(seen, order=structs.replace(seen.order, id="../stores/1"))
    with pytest.raises(StateError, match="is not an order"):
        placed.make("transition", {"to": "accepted"}, other)
