"""The tables of relays: what is to be published, by whom, and what Kafka refused."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Identity, Index, Integer, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY

from core_api.postgres.tables.metadata import TIME, key, metadata, optional, required

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    required("shard", Integer, "the Kafka partition of the store"),
    optional("store_id", Text),
    required("channels", ARRAY(Text)),
    required("seqs", ARRAY(BigInteger)),
    required("committed_after", TIME, default="now()"),
    Index("ix_outbox_shard_id", "shard", "id"),
    comment="Events that the relay has still to publish; each points into the log",
)

outbox_set_aside = Table(
    "outbox_set_aside",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    required("shard", Integer),
    optional("store_id", Text),
    required("channels", ARRAY(Text)),
    required("seqs", ARRAY(BigInteger)),
    required("committed_after", TIME),
    required("reason", Text),
    required("at", TIME, default="now()"),
    comment="Events that Kafka will never take; their clients were told to sync",
)

relay_leases = Table(
    "relay_leases",
    metadata,
    key("shard", Integer),
    required("owner", Text),
    required("fence", BigInteger, "one up at each change of owner"),
    required("expires_at", TIME),
    required(
        "renewed_at",
        TIME,
        "in the future: the clock was set back, and the lease holds no more",
        default="now()",
    ),
    comment="Which relay owns a shard; the fence is checked by the statement that deletes rows",
)

relay_members = Table(
    "relay_members",
    metadata,
    key("relay", Text),
    required("seen_at", TIME),
    comment="The relays that are alive, so that each takes its fair share of shards",
)
