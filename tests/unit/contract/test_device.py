"""The header by which a device tells who it is and how it stands."""

from __future__ import annotations

import pytest

from client_sdk.contract.device import DeviceReport, format_device, parse_device
from client_sdk.contract.errors import DeviceError


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (DeviceReport("till-1", "live", 0), "till-1; mode=live; pending=0"),
        (DeviceReport("*", "polling", 12), "*; mode=polling; pending=12"),
        (DeviceReport("till-1", "live", 3, 2), "till-1; mode=live; pending=3; diverged=2"),
    ],
)
def test_it_is_written_and_read(report: DeviceReport, text: str) -> None:
    assert format_device(report) == text
    assert parse_device(text) == report


def test_counts_beyond_the_form_are_written_as_the_most_that_it_holds() -> None:
    report = DeviceReport("till-1", "live", 10**9, 10**9)
    assert format_device(report) == "till-1; mode=live; pending=1000000; diverged=999"


@pytest.mark.parametrize(
    "text",
    [
        "till-1; mode=live",
        "till-1; mode=live; pending=-1",
        "till-1; mode=live; pending=0; diverged=",
        "till-1; mode=live; pending=0; diverged=1000",
        "till-1; diverged=1; mode=live; pending=0",
        "till-1; mode=live; pending=0; more=1",
    ],
)
def test_what_is_not_of_the_form_is_refused(text: str) -> None:
    with pytest.raises(DeviceError):
        parse_device(text)
