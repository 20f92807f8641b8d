"""Looking for ever: what is absent waits for the next look, anything else ends it."""

from __future__ import annotations

import asyncio

import pytest

from core_api.errors import UnavailableError
from core_api.postgres.patience import keep_looking


async def test_what_does_not_answer_is_looked_at_again_and_a_bug_ends_it() -> None:
    seen = iter([UnavailableError("the database is away"), None, KeyError("a bug")])
    looks = 0

    async def look() -> None:
        nonlocal looks
        looks += 1
        error = next(seen)
        if error is not None:
            raise error

    async with asyncio.timeout(5):
        with pytest.raises(KeyError):
            await keep_looking(look, 0, "look_waits")
    assert looks == 3
