"""Guests' phones that are notified when an order is ready: kept until their party leaves.

Only the guest's token says which table it is. `due_guests.py` finds the phones that are due.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from client_sdk.contract.channel import Channel
from core_api.access.callers import Caller
from core_api.errors import ForbiddenError, NotFoundError, TooManyDevicesError
from core_api.postgres.patience import despite_locks
from core_api.postgres.pool import Pool, mapped_errors, transaction
from core_api.postgres.trim_around_damage import trim_by_age
from core_api.push.messages import check_browser_key
from core_api.push.registrations import ORDER
from core_api.push.subscriptions import GuestPush, Subscribe
from core_api.webhooks.addresses import Networks, check_url, origin_of
from server_common.limits import GUEST_PUSHES, GUEST_PUSHES_OF_TABLE

KEPT_S: Final = 86_400.0
"""Without renewal a subscription is deleted after so many seconds, even if the party did not
end."""

# By the rule of `parties/guest_token_end.py`: a token made in the second of the change is valid.
LEFT: Final = """EXISTS (
    SELECT FROM documents d
    WHERE d.channel = 'party:' || g.store_id || '/' || g.table_id AND d.key = 'party'
      AND d.version > 0 AND g.issued_at < floor(extract(epoch FROM d.updated_at))
)"""
"""Of a row `g`: its party has left."""
# Deletes phones of parties that have left, to make room, and a phone's other table.
_CLEAR: Final = f"""
DELETE FROM guest_pushes g
WHERE (g.store_id = $1 AND g.table_id = $2 AND (g.expires_at <= now() OR {LEFT}))
   OR (g.endpoint = $4 AND (g.store_id, g.table_id, g.device) <> ($1, $2, $3))
"""  # noqa: S608  (both parts are ours)
_ROOM: Final = """
SELECT count(*) AS whole,
    count(*) FILTER (WHERE store_id = $1 AND table_id = $2) AS of_table
FROM guest_pushes WHERE (store_id, table_id, device) <> ($1, $2, $3)
"""
# Runs at each start of a page, of many at once: locks only its own row, counts nothing.
_RENEW: Final = """
UPDATE guest_pushes SET p256dh = $6, auth = $7, language = $8, subject = $9, token = $11,
    session = $12, signed_in_at = $13, renewed_at = now()
WHERE store_id = $1 AND table_id = $2 AND device = $3 AND endpoint = $4 AND origin = $5
  AND issued_at = $10
"""
# From the newest event on: orders that are ready already are on the guest's page.
_PUT: Final = """
INSERT INTO guest_pushes AS g
    (store_id, table_id, device, endpoint, origin, p256dh, auth, language, subject, issued_at,
     token, session, signed_in_at, expires_at, epoch, seq)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
    coalesce(to_timestamp(nullif($14::float8, 0)), now() + make_interval(secs => $15)), e.epoch,
    coalesce(h.head, 0)
FROM epoch e LEFT JOIN channel_heads h ON h.channel = 'table:' || $1::text || '/' || $2::text
ON CONFLICT (store_id, table_id, device) DO UPDATE SET
    endpoint = excluded.endpoint, origin = excluded.origin, p256dh = excluded.p256dh,
    auth = excluded.auth, language = excluded.language, subject = excluded.subject,
    issued_at = excluded.issued_at, token = excluded.token, session = excluded.session,
    signed_in_at = excluded.signed_in_at, expires_at = excluded.expires_at, renewed_at = now(),
    tries = 0, due_at = now(), failing_since = NULL, failure = NULL, fence = g.fence + 1
"""
_REMOVE: Final = """
DELETE FROM guest_pushes WHERE store_id = $1 AND table_id = $2 AND device = $3
"""
_LIST: Final = """
SELECT table_id AS "table", device, split_part(origin, '://', 2) AS service, language, renewed_at,
    failing_since, failure
FROM guest_pushes WHERE store_id = $1 AND expires_at > now() ORDER BY table_id, device
"""


def check_guest(caller: Caller) -> Channel:
    """The table of whose orders the caller may be notified.

    Raises:
        ForbiddenError: the caller is no guest.
    """
    if caller.role != "table" or caller.table is None:
        raise ForbiddenError("only guests can subscribe to their table's orders")
    return caller.table


class GuestPhones:
    """The phones of all parties.

    Args:
        pool: the database.
        networks: the networks in which push services may be.
    """

    def __init__(self, pool: Pool, networks: Networks) -> None:
        self._pool = pool
        self._networks = networks

    async def put(self, caller: Caller, device: str, wanted: Subscribe) -> None:
        """Notify a phone when an order of the caller's table is ready, until the party leaves.

        Args:
            caller: the guest.
            device: the phone's name.
            wanted: its endpoint and its keys.

        Raises:
            ForbiddenError: the caller is no guest.
            InvalidError: its endpoint is in a forbidden network, or its key is invalid.
            TooManyDevicesError: there is no room.
            UnavailableError: Postgres does not answer.
        """
        table = check_guest(caller)
        target = check_url(wanted.endpoint, self._networks, "endpoint")
        check_browser_key(wanted.p256dh)
        where = (table.root, table.part, device)
        row = (
            *where,
            wanted.endpoint,
            origin_of(target),
            wanted.p256dh,
            wanted.auth,
            wanted.language,
            caller.subject,
            caller.issued_at,
            caller.token,
            caller.session,
            caller.signed_in_at,
        )

        with mapped_errors():
            renewed = await self._pool.execute(_RENEW, *row)
        if renewed != "UPDATE 0":
            return

        async def add() -> None:
            async with transaction(self._pool) as connection:
                await connection.execute(ORDER)
                await connection.execute(_CLEAR, *where, wanted.endpoint)
                _check_room(dict(await connection.fetchrow(_ROOM, *where) or {}))
                await connection.execute(_PUT, *row, float(caller.expires_at), KEPT_S)

        await despite_locks(add)

    async def remove(self, caller: Caller, device: str) -> None:
        """Unsubscribe a phone.

        Raises:
            ForbiddenError: the caller is no guest.
            NotFoundError: no such phone of the table is told.
            UnavailableError: Postgres does not answer.
        """
        table = check_guest(caller)
        if not await self._end(table, device):
            raise NotFoundError(f"no phone {device} is told of this table's orders")

    async def list(self, store_id: str) -> list[GuestPush]:
        """Those of a store. Raises UnavailableError."""
        with mapped_errors():
            rows = await self._pool.fetch(_LIST, store_id)
        return [GuestPush(**row) for row in rows]

    async def remove_from(self, table: Channel, device: str) -> None:
        """Unsubscribe a phone of a table, for the store's owner.

        Raises:
            NotFoundError: no such phone of the table is told.
            UnavailableError: Postgres does not answer.
        """
        if not await self._end(table, device):
            raise NotFoundError(f"no phone {device} is told of the orders of {table}")

    async def _end(self, table: Channel, device: str) -> bool:
        with mapped_errors():
            done = await self._pool.execute(_REMOVE, table.root, table.part, device)
        return bool(done != "DELETE 0")


def _check_room(found: Mapping[str, int]) -> None:
    for count, most, told in (
        (found["whole"], GUEST_PUSHES, "guests' phones in all"),
        (found["of_table"], GUEST_PUSHES_OF_TABLE, "subscribed phones of a table"),
    ):
        if count >= most:
            raise TooManyDevicesError(f"there may be {most} {told}")


trim_guest_phones: Final = trim_by_age("guest_pushes", "store_id, table_id, device", "renewed_at")
"""Deletes phones that have not renewed their subscription for long."""
