"""The tables of the log: the counter row of each channel, and its events."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import BIT

from core_api.postgres.tables.metadata import metadata

channel_heads = Table(
    "channel_heads",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("head", BigInteger, nullable=False, comment="the newest seq"),
    Column("digest", BigInteger, nullable=False, comment="of the open orders, signed 64 bits"),
    Column(
        "floor",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="the newest seq that retention has trimmed",
    ),
    Column(
        "content_digest",
        BIT(128),
        nullable=False,
        server_default=text("B'0'::bit(128)"),
        comment="of the open orders' content; true while content_head is the head",
    ),
    Column(
        "content_head",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="the head, less the events that no content digest was kept for",
    ),
    Column(
        "open_orders",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="how many orders are open, or documents there are; true only while counted = head",
    ),
    Column(
        "open_bytes",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="their bytes as this channel sees them; true only while counted = head",
    ),
    Column(
        "counted",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="the head that open_orders and open_bytes were kept at",
    ),
    Column(
        "rules",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="when the documents that orders of this store obey last changed, in microseconds; "
        "0: never",
    ),
    CheckConstraint("head >= 0 AND floor >= 0 AND floor <= head", name="range"),
    # Every write updates this row in place; room on the page keeps the update off the index.
    postgresql_with={"fillfactor": "50"},
    comment="The counter row that makes a channel's seqs gapless and in commit order",
)

channel_log = Table(
    "channel_log",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("order_id", Uuid),
    Column("order_version", Integer, nullable=False),
    Column(
        "document_key",
        Text,
        comment="the key of the document that it is about; null: it is about an order",
    ),
    Column("type", Text, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("body", Text, nullable=False, comment="the event's JSON after its id and seq"),
    Index("ix_channel_log_occurred_at", "occurred_at", postgresql_using="brin"),
    Index(
        "ix_channel_log_order",
        "order_id",
        "order_version",
        postgresql_where=text("channel LIKE 'store:%'"),
    ),
    comment="The events of each channel",
)
