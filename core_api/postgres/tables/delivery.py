"""The columns of deliveries from the log: their position, and when they are retried."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Integer, Text

from core_api.postgres.tables.metadata import TIME, optional, required


def delivery_columns(seq: str, decided: str) -> tuple[Column[Any], ...]:
    """The columns, each made for one table.

    Args:
        seq: what the seq says.
        decided: what somebody decides on when the fence is raised.
    """
    return (
        required("epoch", Text, "of the log that seq is of"),
        required("seq", BigInteger, seq),
        required("tries", Integer, default="0"),
        optional("failing_since", TIME, "null: the last attempt succeeded"),
        optional("failure", Text, "what the last attempt came to"),
        required("due_at", TIME, default="now()"),
        required("held_until", TIME, default="now()"),
        required(
            "fence", BigInteger, f"one up whenever somebody else decides on {decided}", default="0"
        ),
    )
