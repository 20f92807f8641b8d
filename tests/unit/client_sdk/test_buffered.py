"""The buffered start: subscribe, buffer, fetch, wait, merge; nothing lost, nothing doubled."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.buffered.machine import MAX_FETCHES, BufferedStart
from client_sdk.buffered.messages import (
    BufferedSettings,
    Fetch,
    Hand,
    StartCommand,
    StartDone,
    StartResult,
    StartState,
    Subscribe,
    Warn,
)
from client_sdk.contract.order import OrderEvent
from client_sdk.contract.sync import Snapshot
from client_sdk.errors import BufferedStartError
from tests.unit.client_sdk.samples import channel_sync, event, order, sync_response


def fetching(settings: BufferedSettings | None = None, position: int = 0) -> BufferedStart:
    """A start that has subscribed and fetches from `position`."""
    machine = BufferedStart({"store:12": position}, "e", settings)
    machine.start(0.0)
    machine.connected(0.1)
    machine.subscribed(0.2)
    return machine


def handed(commands: Sequence[StartCommand]) -> list[int]:
    return [
        c.change.seq for c in commands if isinstance(c, Hand) and isinstance(c.change, OrderEvent)
    ]


def result(commands: Sequence[StartCommand]) -> StartResult:
    (done,) = [c.result for c in commands if isinstance(c, StartDone)]
    return done


def test_it_subscribes_before_it_fetches() -> None:
    machine = BufferedStart({"store:12": None})
    machine.start(0.0)
    assert machine.connected(0.1) == [Subscribe(["store:12"])]
    (fetch,) = machine.subscribed(0.2)
    assert isinstance(fetch, Fetch)
    assert fetch.after == {"store:12": None}


def test_it_passes_through_its_states_in_order() -> None:
    machine = BufferedStart({"store:12": 0}, "e")
    seen: list[StartState] = []
    machine.observe(seen.append)
    machine.start(0.0)
    machine.connected(0.1)
    machine.subscribed(0.2)
    machine.fetched(sync_response(channel_sync()), 0.3)
    machine.tick(2.0)
    assert seen == [
        StartState.CONNECTING,
        StartState.SUBSCRIBING,
        StartState.BUFFERING,
        StartState.FETCHING,
        StartState.OVERLAP_WAIT,
        StartState.MERGING,
        StartState.READY,
    ]


def test_what_was_fetched_and_pushed_is_handed_over_once() -> None:
    machine = fetching()
    machine.message(event(2), 0.3)
    machine.message(event(3), 0.4)
    commands = machine.fetched(sync_response(channel_sync([event(1), event(2)])), 0.5)
    assert handed(commands) == [1, 2]
    merged = machine.tick(2.1)
    assert handed(merged) == [3]
    assert result(merged) == StartResult(True, StartState.READY, 2, 1, 1, 2.1, None)


def test_a_message_of_the_overlap_window_is_merged_too() -> None:
    machine = fetching()
    machine.fetched(sync_response(channel_sync([event(1)])), 0.5)
    assert machine.message(event(2), 1.0) == []
    assert handed(machine.tick(2.1)) == [2]


def test_a_gap_in_what_was_pushed_leads_to_a_fresh_sync() -> None:
    machine = fetching()
    machine.message(event(3), 0.3)
    machine.fetched(sync_response(channel_sync([event(1)])), 0.5)
    (fetch,) = machine.tick(2.1)
    assert isinstance(fetch, Fetch)
    assert fetch.after == {"store:12": 1}
    machine.fetched(sync_response(channel_sync([event(2), event(3)])), 2.2)
    merged = machine.tick(4.0)
    assert result(merged).success
    assert result(merged).duplicates_removed == 1


def test_an_overflowing_buffer_warns_drops_the_oldest_and_syncs_again() -> None:
    machine = fetching(BufferedSettings(buffer_size=2))
    machine.message(event(1), 0.3)
    machine.message(event(2), 0.3)
    (warning,) = machine.message(event(3), 0.3)
    assert isinstance(warning, Warn)
    assert "store:12@1" in warning.text
    machine.fetched(sync_response(channel_sync(head=0)), 0.5)
    (fetch,) = machine.tick(2.1)
    assert isinstance(fetch, Fetch)
    assert handed(machine.fetched(sync_response(channel_sync([event(1)])), 2.2)) == [1]
    assert handed(machine.tick(4.0)) == [2, 3]


def test_a_message_that_waited_too_long_is_dropped_with_a_warning() -> None:
    machine = fetching(BufferedSettings(buffer_lifetime=5.0, fetch_timeout=60.0))
    machine.message(event(1), 0.3)
    commands = machine.message(event(2), 6.0)
    assert [type(c) for c in commands] == [Warn]


@pytest.mark.parametrize(
    ("steps", "state"), [(0, "connecting"), (1, "subscribing"), (2, "fetching")]
)
def test_a_step_that_takes_too_long_ends_it_and_is_named(steps: int, state: str) -> None:
    machine = BufferedStart({"store:12": 0}, "e")
    machine.start(0.0)
    for step in (machine.connected, machine.subscribed)[:steps]:
        step(0.0)
    outcome = result(machine.tick(10.0))
    assert not outcome.success
    assert outcome.state is StartState.ERROR
    assert state in (outcome.error or "")


def test_syncs_that_never_close_the_gap_end_it() -> None:
    machine = fetching()
    machine.message(event(9), 0.3)
    now, commands = 0.5, list[StartCommand]()
    for _ in range(MAX_FETCHES):
        machine.fetched(sync_response(channel_sync(head=0)), now)
        now += 2.0
        commands = machine.tick(now)
    assert not result(commands).success


def test_pages_are_fetched_to_the_end_however_many() -> None:
    machine = fetching()
    for seq in range(1, 3 * MAX_FETCHES):
        page = channel_sync([event(seq)], head=99, has_more=True)
        (_, fetch) = machine.fetched(sync_response(page), 0.5)
        assert isinstance(fetch, Fetch)


def test_once_ready_a_gap_is_closed_by_a_sync() -> None:
    machine = fetching()
    machine.fetched(sync_response(channel_sync([event(1)])), 0.5)
    machine.tick(2.1)
    assert handed(machine.message(event(2), 3.0)) == [2]
    (fetch,) = machine.message(event(4), 3.1)
    assert isinstance(fetch, Fetch)
    machine.fetched(sync_response(channel_sync([event(3)])), 3.2)
    assert handed(machine.tick(5.0)) == [4]


def test_a_snapshot_replaces_and_events_go_on_after_it() -> None:
    machine = BufferedStart({"store:12": None})
    machine.start(0.0)
    machine.connected(0.0)
    machine.subscribed(0.0)
    machine.message(event(7), 0.1)
    machine.message(event(8), 0.1)
    snapshot = Snapshot(7, [order("a"), order("b")])
    machine.fetched(sync_response(channel_sync(reset="first_sync", snapshot=snapshot)), 0.2)
    merged = machine.tick(2.0)
    assert handed(merged) == [8]
    assert result(merged).orders_loaded == 2


def test_it_can_be_reset_and_reconfigured_but_not_while_it_runs() -> None:
    machine = fetching()
    with pytest.raises(BufferedStartError):
        machine.reconfigure(BufferedSettings())
    machine.failed("gone", 1.0)
    machine.reconfigure(BufferedSettings(buffer_size=5))
    machine.reset()
    assert machine.state is StartState.IDLE
    assert machine.start(2.0)
    with pytest.raises(BufferedStartError):
        machine.start(2.0)


@given(
    pushed=st.lists(st.integers(1, 12), max_size=40),
    fetched_to=st.integers(0, 12),
    size=st.integers(1, 5),
)
def test_any_order_of_pushes_ends_with_every_event_once_and_in_order(
    pushed: list[int], fetched_to: int, size: int
) -> None:
    """Core has 12 events in the end; whatever was pushed, doubled or dropped, all come out once."""
    machine = fetching(BufferedSettings(buffer_size=size))
    out: list[int] = []
    for seq in pushed:
        machine.message(event(seq), 0.3)
    fetched = [event(seq) for seq in range(1, fetched_to + 1)]
    out += handed(machine.fetched(sync_response(channel_sync(fetched, head=fetched_to)), 0.5))
    now = 0.5
    while machine.state is not StartState.READY:
        assert machine.state is not StartState.ERROR
        now += 2.0
        commands = machine.tick(now)
        out += handed(commands)
        if any(isinstance(c, Fetch) for c in commands):
            rest = [event(seq) for seq in range((machine.positions["store:12"] or 0) + 1, 13)]
            out += handed(machine.fetched(sync_response(channel_sync(rest, head=12)), now))
    assert out == list(range(1, len(out) + 1))
    assert len(out) >= max([fetched_to, *([12] if len(pushed) > size else [])])


# ── a consumer that does not keep up ─────────────────────────────────────────


def ready(settings: BufferedSettings) -> BufferedStart:
    machine = fetching(settings)
    machine.fetched(sync_response(channel_sync()), 0.3)
    machine.tick(0.3 + settings.overlap_window)
    assert machine.state is StartState.READY
    return machine


def test_with_a_full_list_nothing_more_is_taken_in_until_half_is_handled() -> None:
    machine = ready(BufferedSettings(max_pending=4))
    said = [c for seq in range(1, 100) for c in machine.message(event(seq), 3.0)]
    assert handed(said) == [1, 2, 3, 4]
    (warned,) = [c for c in said if isinstance(c, Warn)]
    assert "keep up" in warned.text
    assert machine.handled(1, 4.0) == []
    (fetch,) = machine.handled(1, 4.0)
    assert isinstance(fetch, Fetch)
    assert fetch.after == {"store:12": 4}
    said = machine.fetched(sync_response(channel_sync([event(s) for s in (5, 6)])), 4.1)
    assert handed(said) == [5, 6]


def test_a_long_log_does_not_pile_up_before_anybody_reads_and_the_start_is_done() -> None:
    machine = fetching(BufferedSettings(max_pending=4))
    page = sync_response(channel_sync([event(s) for s in range(1, 6)], head=50, has_more=True))
    said = machine.fetched(page, 0.3)
    assert handed(said) == [1, 2, 3, 4, 5]
    assert not any(isinstance(c, Fetch) for c in said)
    assert result(said).success
    assert machine.handled(2, 0.5) == []
    (fetch,) = machine.handled(1, 0.6)
    assert isinstance(fetch, Fetch)
    assert fetch.after == {"store:12": 5}


def test_answers_that_begin_anew_and_say_that_there_is_more_come_to_an_end() -> None:
    machine = fetching()
    anew = channel_sync(reset="ahead", snapshot=Snapshot(0, []), head=5, has_more=True)
    for _ in range(MAX_FETCHES):
        said = machine.fetched(sync_response(anew), 0.3)
    assert not result(said).success


def test_a_channel_that_nobody_asked_for_is_left_alone() -> None:
    machine = fetching()
    foreign = channel_sync([event(1, channel="store:13")], channel="store:13")
    assert machine.fetched(sync_response(foreign, channel_sync()), 0.3) == []
    assert machine.positions.known == {"store:12": 0}
