"""The tables of orders, log, relays and receipts, as SQLAlchemy Core metadata.

Those of documents stand in `document_tables.py`, those of devices and printers in
`device_tables.py`; `all_tables.py` has all of them, as Alembic and a test compare them.

The log, the outbox and the heads are written by one statement per command (`orders/writing.py`)
and read by gathered statements (`sync/reading.py`), both on asyncpg. Text is `text`, times are
`timestamptz`, money is `bigint` in minor units. JSON that is only passed through is `text`:
Postgres need not parse it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, BIT

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_OPEN = text("status NOT IN ('rejected', 'paid', 'cancelled')")

orders = Table(
    "orders",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("store_id", Text, nullable=False),
    Column("table_id", Text),
    Column("status", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("reference", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column(
        "placed_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=text("now()"),
        comment="by the database's clock; created_at is by Core's",
    ),
    Column("owner_view", Text, nullable=False, comment="the whole order as JSON"),
    Column("table_view", Text, comment="what its table may see; null without a table"),
    Column("placed_by", Text, comment="the subject; null on orders from before this column"),
    CheckConstraint("version >= 1", name="version"),
    CheckConstraint("total >= 0", name="total"),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    CheckConstraint("(table_id IS NULL) = (table_view IS NULL)", name="table_view"),
    # Snapshots read the open orders of a store or of one table, by id and in pages; both indexes
    # stay small because closed orders, which are nearly all of them, are not in them.
    Index("ix_orders_open_store", "store_id", "id", postgresql_where=_OPEN),
    Index("ix_orders_open_table", "store_id", "table_id", "id", postgresql_where=_OPEN),
    comment="The current state of each order",
)

order_items = Table(
    "order_items",
    metadata,
    Column("order_id", Uuid, ForeignKey("orders.id", ondelete="CASCADE"), primary_key=True),
    Column("line", SmallInteger, primary_key=True),
    Column("name", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("unit_price", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    CheckConstraint("quantity >= 1", name="quantity"),
    CheckConstraint("unit_price >= 0", name="unit_price"),
    comment="The lines of each order, for questions asked in SQL",
)

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

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("shard", Integer, nullable=False, comment="the Kafka partition of the store"),
    Column("store_id", Text),
    Column("channels", ARRAY(Text), nullable=False),
    Column("seqs", ARRAY(BigInteger), nullable=False),
    Column(
        "committed_after", DateTime(timezone=True), nullable=False, server_default=text("now()")
    ),
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
    Column("at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    comment="Events that Kafka will never take; their clients were told to sync",
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("order_id", Uuid, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Index("ix_idempotency_keys_created_at", "created_at"),
    comment="The answer of each write that named a key, kept for its retries",
)

epoch = Table(
    "epoch",
    metadata,
    Column("singleton", Integer, primary_key=True, server_default=text("1")),
    Column("epoch", Text, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("born_in", Text, comment="the cluster, timeline and database it began in"),
    CheckConstraint("singleton = 1", name="singleton"),
    comment="The lifetime of the log; a restore starts a new one",
)

epoch_witness = Table(
    "epoch_witness",
    metadata,
    Column("singleton", Integer, primary_key=True, server_default=text("1")),
    Column("at", DateTime(timezone=True), nullable=False, comment="when a relay looked"),
    Column(
        "until",
        DateTime(timezone=True),
        nullable=False,
        comment="until when relays may publish on the strength of it",
    ),
    Column(
        "replicated", Boolean, nullable=False, comment="whether each commit waited for a standby"
    ),
    CheckConstraint("singleton = 1", name="singleton"),
    comment="How far the database has come: what a promoted standby is judged by",
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
        server_default=text("now()"),
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

devices = Table(
    "devices",
    metadata,
    Column("store_id", Text, primary_key=True),
    Column("device", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("epoch", Text, nullable=False),
    Column("applied", BigInteger, nullable=False, comment="the last seq of the store's channel"),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    Index("ix_devices_seen_at", "seen_at"),
    comment="What each device of an owner had applied at its last sync",
)

unreached = Table(
    "unreached",
    metadata,
    Column("order_id", Uuid, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("store_id", Text, nullable=False),
    Column("placed_at", DateTime(timezone=True), nullable=False),
    Column(
        "told_at",
        DateTime(timezone=True),
        comment="when its record was published; null: not yet",
    ),
    comment="Orders that nobody has received or accepted in time",
)

pairings = Table(
    "pairings",
    metadata,
    Column("store_id", Text, primary_key=True),
    Column("code", LargeBinary, nullable=False, comment="its SHA-256"),
    Column("subject", Text, nullable=False),
    Column("brand", Text),
    Column("token", Text, nullable=False, comment="a hash of the offering token's name"),
    Column("session", Text, nullable=False, comment="a hash of its session's; or empty"),
    Column("signed_in_at", BigInteger, nullable=False, comment="seconds since 1970"),
    Column("token_ends_at", BigInteger, nullable=False, comment="seconds since 1970"),
    Column("tries_left", SmallInteger, nullable=False),
    Column("ends_at", DateTime(timezone=True), nullable=False),
    Index("ix_pairings_ends_at", "ends_at"),
    comment="The code by which a new tablet of the store takes over a sign-in; the last one",
)

orders_reached = Table(
    "orders_reached",
    metadata,
    Column("order_id", Uuid, primary_key=True),
    Column("device", Text, primary_key=True),
    Column("how", Text, primary_key=True, comment="seen or printed"),
    Column("at", DateTime(timezone=True), nullable=False),
    Index("ix_orders_reached_at", "at"),
    comment="Where an order was shown to a person, or came out on paper",
)
