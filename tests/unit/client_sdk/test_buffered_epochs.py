"""The buffered start over a transport that tells the epoch of each event, and syncs when asked."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec

from client_sdk.buffered.machine import BufferedStart
from client_sdk.buffered.messages import (
    Fetch,
    Hand,
    PushedEvent,
    StartCommand,
    StartState,
    decode_pushed_event,
)
from client_sdk.contract.sync import Snapshot
from tests.unit.client_sdk.samples import channel_sync, event, order, sync_response

OLD, OURS, NEW = "01A", "01B", "01C"


def pushed(seq: int, epoch: str = OURS) -> PushedEvent:
    fields = json.loads(msgspec.json.encode(event(seq)))
    return decode_pushed_event(json.dumps({"epoch": epoch, **fields}).encode())


def ready(position: int = 0) -> BufferedStart:
    """A start that is ready at `position`, in the epoch of ours."""
    machine = BufferedStart({"store:12": position}, OURS)
    machine.start(0.0)
    machine.connected(0.1)
    machine.subscribed(0.2)
    machine.fetched(sync_response(channel_sync(head=position), epoch=OURS), 0.3)
    machine.tick(10.0)
    assert machine.state is StartState.READY
    return machine


def fetches(commands: Sequence[StartCommand]) -> list[Fetch]:
    return [command for command in commands if isinstance(command, Fetch)]


def test_an_event_of_our_epoch_is_handed_on_with_its_epoch() -> None:
    (hand,) = ready().message(pushed(1), 11.0)
    assert isinstance(hand, Hand)
    assert (hand.change.type, hand.epoch) == ("order.placed", OURS)


def test_an_event_of_an_epoch_that_is_over_is_dropped_though_its_seq_would_fit() -> None:
    assert ready().message(pushed(1, OLD), 11.0) == []


def test_an_event_of_a_newer_epoch_is_not_applied_but_means_a_sync() -> None:
    assert len(fetches(ready().message(pushed(1, NEW), 11.0))) == 1


def test_after_the_sync_the_event_of_the_newer_epoch_is_handed_on() -> None:
    machine = ready(position=5)
    machine.message(pushed(2, NEW), 11.0)
    snapshot = Snapshot(1, [order("order-1")])
    machine.fetched(
        sync_response(channel_sync(head=1, reset="epoch", snapshot=snapshot), epoch=NEW), 12.0
    )
    hands = [command for command in machine.tick(20.0) if isinstance(command, Hand)]
    assert [(getattr(hand.change, "seq", None), hand.epoch) for hand in hands] == [(2, NEW)]


def test_it_syncs_from_where_it_is_when_asked_to() -> None:
    (fetch,) = fetches(ready(position=5).refresh(11.0))
    assert fetch.after == {"store:12": 5}


def test_it_does_not_sync_twice_at_once() -> None:
    machine = ready()
    machine.refresh(11.0)
    assert machine.refresh(11.1) == []


def test_the_order_of_a_pushed_event_is_in_the_content_digest() -> None:
    assert pushed(1).data.content is not None
