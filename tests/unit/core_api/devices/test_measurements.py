"""Measurements: the newest wins, at a bounded rate and in a bounded room."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from core_api.devices.measurements import (
    EVERY_S,
    Measured,
    Measurements,
    telemetry_value,
    without_fractions,
)
from server_common.devices.messages import Telemetry
from server_common.limits import DEVICE_MEASUREMENTS
from tests.unit.core_api.samples import NOW

OVEN = ("12", "oven-1")


class Gathered:
    """Measurements under a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.dropped = 0
        self.held = Measurements(lambda: self.now, self._drop)

    def _drop(self) -> None:
        self.dropped += 1


def measured(value: Any, at: datetime = NOW, unit: str | None = None) -> Measured:
    return Measured(int(at.timestamp() * 1000), Telemetry(value, unit), 1, 0)


def test_the_newest_of_each_name_is_written_whatever_came_last() -> None:
    one = Gathered()
    one.held.note(OVEN, "heat", measured(2, NOW))
    one.held.note(OVEN, "heat", measured(1, NOW - timedelta(seconds=1)))
    assert one.held.due()[OVEN]["heat"].telemetry.value == 2


def test_a_device_that_measures_often_is_written_seldom_and_loses_nothing_new() -> None:
    one = Gathered()
    one.held.note(OVEN, "heat", measured(1))
    assert one.held.due()
    one.held.note(OVEN, "heat", measured(2))
    one.now += EVERY_S - 0.1
    assert one.held.due() == {}
    one.now += 0.1
    assert one.held.due()[OVEN]["heat"].telemetry.value == 2
    assert one.held.due() == {}


def test_what_could_not_be_written_waits_behind_what_is_newer() -> None:
    one = Gathered()
    one.held.note(OVEN, "heat", measured(1))
    one.held.note(OVEN, "door", measured(True))
    due = one.held.due()[OVEN]
    one.held.note(OVEN, "heat", measured(2, NOW + timedelta(seconds=1)))
    one.held.put_back(OVEN, due)
    one.now += EVERY_S
    values = {name: of.telemetry.value for name, of in one.held.due()[OVEN].items()}
    assert values == {"heat": 2, "door": True}


def test_a_device_has_so_many_names_and_no_more() -> None:
    one = Gathered()
    for n in range(DEVICE_MEASUREMENTS + 3):
        one.held.note(OVEN, f"n{n}", measured(n))
    assert len(one.held.due()[OVEN]) == DEVICE_MEASUREMENTS
    assert one.dropped == 3


def test_the_document_keeps_other_names_and_is_never_made_older() -> None:
    before = {"heat": {"value": 9, "at": "2099-01-01T00:00:00.000Z"}, "door": {"value": True,
              "at": "2000-01-01T00:00:00.000Z"}}  # fmt: skip
    value = telemetry_value(before, {"heat": measured(1), "door": measured(False)}, NOW)
    assert value["heat"]["value"] == 9
    assert value["door"] == {"value": False, "at": "2026-11-21T03:00:38.624Z"}


def test_a_gateway_whose_clock_is_fast_keeps_out_nothing_that_comes_later() -> None:
    value = telemetry_value(None, {"heat": measured(1, NOW + timedelta(hours=1), "C")}, NOW)
    assert value == {"heat": {"value": 1, "unit": "C", "at": "2026-11-21T03:00:38.624Z"}}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (3.5, "3.5"),
        (3.0, 3),
        (2**60, str(2**60)),
        (1e300, "1e+300"),
        (True, True),
        ({"a": [0.25, "x"]}, {"a": ["0.25", "x"]}),
    ],
)
def test_what_no_document_may_hold_as_a_number_stands_as_text(given: Any, kept: Any) -> None:
    assert without_fractions(given) == kept
    assert type(without_fractions(given)) is type(kept)
