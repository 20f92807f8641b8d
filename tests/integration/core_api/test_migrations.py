"""The schema: what the migrations make is what `docs/schema.md` says, forward and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

import core_api
from core_api.access.callers import Caller
from core_api.orders.lifecycle import NewItem, PlaceOrder, Transition
from core_api.orders.service import OrderService
from core_api.postgres import migrate
from core_api.postgres.pool import open_pool
from core_api.restore.main import begin_epoch
from core_api.settings import RestoreSettings
from core_api.wiring import new_order_id, utc_now
from deploy import schema_page
from tests.parts import engine_url


async def ask(database: str, question: Callable[[Connection], Any]) -> Any:
    engine = create_async_engine(engine_url(database))
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(question)
    finally:
        await engine.dispose()


async def test_the_page_of_the_schema_is_what_the_migrations_make(database: str) -> None:
    await migrate.upgrade(database)
    page = (Path(core_api.__file__).parents[1] / schema_page.TARGET).read_text()
    assert await schema_page.render(database) == page, "run `make docs`, and read what changed"


async def test_the_url_may_have_the_options_that_postgress_own_urls_have(database: str) -> None:
    await migrate.upgrade(f"{database}?sslmode=disable&application_name=migration")
    assert await begin_epoch(
        RestoreSettings.model_validate({"database_url": f"{database}?sslmode=disable"})
    )


async def test_migrations_go_forward_and_back_and_forward_again(database: str) -> None:
    await migrate.upgrade(database)
    await migrate.downgrade(database, "base")
    left = await ask(
        database,
        lambda c: c.execute(
            text(
                "SELECT count(*) FROM pg_tables"
                " WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
            )
        ).scalar(),
    )
    assert left == 0
    await migrate.upgrade(database)


async def test_a_new_database_has_an_epoch_and_a_new_epoch_is_later(database: str) -> None:
    await migrate.upgrade(database)
    read = text("SELECT epoch FROM epoch")
    first = await ask(database, lambda c: c.execute(read).scalar())
    await begin_epoch(RestoreSettings.model_validate({"database_url": database}))
    second = await ask(database, lambda c: c.execute(read).scalar())
    assert first < second


async def test_a_filled_database_goes_back_and_forward_without_losing_an_event(
    database: str,
) -> None:
    await migrate.upgrade(database)
    pool = await open_pool(database, size=4, command_timeout_s=10, name="test")
    commands = OrderService(pool, 4, utc_now, new_order_id, lambda _channels: None)
    owner = Caller("owner", "owner", frozenset({"*"}))
    for n in range(40):
        order = PlaceOrder(str(n % 3), "KRW", [NewItem("a", 1, 1)], table_id="5")
        placed = await commands.place(owner, order)
        await commands.transition(owner, placed.order_id, Transition("accepted"))
    pool.terminate()
    before = await contents(database)
    assert len(before["channel_log"]) == 160
    for revision in ("0003", "0002", "0001"):
        await migrate.downgrade(database, revision)
        assert await contents(database) == before, revision
    await migrate.upgrade(database)
    assert await contents(database) == before


async def contents(database: str) -> dict[str, list[str]]:
    """Every row of the tables and columns that there have been from the start; of the epoch its
    name alone."""
    tables = ("orders", "order_items", "channel_heads", "channel_log", "outbox")
    reads = {table: f"SELECT * FROM {table} ORDER BY 1, 2" for table in tables}
    reads["orders"] = (
        "SELECT id, store_id, table_id, status, version, currency, total, note, reference,"
        " created_at, updated_at, owner_view, table_view FROM orders ORDER BY 1"
    )
    reads["channel_heads"] = "SELECT channel, head, digest, floor FROM channel_heads ORDER BY 1"
    reads["channel_log"] = (
        "SELECT channel, seq, order_id, order_version, type, occurred_at, body"
        " FROM channel_log ORDER BY 1, 2"
    )
    reads["epoch"] = "SELECT epoch FROM epoch"

    def read(connection: Connection) -> dict[str, list[str]]:
        return {
            table: [str(row) for row in connection.execute(text(statement))]
            for table, statement in reads.items()
        }

    found: dict[str, list[str]] = await ask(database, read)
    return found


GUEST = """
INSERT INTO guest_pushes (store_id, table_id, device, endpoint, origin, p256dh, auth, language,
    subject, issued_at, expires_at, epoch, seq, token)
VALUES ('1', '5', $1, 'https://push.example/' || $1, 'https://push.example', 'key', 'secret', 'ko',
    'guest', 0, now() + interval '1 hour', '', 0, $2)
"""


async def test_guests_phones_whose_token_is_not_known_are_told_no_more(database: str) -> None:
    await migrate.upgrade(database, "0021")
    pool = await open_pool(database, size=1, command_timeout_s=10, name="test")
    await pool.execute(GUEST, "before-0021", "")
    await pool.execute(GUEST, "since-0021", "key")
    await migrate.upgrade(database)
    left = [row["device"] for row in await pool.fetch("SELECT device FROM guest_pushes")]
    pool.terminate()
    assert left == ["since-0021"]
