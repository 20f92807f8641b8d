"""The tables of the log: the counter row of each channel, and its events."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import BIT

from core_api.postgres.tables.metadata import TIME, key, metadata, optional, required

channel_heads = Table(
    "channel_heads",
    metadata,
    key("channel", Text),
    required("head", BigInteger, "the newest seq"),
    required("digest", BigInteger, "of the open orders, signed 64 bits"),
    required("floor", BigInteger, "the newest seq that retention has trimmed", default="0"),
    required(
        "content_digest",
        BIT(128),
        "of the open orders' content; true while content_head is the head",
        default="B'0'::bit(128)",
    ),
    required(
        "content_head",
        BigInteger,
        "the head, less the events that no content digest was kept for",
        default="0",
    ),
    required(
        "open_orders",
        BigInteger,
        "how many orders are open, or documents there are; true only while counted = head",
        default="0",
    ),
    required(
        "open_bytes",
        BigInteger,
        "their bytes as this channel sees them; true only while counted = head",
        default="0",
    ),
    required(
        "counted", BigInteger, "the head that open_orders and open_bytes were kept at", default="0"
    ),
    required(
        "rules",
        BigInteger,
        "when the documents that orders of this store obey last changed, in microseconds; 0: never",
        default="0",
    ),
    CheckConstraint("head >= 0 AND floor >= 0 AND floor <= head", name="range"),
    # Every write updates this row in place; room on the page keeps the update off the index.
    postgresql_with={"fillfactor": "50"},
    comment="The counter row that makes a channel's seqs gapless and in commit order",
)

channel_log = Table(
    "channel_log",
    metadata,
    key("channel", Text),
    key("seq", BigInteger),
    optional("order_id", Uuid),
    required("order_version", Integer),
    optional(
        "document_key", Text, "the key of the document that it is about; null: it is about an order"
    ),
    required("type", Text),
    required("occurred_at", TIME),
    required("body", Text, "the event's JSON after its id and seq"),
    Index("ix_channel_log_occurred_at", "occurred_at", postgresql_using="brin"),
    Index(
        "ix_channel_log_order",
        "order_id",
        "order_version",
        postgresql_where=text("channel LIKE 'store:%'"),
    ),
    comment="The events of each channel",
)
