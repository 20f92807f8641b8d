"""Whether a device is there: late, repeated and older words change nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core_api.devices.presence import DevicePresence, heard, offline_value, status_value
from core_api.devices.times import rfc3339
from server_common.devices.messages import Status
from tests.unit.core_api.samples import LATER, NOW


def status(connection: str = "b", at: int = 20, boot: int = 1, **more: Any) -> Status:
    return Status(connection, more.pop("online", True), at, boot, **more)


KNOWN = DevicePresence("b", 1, 20, online=True)


def test_the_first_word_of_a_device_is_taken_as_it_is() -> None:
    assert heard(None, status(online=False)) == DevicePresence("b", 1, 20, online=False)


@pytest.mark.parametrize(
    "older",
    [
        status(at=19),
        status(at=20),
        status("a", 19),
        status("a", 15, online=False),
        status("c", 30, boot=0),
        status("a", 99, boot=0, online=False),
    ],
    ids=str,
)
def test_an_older_word_and_the_will_of_an_older_connection_are_ignored(older: Status) -> None:
    assert heard(KNOWN, older) is None


@pytest.mark.parametrize("newer", [status(at=21), status("c", 21), status("c", 0, boot=2)], ids=str)
def test_a_newer_word_is_taken_from_whichever_connection(newer: Status) -> None:
    after = heard(KNOWN, newer)
    assert after is not None
    assert (after.connection, after.online) == (newer.connection, True)


def test_the_will_of_this_connection_counts_though_it_was_written_at_its_start() -> None:
    gone = heard(KNOWN, status(at=1, online=False))
    assert gone == DevicePresence("b", 1, 20, online=False)


def test_what_was_said_before_the_will_does_not_bring_the_device_back() -> None:
    gone = DevicePresence("b", 1, 20, online=False)
    assert heard(gone, status(at=20)) is None
    assert heard(gone, status(at=1, online=False)) is None
    back = heard(gone, status(at=21))
    assert back is not None
    assert back.online


def test_a_status_that_says_the_same_changes_nothing_of_the_document() -> None:
    first = status_value(None, status(firmware="1.2", troubles=["no paper"]), NOW)
    assert first["at"] == rfc3339(NOW)
    again = status_value(first, status(at=80, firmware="1.2", troubles=["no paper"]), LATER)
    assert again == first


def test_a_change_has_the_time_at_which_it_was_heard() -> None:
    first = status_value(None, status(troubles=["no paper"]), NOW)
    mended = status_value(first, status(at=80), LATER)
    assert mended == first | {"troubles": [], "at": rfc3339(LATER)}


def test_a_will_keeps_what_troubled_the_device_last() -> None:
    first = status_value(None, status(firmware="1.2", troubles=["no paper"]), NOW)
    gone = status_value(first, status(at=1, online=False), LATER)
    assert gone == first | {"online": False, "at": rfc3339(LATER)}


def test_a_silent_device_goes_offline_and_one_that_never_spoke_has_no_document() -> None:
    first = status_value(None, status(), NOW)
    assert offline_value(first, LATER) == first | {"online": False, "at": rfc3339(LATER)}
    assert offline_value(None, LATER) is None


def test_a_time_is_written_in_utc_to_the_millisecond() -> None:
    assert rfc3339(NOW + timedelta(seconds=1)) == "2026-11-21T03:00:39.624Z"
