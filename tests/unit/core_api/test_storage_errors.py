"""Which troubles of Postgres are waited out, and which are faults of ours."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import asyncpg
import pytest

from core_api.errors import LockedError, UnavailableError
from core_api.postgres.errors import (
    CLASSES,
    CODES,
    IS_ABSENT,
    IS_REFUSED,
    IS_UNREADABLE,
    Meaning,
    means,
    told_by,
)
from core_api.postgres.pool import any_error_mapped, mapped_errors, shares


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DiskFullError("could not extend file: No space left on device"),
        asyncpg.OutOfMemoryError("out of memory"),
        asyncpg.TooManyConnectionsError("sorry, too many clients already"),
        asyncpg.PostgresIOError("could not write block"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        asyncpg.AdminShutdownError("terminating connection"),
        asyncpg.QueryCanceledError("canceling statement due to conflict with recovery"),
        asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT in a read-only transaction"),
        asyncpg.ObjectNotInPrerequisiteStateError("recovery is in progress"),
        asyncpg.UndefinedTableError('relation "orders" does not exist'),
        asyncpg.UndefinedColumnError('column "born_in" does not exist'),
        asyncpg.UndefinedFunctionError("function does not exist"),
        asyncpg.InsufficientPrivilegeError("permission denied for table orders"),
        asyncpg.InvalidPasswordError("password authentication failed"),
        asyncpg.InvalidCatalogNameError('database "yabam" does not exist'),
        asyncpg.DeadlockDetectedError("deadlock detected"),
        asyncpg.LockNotAvailableError("canceling statement due to lock timeout"),
        asyncpg.InterfaceError("connection is closed"),
        ConnectionRefusedError(),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_database_that_cannot_now_is_unavailable(error: Exception) -> None:
    with pytest.raises(UnavailableError) as unavailable, mapped_errors():
        raise error
    assert unavailable.value.told.startswith("the database is not available: ")
    assert str(error) in str(unavailable.value)
    assert str(error) == "" or str(error) not in unavailable.value.told


def test_a_lock_that_is_held_is_told_from_an_absent_database() -> None:
    with pytest.raises(LockedError), mapped_errors():
        raise asyncpg.LockNotAvailableError("canceling statement due to lock timeout")


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.UniqueViolationError("duplicate key"),
        asyncpg.CheckViolationError("total"),
        asyncpg.CharacterNotInRepertoireError('invalid byte sequence for encoding "UTF8": 0x00'),
        asyncpg.DataError("invalid input for query argument $1"),
        asyncpg.SyntaxOrAccessError("syntax error"),
        ZeroDivisionError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_postgres_refuses_because_of_the_data_stays_what_it_is(error: Exception) -> None:
    with pytest.raises(type(error)), mapped_errors():
        raise error


@pytest.mark.parametrize("size", range(2, 60))
def test_connections_are_shared_out_so_that_none_is_left_over(size: int) -> None:
    reading, writing = shares(size)
    assert reading + writing == size
    assert reading >= writing >= 1
    assert writing <= 4


@pytest.mark.parametrize("error", [asyncpg.CheckViolationError("a\nrow"), asyncpg.RaiseError("a")])
def test_work_that_is_tried_until_it_is_done_waits_at_any_error_of_postgres(
    error: asyncpg.PostgresError,
) -> None:
    with pytest.raises(UnavailableError) as raised, any_error_mapped():
        raise error
    assert str(raised.value) == "the database answers with an error: a"


def test_what_another_try_would_meet_as_well_is_left_as_it_is() -> None:
    with pytest.raises(asyncpg.CheckViolationError), any_error_mapped(IS_REFUSED):
        raise asyncpg.CheckViolationError("a row")


def test_a_bug_of_ours_is_no_error_of_postgres() -> None:
    with pytest.raises(ZeroDivisionError), any_error_mapped():
        raise ZeroDivisionError


def test_no_error_is_absent_to_one_and_damaged_to_another_but_those_of_the_disk() -> None:
    assert {Meaning.DISK} == IS_ABSENT & IS_UNREADABLE
    assert set() == IS_ABSENT & IS_REFUSED
    assert {one for one, (meaning, _) in CLASSES.items() if meaning is Meaning.DISK} == {"58"}
    assert Meaning.DISK not in {meaning for meaning, _ in CODES.values()}
    assert {code for code in CODES if code[:2] in CLASSES} == set(), "a code and its class differ"


def test_no_other_module_reads_codes_of_postgres() -> None:
    root = Path(__file__).parents[3] / "core_api"
    known = "|".join(CODES)
    # Migrations wait for locks by SQLAlchemy's errors, before this table can be of use.
    readers = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if re.search(rf"[\"'](?:{known})[\"']|sqlstate", path.read_text())
    }
    assert readers == {"postgres/errors.py", "postgres/migrations/locking.py"}


def test_what_is_no_error_of_postgres_tells_nothing() -> None:
    assert told_by(OSError()) is None
    assert told_by(asyncpg.PostgresSyntaxError("")) is None


def test_no_other_module_tells_errors_of_postgres_by_their_class() -> None:
    root = Path(__file__).parents[3] / "core_api"
    kinds = {
        name
        for name, kind in vars(asyncpg.exceptions).items()
        if isinstance(kind, type) and issubclass(kind, asyncpg.PostgresError)
    } - {"PostgresError"}
    readers = {
        (path.relative_to(root).as_posix(), word)
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (word := getattr(node, "attr", getattr(node, "name", ""))) in kinds
    }
    assert readers == {
        # What the driver raises itself, of a bad argument, has no code of a server.
        ("postgres/pool.py", "DataError"),
        ("postgres/unreadable_rows.py", "DataError"),
        # Not what the error means, but whether our own statement raised it, by a row without room.
        ("orders/writing.py", "NotNullViolationError"),
    }


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (asyncpg.DeadlockDetectedError(""), Meaning.CLASHED),
        (asyncpg.SerializationError(""), Meaning.CLASHED),
        (asyncpg.LockNotAvailableError(""), Meaning.LOCKED),
        (asyncpg.NotNullViolationError(""), Meaning.REFUSED),
        (asyncpg.ReadOnlySQLTransactionError(""), Meaning.ABSENT),
    ],
)
def test_each_kind_that_a_caller_tells_from_the_others_has_its_meaning(
    error: asyncpg.PostgresError, meaning: Meaning
) -> None:
    assert [one for one in Meaning if means(error, one)] == [meaning]
