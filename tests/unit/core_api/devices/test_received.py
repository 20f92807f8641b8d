"""Each message of a device is applied once, in whatever order and however often it comes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core_api.devices.received import ReceivedNumbers, take, take_of_boot
from server_common.limits import DEVICE_BOOTS, DEVICE_MISSING

numbers = st.lists(st.integers(1, 40) | st.integers(1, 3 * DEVICE_MISSING), max_size=60)


@given(numbers)
def test_no_message_is_applied_twice_and_none_is_taken_for_a_repeat_before_it_came(
    sent: list[int],
) -> None:
    received, applied = ReceivedNumbers(), set[int]()
    for n in sent:
        outcome, received = take(received, n)
        if outcome == "applied":
            assert n not in applied
            applied.add(n)
        elif outcome == "repeated":
            assert n in applied
        else:
            assert n <= received.floor
        assert len(received.missing) <= DEVICE_MISSING


@given(st.permutations(range(1, 30)))
def test_messages_that_come_out_of_order_are_all_applied(sent: list[int]) -> None:
    received = ReceivedNumbers()
    for n in sent:
        outcome, received = take(received, n)
        assert outcome == "applied"
    assert received == ReceivedNumbers(0, 29, ())


def test_a_number_that_is_too_far_behind_is_refused_and_not_taken_for_a_repeat() -> None:
    _, received = take(ReceivedNumbers(), DEVICE_MISSING + 2)
    assert take(received, 1)[0] == "too-old"
    assert take(received, 2)[0] == "applied"


def test_a_leap_of_any_size_is_remembered_within_bounds() -> None:
    outcome, received = take(ReceivedNumbers(0, 5, (3,)), 2**53 - 1)
    assert outcome == "applied"
    assert len(received.missing) == DEVICE_MISSING
    assert take(received, 3)[0] == "too-old"


def test_each_boot_counts_for_itself() -> None:
    outcome, received, forgotten = take_of_boot({1: ReceivedNumbers(0, 9, ())}, 2, 1)
    assert (outcome, received, forgotten) == ("applied", ReceivedNumbers(0, 1, ()), frozenset())


def test_what_is_left_of_an_earlier_boot_is_applied_once() -> None:
    boots = {1: ReceivedNumbers(0, 9, (4,)), 2: ReceivedNumbers(0, 1, ())}
    assert take_of_boot(boots, 1, 4)[0] == "applied"
    assert take_of_boot(boots, 1, 5)[0] == "repeated"


def test_a_new_boot_lets_the_oldest_be_forgotten_and_what_comes_of_that_is_too_old() -> None:
    boots = {boot: ReceivedNumbers(0, 1, ()) for boot in range(10, 10 + DEVICE_BOOTS)}
    outcome, _, forgotten = take_of_boot(boots, 99, 1)
    assert (outcome, forgotten) == ("applied", frozenset({10}))
    assert take_of_boot(boots, 9, 1)[0] == "too-old"
