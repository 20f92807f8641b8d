"""The columns of what is told from the log: how far it is, and when it is tried again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Integer, Text, text

from core_api.postgres.tables.metadata import NOW


def delivery_columns(seq: str, decided: str) -> tuple[Column[Any], ...]:
    """The columns, each made for one table.

    Args:
        seq: what the seq says.
        decided: what somebody decides on when the fence is raised.
    """
    return (
        Column("epoch", Text, nullable=False, comment="of the log that seq is of"),
        Column("seq", BigInteger, nullable=False, comment=seq),
        Column("tries", Integer, nullable=False, server_default=text("0")),
        Column(
            "failing_since", DateTime(timezone=True), comment="null: the last attempt succeeded"
        ),
        Column("failure", Text, comment="what the last attempt came to"),
        Column("due_at", DateTime(timezone=True), nullable=False, server_default=NOW),
        Column("held_until", DateTime(timezone=True), nullable=False, server_default=NOW),
        Column(
            "fence",
            BigInteger,
            nullable=False,
            server_default=text("0"),
            comment=f"one up whenever somebody else decides on {decided}",
        ),
    )
