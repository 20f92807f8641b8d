"""Keeps personal data out of Core's logs."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import Any

import asyncpg


def without_rows(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor that removes the detail of Postgres's errors, which may quote a whole
    row, and so a guest's name, number and note.

    Args:
        _logger, _method: structlog's; not looked at.
        event: the event so far. The error of its `exc_info` is changed, with those that led to it.

    Returns:
        The event as it was given.
    """
    error = event.get("exc_info")
    if isinstance(error, tuple):
        error = error[1]
    elif error is not None and not isinstance(error, BaseException):
        error = sys.exc_info()[1]
    while error is not None:
        if isinstance(error, asyncpg.PostgresError):
            error.detail = None
        error = error.__cause__ or error.__context__
    return event
