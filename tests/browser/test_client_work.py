"""How much work an input takes in the browser's client that follows many channels: counted, as
time would tell of the machine only."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.browser.node_module import node_script

FEW, CHANNELS = 10, 40
"""The second is the most that it follows."""
INPUTS: Final = 100


def told_with(channels: int) -> dict[str, Any]:
    """What the client of so many channels has shown, and at how many entries it looked for each
    input."""
    found: dict[str, Any] = node_script("client_work.js", channels, INPUTS)
    assert found["mode"] == "live"
    return found


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return told_with(CHANNELS)


def test_a_heartbeat_looks_at_no_channel(told: dict[str, Any]) -> None:
    assert told["heartbeats"] == 0


def test_an_event_looks_at_each_channel_a_few_times_at_most(told: dict[str, Any]) -> None:
    more = told["events"] - told_with(FEW)["events"]
    # Once for each form in which the positions are shown, sent and stored: 24 times if each input
    # makes all of them anew.
    assert more / (CHANNELS - FEW) <= 10


def test_what_is_shown_and_stored_is_of_the_newest_event(told: dict[str, Any]) -> None:
    assert (told["oldSeq"], told["newSeq"], told["stored"]) == (1, INPUTS + 1, INPUTS + 1)
    assert (told["orders"], told["storedOrders"]) == ([INPUTS], [INPUTS])
    assert (told["known"], told["channels"]) == (CHANNELS, CHANNELS)
