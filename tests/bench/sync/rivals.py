"""The same Fetch Sync with a query per request, as an engineer would first write it.

An ordinary Starlette application on uvicorn: token check, parsing, rules, encoding and ticket are
Core's own functions, and so is the statement. The difference is that it does not combine requests.
Unlike Core it has no metrics, limits, resets or CORS.

    python -m tests.bench.sync.rivals sqlalchemy|asyncpg PORT        (settings as `yabam core`)
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

import uvicorn
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from client_sdk.contract.sync import StreamGrant
from core_api.access.reach import check_follow
from core_api.postgres.pool import PLANNER, open_pool
from core_api.settings import CoreSettings
from core_api.sync.events_or_reset import cursor_of, encode_answer, page_of
from core_api.sync.queries import Moment, Page, PageQuery
from core_api.sync.reading import PAGES, pages_of
from core_api.sync.request import SyncRequest, parse_sync
from core_api.wiring import token_keys
from server_common.access.tickets import Ticket, TicketKeys
from server_common.settings.loader import load
from tests.parts import engine_url

Read: TypeAlias = Callable[[Sequence[PageQuery]], Awaitable[tuple[Moment, list[Page]]]]


async def by_sqlalchemy(settings: CoreSettings) -> Read:
    """A connection of an engine per request, with SQLAlchemy's defaults."""
    engine = create_async_engine(
        engine_url(settings.database_url),
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=60,
        connect_args={"server_settings": PLANNER},
    )

    async def read(queries: Sequence[PageQuery]) -> tuple[Moment, list[Page]]:
        async with engine.connect() as connection:
            found = await connection.exec_driver_sql(PAGES, _columns(queries))
            return pages_of(found.fetchall())

    return read


async def by_asyncpg(settings: CoreSettings) -> Read:
    """A connection of asyncpg's pool per request, without the reset that it sends by default."""
    pool = await open_pool(
        settings.database_url, size=settings.pool_size, command_timeout_s=60, name="asyncpg"
    )

    async def read(queries: Sequence[PageQuery]) -> tuple[Moment, list[Page]]:
        return pages_of(await pool.fetch(PAGES, *_columns(queries)))

    return read


OPENERS: Final = {"sqlalchemy": by_sqlalchemy, "asyncpg": by_asyncpg}


class Rival:
    """The application.

    Args:
        open_database: makes the function that reads; called in the server's event loop.
        settings: the settings of Core.
    """

    def __init__(
        self, open_database: Callable[[CoreSettings], Awaitable[Read]], settings: CoreSettings
    ) -> None:
        self._open_database = open_database
        self._settings = settings
        self._tokens = token_keys(settings.token_keys, settings.token_kid)
        keys = {kid: key.encode() for kid, key in settings.ticket_keys.items()}
        self._tickets = TicketKeys(keys, settings.ticket_kid)
        self._read: Read | None = None

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(routes=[Route("/v1/sync", self.sync), Route("/readyz", self.ready)])

    async def ready(self, _request: Request) -> Response:
        """GET /readyz."""
        return Response(b"{}")

    async def sync(self, request: Request) -> Response:
        """GET /v1/sync."""
        caller = self._tokens.verify(request.headers["authorization"].removeprefix("Bearer "))
        wanted = parse_sync(request.query_params.multi_items())
        for channel in wanted.after:
            check_follow(caller, channel)
        if self._read is None:
            self._read = await self._open_database(self._settings)
        moment, pages = await self._read(wanted.queries())
        body = self._answer(wanted, moment, pages, caller.subject)
        return Response(body, media_type="application/json", headers={"cache-control": "no-store"})

    def _answer(
        self, wanted: SyncRequest, moment: Moment, pages: list[Page], subject: str
    ) -> bytes:
        channels = [
            page_of(str(channel), after or 0, page)
            for (channel, after), page in zip(wanted.after.items(), pages, strict=True)
        ]
        lifetime_s = self._settings.ticket_ttl_s
        ticket = Ticket(
            moment.epoch,
            cursor_of(channels),
            moment.unix_s,
            moment.unix_s + lifetime_s,
            subject,
        )
        grant = StreamGrant(self._settings.stream_url, self._tickets.sign(ticket), lifetime_s)
        return encode_answer(moment, channels, grant, self._settings.poll_after_ms)


def _columns(queries: Sequence[PageQuery]) -> tuple[tuple[object, ...], ...]:
    return tuple(zip(*queries, strict=True))


def main() -> None:
    """Serve until SIGTERM."""
    rival = Rival(OPENERS[sys.argv[1]], load(CoreSettings))
    uvicorn.run(
        rival.app(),
        port=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
    )


if __name__ == "__main__":
    main()
