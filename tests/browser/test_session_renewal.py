"""The renewal of a client's session in the browser, by a clock of the test."""

from __future__ import annotations

from typing import Any, Final

from tests.browser.node_module import node_script

HOUR: Final = 3600


def test_a_session_that_was_not_renewed_is_soon_tried_again() -> None:
    told: dict[str, Any] = node_script("session_renewal.js")
    for run in ("well", "fails", "raises", "asks", "none"):
        assert told[run]["afterClose"] == told[run]["left"] == 0
    assert told["well"]["asked"] == [0, 3 * HOUR, 6 * HOUR, 9 * HOUR]
    assert told["none"]["asked"] == [0, 3 * HOUR]
    assert told["well"]["failures"] == []
    # Longer after each failure, beginning with half a second; then three hours from the success on.
    first, second, third, fourth, *later = told["fails"]["asked"]
    assert (first, second, third, fourth) == (0, 0.5, 1.5, 3.5)
    assert all(3 * HOUR <= at < 3 * HOUR + 120 for at in later)
    assert len(later) == 1
    assert told["fails"]["failures"] == ["503"] * 3
    assert told["raises"]["asked"] == [0, 0.5]
    assert told["raises"]["failures"] == ["no token"]
    assert told["asks"]["asked"] == [0, 300]
    # Core ends a session after a day: one that Core could not renew for hours is renewed within
    # half a minute of Core's return.
    assert told["away"]["longest"] <= 60
    assert told["away"]["back"] == 1
