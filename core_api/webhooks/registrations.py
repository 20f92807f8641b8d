"""Subscriptions in the database: made, shown, changed and removed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from client_sdk.contract.channel import parse_channel
from client_sdk.contract.cursor import parse_cursor
from client_sdk.contract.errors import CursorError
from core_api.errors import (
    BadRequestError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    TooManyWebhooksError,
    UnreadableRowError,
)
from core_api.postgres.pool import Pool, any_error_mapped, mapped_errors, transaction
from core_api.postgres.unreadable_rows import by_halves, unreadable_rows
from core_api.webhooks import statements
from core_api.webhooks.addresses import Networks, check_url
from core_api.webhooks.signing import WebhookKeys
from core_api.webhooks.subscriptions import (
    LATE_AFTER_S,
    AddWebhook,
    Lane,
    NewSecret,
    SetAside,
    Standing,
    Webhook,
    WebhookState,
    distinct,
)
from server_common.limits import (
    WEBHOOK_LANES,
    WEBHOOK_OLD_SECRETS,
    WEBHOOKS,
    WEBHOOKS_OF_STORE,
    WEBHOOKS_OF_SUBJECT,
)
from server_common.logs import get_logger

_log = get_logger()

OLD_SECRET_S: Final = 86_400.0
"""How long older secrets still sign, in seconds, so that a receiver can change over."""


class Subscriptions:
    """The subscriptions of all stores.

    Args:
        pool: the database.
        keys: derives secrets; None: no webhook can be registered.
        networks: where webhooks may be sent.
        new_id: a fresh id.
        changed: called after each change, so that the sender looks at once.
    """

    def __init__(
        self,
        pool: Pool,
        keys: WebhookKeys | None,
        networks: Networks,
        new_id: Callable[[], str],
        changed: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._keys = keys
        self._networks = networks
        self._new_id = new_id
        self._changed = changed

    async def add(self, wanted: AddWebhook, by: str) -> NewSecret:
        """Register one. It begins with the next event.

        Raises:
            InvalidError: its URL, its stores or its types are wrong.
            TooManyWebhooksError: there is no room.
            ForbiddenError: this Core has no key for secrets.
            UnavailableError: Postgres does not answer.
        """
        keys = self._signing()
        check_url(wanted.url, self._networks)
        stores, types = distinct(wanted.stores, "stores"), distinct(wanted.types, "types")
        webhook_id = f"wh-{self._new_id()}"
        async with transaction(self._pool) as connection:
            await connection.execute(statements.ORDER)
            room = await connection.fetchrow(statements.ROOM, by, stores)
            _check_room(dict(room or {}), len(stores))
            await connection.execute(statements.ADD, webhook_id, wanted.url, types, keys.newest, by)
            await connection.execute(statements.ADD_LANES, webhook_id, stores)
        secret = keys.secret(webhook_id, 1, keys.newest)
        return NewSecret(secret, await self.get(webhook_id))

    async def list(self, stores: Sequence[str] | None) -> list[Webhook]:
        """Those whose stores are all among these; None: all. Unreadable ones are left out.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        try:
            return [*await self._read(None, stores)]
        except UnreadableRowError:
            with mapped_errors(), unreadable_rows():
                ids = [row["id"] for row in await self._pool.fetch(statements.IDS)]

        async def read(asked: Sequence[str]) -> Sequence[Webhook | None]:
            found = {one.id: one for one in await self._read(asked, stores)}
            return [found.get(webhook_id) for webhook_id in asked]

        answers = await by_halves(read, ids) if ids else []
        for webhook_id, answer in zip(ids, answers, strict=True):
            if isinstance(answer, UnreadableRowError):
                _log.error("webhook_not_listed", webhook=webhook_id, reason=str(answer))
        return [answer for answer in answers if isinstance(answer, Webhook)]

    async def _read(
        self, ids: Sequence[str] | None, stores: Sequence[str] | None
    ) -> Sequence[Webhook]:
        with mapped_errors(), unreadable_rows():
            rows = await self._pool.fetch(statements.LIST, ids, stores)
        return [Webhook(**row) for row in rows]

    async def get(self, webhook_id: str) -> Webhook:
        """One, with how far each of its stores is.

        Raises:
            NotFoundError: there is none.
            UnavailableError: Postgres does not answer.
        """
        found = await self._read([webhook_id], None)
        if not found:
            raise _not_found(webhook_id)
        with mapped_errors(), unreadable_rows():
            lanes = await self._pool.fetch(statements.LANES, webhook_id)
            aside = await self._pool.fetch(statements.SET_ASIDE, webhook_id)
        return replace(
            found[0],
            lanes=[Lane(**row) for row in lanes],
            events_set_aside=[SetAside(**row) for row in aside],
        )

    async def stores_of(self, webhook_id: str) -> Sequence[str]:
        """The stores of one, even if Postgres cannot read the rest of it.

        Raises:
            NotFoundError: there is none.
            UnavailableError: Postgres does not answer.
        """
        with mapped_errors(), unreadable_rows():
            found = [
                row["store_id"] for row in await self._pool.fetch(statements.STORES, webhook_id)
            ]
        if not found:
            raise _not_found(webhook_id)
        return found

    async def remove(self, webhook_id: str) -> None:
        """Remove one. Raises UnavailableError."""
        with mapped_errors():
            await self._pool.execute(statements.REMOVE, webhook_id)

    async def rotate(self, webhook_id: str, *, ends_old: bool = False) -> NewSecret:
        """Give it another secret; older ones still sign for `OLD_SECRET_S`.

        Args:
            webhook_id: whose.
            ends_old: whether older secrets stop signing now, because one has leaked.

        Raises:
            NotFoundError: there is none.
            ForbiddenError: this Core has no key for secrets.
            UnavailableError: Postgres does not answer.
        """
        keys = self._signing()
        async with transaction(self._pool) as connection:
            row = await connection.fetchrow(statements.ROTATE, webhook_id, keys.newest)
            if row is None:
                raise _not_found(webhook_id)
            old, kid = row
            await connection.execute(statements.KEEP_OLD, webhook_id, old, kid, OLD_SECRET_S)
            oldest = old + 1 if ends_old else old + 1 - WEBHOOK_OLD_SECRETS
            await connection.execute(statements.FORGET_OLD, webhook_id, oldest)
        found = await self.get(webhook_id)
        return NewSecret(keys.secret(webhook_id, old + 1, keys.newest), found)

    async def set_state(self, webhook_id: str, state: WebhookState, *, is_ops: bool) -> Webhook:
        """Disable it, or resume it with its parked stores.

        Args:
            webhook_id: which one.
            state: `active`: resume it; `disabled`: disable it.
            is_ops: whether ops ask; only they resume what is disabled.

        Raises:
            ForbiddenError: ops have disabled it, and only they may resume it; or there is none, and
                it is not ops that ask.
            NotFoundError: there is none.
            UnavailableError: Postgres does not answer.
        """
        async with transaction(self._pool) as connection:
            if await connection.fetch(statements.SET_STATE, webhook_id, state, is_ops):
                if state == "active":
                    await connection.execute(statements.RESUME, webhook_id)
            elif not is_ops:
                raise ForbiddenError("ops have disabled this webhook: ask them to resume it")
        self._changed()
        return await self.get(webhook_id)

    async def replay(self, webhook_id: str, cursor: str) -> Webhook:
        """Send the events after this cursor again; unsent events come in any case.

        Raises:
            BadRequestError: it is not a cursor.
            InvalidError: it names a store that this webhook does not send, or a seq that the log
                lacks.
            UnavailableError: Postgres does not answer.
        """
        wanted = _seqs_of(cursor)
        stores, seqs = list(wanted), list(wanted.values())
        async with transaction(self._pool) as connection:
            found = await connection.fetch(statements.REACH, webhook_id, stores)
            _check_reach(wanted, {row[0]: (row[1], row[2]) for row in found})
            await connection.execute(statements.REPLAY, webhook_id, stores, seqs)
            await connection.execute(statements.FORGET_SET_ASIDE, webhook_id, stores, seqs)
        self._changed()
        return await self.get(webhook_id)

    def _signing(self) -> WebhookKeys:
        if self._keys is None:
            raise ForbiddenError("this Core sends no webhooks: set YABAM_WEBHOOKS_KEYS")
        return self._keys


