"""Rows that Postgres cannot read, such as one whose value is damaged on its disk.

One of them makes a read of many fail. This module recognises such a failure, so that the caller can
read fewer rows, until the unreadable one is isolated.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

import asyncpg

from core_api.errors import UnreadableRowError
from core_api.postgres.errors import IS_UNREADABLE, Meaning, told_by

Q = TypeVar("Q")
A = TypeVar("A")

_TOLD: Final = "the database cannot read a stored row"


@contextmanager
def unreadable_rows() -> Iterator[None]:
    """Turn errors caused by a row that Postgres cannot read into `UnreadableRowError`.

    Errors of class 58 are included: Postgres reports a block that the disk cannot read so. If the
    whole database fails, a smaller read fails in the same way.

    Raises:
        UnreadableRowError: the block met such a row.
    """
    try:
        yield
    except asyncpg.PostgresError as error:
        # The driver raises exactly this class for a bad argument of ours.
        is_ours = type(error) is asyncpg.DataError
        told = None if is_ours else told_by(error)
        if told is None or told[0] not in IS_UNREADABLE:
            raise
        why = "its disk cannot read it" if told[0] is Meaning.DISK else told[1]
        raise unreadable(f"{why}: {error}") from error
    except UnicodeDecodeError as error:
        raise unreadable(f"it is no text: {error}") from error


def unreadable(reason: str) -> UnreadableRowError:
    """The error for a row that cannot be read for this reason."""
    return UnreadableRowError(f"Postgres cannot read a row, {reason}", _TOLD)


async def by_halves(
    read: Callable[[Sequence[Q]], Awaitable[Sequence[A]]], questions: Sequence[Q]
) -> list[A | UnreadableRowError]:
    """The answer to each question; in place of an unreadable one, the error.

    Args:
        read: answers questions, in their order.
        questions: at least one.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    try:
        return [*await read(questions)]
    except UnreadableRowError as error:
        if len(questions) == 1:
            return [error]
    middle = len(questions) // 2
    return [
        *await by_halves(read, questions[:middle]),
        *await by_halves(read, questions[middle:]),
    ]
