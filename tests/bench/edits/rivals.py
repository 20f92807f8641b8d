"""The same edits with plain SQLAlchemy, as a careful engineer would first write it.

A Starlette application on uvicorn with an ORM session per request. In one transaction it locks the
document's row (`SELECT … FOR UPDATE`), applies the operation, and writes the new version, a history
row, an outbox row and the client's number, by which it knows repeats. The token check, the reading
of the body, the merge and the call are Core's own functions.

Unlike Core it has no strategies (an edit changes whatever the document is), no schema check, no
limits, no channel log with gapless seqs, no digests, no snapshot of a channel, no stored answers
for repeats, no batches, no metrics and no CORS.

    python -m tests.bench.edits.rivals PORT        (settings as `yabam core`)
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import uvicorn
from sqlalchemy import BigInteger, DateTime, ForeignKeyConstraint, Select, Text, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from client_sdk.contract.channel import parse_channel
from client_sdk.contract.state.edit import Edit, decode_edits
from client_sdk.contract.state.operations import Call, apply
from client_sdk.contract.state.values import Value
from core_api.access.reach import check_follow
from core_api.documents.demonstration import DEFINITIONS
from core_api.postgres.pool import PLANNER
from core_api.settings import CoreSettings
from core_api.wiring import token_keys
from server_common.settings.loader import load
from tests.parts import engine_url

_CALLS: Final = {definition.key: definition.calls for definition in DEFINITIONS}


class _Base(DeclarativeBase):
    pass


class Document(_Base):
    """A document in its current version."""

    __tablename__ = "plain_documents"

    channel: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
    value: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Entry(_Base):
    """A version of a document."""

    __tablename__ = "plain_history"
    __table_args__ = (
        ForeignKeyConstraint(
            ["channel", "key"], ["plain_documents.channel", "plain_documents.key"]
        ),
    )

    channel: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    author: Mapped[str] = mapped_column(Text)
    operation: Mapped[dict[str, Any]] = mapped_column(JSONB)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Message(_Base):
    """A message that is still to be published."""

    __tablename__ = "plain_outbox"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    channel: Mapped[str] = mapped_column(Text)
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)


class Client(_Base):
    """The number of a client's last settled edit."""

    __tablename__ = "plain_clients"

    client: Mapped[str] = mapped_column(Text, primary_key=True)
    settled: Mapped[int] = mapped_column(BigInteger)


class Rival:
    """The application.

    Args:
        settings: the settings of Core.
    """

    def __init__(self, settings: CoreSettings) -> None:
        self._tokens = token_keys(settings.token_keys, settings.token_kid)
        self._engine: AsyncEngine = create_async_engine(
            engine_url(settings.database_url),
            pool_size=settings.pool_size,
            max_overflow=0,
            pool_timeout=60,
            connect_args={"server_settings": PLANNER},
        )
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)
        self._making = asyncio.Lock()
        self._is_made = False

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[Route("/v1/edits", self.edit, methods=["POST"]), Route("/readyz", self.ready)]
        )

    async def ready(self, _request: Request) -> Response:
        """GET /readyz; the tables exist when it answers."""
        async with self._making:
            if not self._is_made:
                async with self._engine.begin() as connection:
                    await connection.run_sync(_Base.metadata.create_all)
                self._is_made = True
        return Response(b"{}")

    async def edit(self, request: Request) -> Response:
        """POST /v1/edits, with one edit."""
        caller = self._tokens.verify(request.headers["authorization"].removeprefix("Bearer "))
        batch = decode_edits(await request.body())
        (edit,) = batch.edits
        if not isinstance(edit, Edit):
            return Response(edit.detail, 422)
        check_follow(caller, parse_channel(edit.channel))
        version = await self._settle(batch.client, edit, caller.subject)
        outcome = {"n": edit.n, "outcome": "applied", "version": version}
        body = msgspec.json.encode({"settled": edit.n, "outcomes": [outcome]})
        return Response(body, media_type="application/json", headers={"cache-control": "no-store"})

    async def _settle(self, name: str, edit: Edit, author: str) -> int:
        now = datetime.now(UTC)
        async with self._sessions.begin() as session:
            document = await session.scalar(_locked(edit))
            if document is None:
                # Of two that create it at once, only one may succeed; the other finds its row.
                await session.execute(
                    insert(Document)
                    .values(channel=edit.channel, key=edit.key, version=0, updated_at=now)
                    .on_conflict_do_nothing()
                )
                document = (await session.scalars(_locked(edit))).one()
            client = await session.get(Client, name, with_for_update=True)
            if client is None:
                client = Client(client=name, settled=0)
                session.add(client)
            if edit.n <= client.settled:
                return document.version
            client.settled = edit.n
            document.value = value = _applied(edit, document.value)
            document.version += 1
            document.updated_at = now
            place = {"channel": edit.channel, "key": edit.key}
            operation = {"n": edit.n, "client": name, "do": msgspec.to_builtins(edit.do)}
            session.add(
                Entry(**place, version=document.version, author=author, operation=operation, at=now)
            )
            told = {**place, "version": document.version, "by": author, "value": value}
            session.add(Message(channel=edit.channel, body=told))
            return document.version


def _locked(edit: Edit) -> Select[Document]:
    return (
        select(Document)
        .where(Document.channel == edit.channel, Document.key == edit.key)
        .with_for_update()
    )


def _applied(edit: Edit, value: Value | None) -> Value | None:
    if isinstance(edit.do, Call):
        return _CALLS[edit.key][edit.do.name](value, edit.do.arguments)
    return apply(edit.do, value)


def main() -> None:
    """Serve until SIGTERM."""
    rival = Rival(load(CoreSettings))
    uvicorn.run(
        rival.app(),
        port=int(sys.argv[1]),
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
