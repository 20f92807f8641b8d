"""The tables of relays: what is to be published, by whom, and what Kafka refused."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Integer, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY

from core_api.postgres.tables.metadata import NOW, metadata

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("shard", Integer, nullable=False, comment="the Kafka partition of the store"),
    Column("store_id", Text),
    Column("channels", ARRAY(Text), nullable=False),
    Column("seqs", ARRAY(BigInteger), nullable=False),
    Column("committed_after", DateTime(timezone=True), nullable=False, server_default=NOW),
    Index("ix_outbox_shard_id", "shard", "id"),
    comment="Events that the relay has still to publish; each points into the log",
)

outbox_set_aside = Table(
    "outbox_set_aside",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("shard", Integer, nullable=False),
    Column("store_id", Text),
    Column("channels", ARRAY(Text), nullable=False),
    Column("seqs", ARRAY(BigInteger), nullable=False),
    Column("committed_after", DateTime(timezone=True), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=NOW),
    comment="Events that Kafka will never take; their clients were told to sync",
)

relay_leases = Table(
    "relay_leases",
    metadata,
    Column("shard", Integer, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("fence", BigInteger, nullable=False, comment="one up at each change of owner"),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column(
        "renewed_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=NOW,
        comment="in the future: the clock was set back, and the lease holds no more",
    ),
    comment="Which relay owns a shard; the fence is checked by the statement that deletes rows",
)

relay_members = Table(
    "relay_members",
    metadata,
    Column("relay", Text, primary_key=True),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    comment="The relays that are alive, so that each takes its fair share of shards",
)
