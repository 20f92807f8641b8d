"""The judge of `make chaos-webhooks` finds the faults that it must find."""

from __future__ import annotations

from tests.chaos.webhooks import Findings, judge
from tests.webhook_receiver import Received


def took(*messages: tuple[int, str]) -> Findings:
    """What is found of a receiver that took these events of a store with three."""
    taken = [
        Received(
            message_id,
            "/",
            {},
            "",
            {"timestamp": "1970-01-01T00:00:00Z", "data": {"id": f"store:1@{seq}", "seq": seq}},
        )
        for seq, message_id in messages
    ]
    return judge("one", {"store:1": 3}, taken, dict.fromkeys((one.id for one in taken), 2.0))


def test_all_in_order_is_sound_though_some_came_again() -> None:
    found = took((1, "a"), (2, "b"), (1, "a"), (3, "c"))
    assert found.is_sound
    assert (found.doubles, found.latest_s) == (1, 2.0)


def test_what_did_not_come_is_lost() -> None:
    found = took((1, "a"), (3, "c"))
    assert found.lost == 1
    assert not found.is_sound


def test_what_came_first_behind_a_later_one_is_out_of_order() -> None:
    found = took((2, "b"), (1, "a"), (3, "c"))
    assert found.out_of_order == 1
    assert not found.is_sound


def test_an_event_under_two_ids_cannot_be_dropped_as_a_double() -> None:
    found = took((1, "a"), (1, "x"), (2, "b"), (3, "c"))
    assert found.other_ids == 1
    assert not found.is_sound
