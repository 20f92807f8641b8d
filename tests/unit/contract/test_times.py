"""The times of versions as Core writes them: one text for each time, and nothing else is one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract.text import time_of, time_text

TIMES = st.datetimes(datetime(1970, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC))


@given(TIMES)
def test_a_time_is_written_and_read_as_core_writes_it(at: datetime) -> None:
    assert time_text(at) == msgspec.json.decode(msgspec.json.encode(at))
    assert time_of(time_text(at)) == at


def test_a_time_of_another_offset_is_written_in_utc() -> None:
    at = datetime(2026, 11, 22, 18, 30, tzinfo=timezone(timedelta(hours=9)))
    assert time_text(at) == "2026-11-22T09:30:00Z"


@pytest.mark.parametrize(
    "text",
    ["", "2026-11-22", "2026-11-22T09:30:00", "2026-11-22T09:30:00+00:00", "2026-11-22T09:30:00z",
     "2026-11-22 09:30:00Z", "2026-11-22T09:30:00.Z", "2026-11-22T09:30:00.1234567Z",
     "2026-02-30T09:30:00Z", "2026-11-22T25:30:00Z", "0000-11-22T09:30:00Z",
     "2026-11-22T09:30:00Z\n", "２026-11-22T09:30:00Z"],
    ids=ascii,
)  # fmt: skip
def test_any_other_text_is_no_time(text: str) -> None:
    assert time_of(text) is None
