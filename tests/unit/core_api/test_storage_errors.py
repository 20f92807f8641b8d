"""Which troubles of Postgres are waited out, and which are faults of ours."""

from __future__ import annotations

import asyncpg
import pytest

from core_api.errors import UnavailableError
from core_api.storage.pool import mapped_errors


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DiskFullError("could not extend file: No space left on device"),
        asyncpg.OutOfMemoryError("out of memory"),
        asyncpg.TooManyConnectionsError("sorry, too many clients already"),
        asyncpg.PostgresIOError("could not write block"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        ConnectionRefusedError(),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_database_that_cannot_now_is_unavailable(error: Exception) -> None:
    with pytest.raises(UnavailableError), mapped_errors():
        raise error


def test_what_postgres_refuses_because_of_the_data_stays_what_it_is() -> None:
    with pytest.raises(asyncpg.UniqueViolationError), mapped_errors():
        raise asyncpg.UniqueViolationError("duplicate key")
