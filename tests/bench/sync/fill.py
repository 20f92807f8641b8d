"""Databases with long logs, filled by the server itself: 6 million events in about 20 seconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import asyncpg

from core_api.orders.channel_entries import log_write_of
from core_api.orders.lifecycle import NewItem, PlaceOrder, place
from core_api.postgres.migrate import upgrade
from deploy.local.postgres import EmbeddedPostgres

_LOG: Final = """
INSERT INTO channel_log (channel, seq, order_id, order_version, type, occurred_at, body)
SELECT 'store:' || store, seq, gen_random_uuid(), 1, 'order.placed', now(), $3
FROM generate_series(1, $1::int) AS store, generate_series(1, $2::int) AS seq
"""
_HEADS: Final = """
INSERT INTO channel_heads (channel, head, digest, content_head)
SELECT 'store:' || store, $2::int, 0, $2::int FROM generate_series(1, $1::int) AS store
"""


async def make_database(server: EmbeddedPostgres, name: str) -> str:
    """Make a migrated, empty database. Returns its URL."""
    admin = await asyncpg.connect(server.url)
    try:
        await admin.execute(f"CREATE DATABASE {name}")
    finally:
        await admin.close()
    url = server.url.rpartition("/")[0] + f"/{name}"
    await upgrade(url)
    return url


async def fill(url: str, channels: int, events_each: int) -> None:
    """Give each of `store:1` to `store:{channels}` its events.

    The log is filled as an unlogged table and indexed afterwards, which is faster. For readers it
    is a normal table.
    """
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET synchronous_commit = off; SET maintenance_work_mem = '256MB'")
        await connection.execute(
            "ALTER TABLE channel_log SET UNLOGGED;"
            "ALTER TABLE channel_log DROP CONSTRAINT pk_channel_log"
        )
        await connection.execute(_LOG, channels, events_each, sample_body())
        await connection.execute(
            "ALTER TABLE channel_log ADD CONSTRAINT pk_channel_log PRIMARY KEY (channel, seq)"
        )
        await connection.execute(_HEADS, channels, events_each)
        await connection.execute("VACUUM (ANALYZE) channel_log")
        await connection.execute("VACUUM (ANALYZE) channel_heads")
        # Writes all to the disk, so that this costs no CPU while syncs are measured.
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


def sample_body() -> str:
    """The log's body for an order with two items, as the write path makes it."""
    command = PlaceOrder(
        "12", "KRW", [NewItem("Gimbap", 2, 3500), NewItem("Tteokbokki", 1, 5000)], table_id="5"
    )
    at = datetime(2026, 1, 1, 12, tzinfo=UTC)
    change = place(
        command, order_id="01a1fc0c-7a60-77c9-ba73-87c38a9e69f5", placed_by="pos-7", now=at
    )
    return log_write_of(change, None).entries[0].body