async def read_standing(pool: Pool) -> Standing:
    """The present state of all webhooks.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with any_error_mapped():
        row = await pool.fetchrow(statements.STANDING, LATE_AFTER_S)
        aside = await pool.fetchval(statements.SET_ASIDE_COUNT)
    found = dict(row) if row else {"active": 0, "late": 0, "parked": 0, "waiting_s": 0.0}
    return Standing(**found, set_aside=aside)


def _not_found(webhook_id: str) -> NotFoundError:
    return NotFoundError(f"there is no webhook {webhook_id}, or it is not yours")


def _check_room(found: dict[str, int], stores: int) -> None:
    for count, most, told in (
        (found["whole"] + 1, WEBHOOKS, "webhooks in all"),
        (found["of_subject"] + 1, WEBHOOKS_OF_SUBJECT, "webhooks of this token's subject"),
        (found["of_store"] + 1, WEBHOOKS_OF_STORE, "webhooks of one of these stores"),
        (found["lanes"] + stores, WEBHOOK_LANES, "stores of all webhooks together"),
    ):
        if count > most:
            raise TooManyWebhooksError(f"there may be {most} {told}: remove one that is not used")


def _seqs_of(cursor: str) -> dict[str, int]:
    """The place in each store."""
    try:
        wanted = {parse_channel(name): seq for name, seq in parse_cursor(cursor).items()}
    except CursorError as error:
        raise BadRequestError(str(error), "bad-cursor") from error
    if not wanted or any(channel.kind != "store" for channel in wanted):
        raise InvalidError("`cursor` must name stores, such as store:12@480")
    return {channel.root: seq for channel, seq in wanted.items()}


def _check_reach(wanted: dict[str, int], found: dict[str, tuple[int, int]]) -> None:
    for store_id, seq in wanted.items():
        if store_id not in found:
            raise InvalidError(f"this webhook does not send store:{store_id}")
        floor, head = found[store_id]
        if not floor <= seq <= head:
            raise InvalidError(
                f"the log of store:{store_id} has what comes behind {floor} to {head}, "
                f"so nothing comes behind {seq}"
            )
