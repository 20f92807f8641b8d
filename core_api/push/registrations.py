"""The subscriptions of a store's browsers to new orders: stored, listed, deleted."""

from __future__ import annotations

from typing import Any, Final

from core_api.errors import ForbiddenError, NotFoundError, TooManyDevicesError
from core_api.postgres.patience import despite_locks
from core_api.postgres.pool import Pool, mapped_errors, transaction
from core_api.postgres.trim_around_damage import trim_by_age
from core_api.push.messages import PushKeys, check_browser_key
from core_api.push.subscriptions import Push, Subscribe
from core_api.webhooks.addresses import Networks, check_url, origin_of
from server_common.limits import PUSHES, PUSHES_OF_STORE
from server_common.revocations.holders import Holder

# Two concurrent subscriptions would both take the last free place.
ORDER: Final = "SELECT pg_advisory_xact_lock(7061648)"
_ROOM: Final = """
SELECT count(*) AS whole, count(*) FILTER (WHERE store_id = $1) AS of_store
FROM push_subscriptions WHERE (store_id, device) <> ($1, $2)
"""
# Runs at each start of a page, perhaps of all pages at once: it locks only its own row, and counts
# nothing. A browser with the same endpoint keeps its mark, also where no room is left.
_RENEW: Final = """
UPDATE push_subscriptions SET p256dh = $4, auth = $5, language = $6, subject = $7, token = $8,
    session = $9, made_at = $10, renewed_at = now()
WHERE store_id = $1 AND device = $2 AND endpoint = $3
"""
# A browser that has lost its name comes with the same endpoint and a new name.
_DROP_TWIN: Final = """
DELETE FROM push_subscriptions WHERE store_id = $1 AND device <> $2 AND endpoint = $3
"""
# From the newest event on; a browser with a new endpoint keeps its mark, and its failures are
# reset.
_PUT: Final = """
INSERT INTO push_subscriptions AS p
    (store_id, device, endpoint, p256dh, auth, language, subject, token, session, made_at,
     origin, epoch, seq)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, e.epoch, coalesce(h.head, 0)
FROM epoch e LEFT JOIN channel_heads h ON h.channel = 'store:' || $1::text
ON CONFLICT (store_id, device) DO UPDATE SET
    endpoint = excluded.endpoint, origin = excluded.origin, p256dh = excluded.p256dh,
    auth = excluded.auth, language = excluded.language, subject = excluded.subject,
    token = excluded.token, session = excluded.session, made_at = excluded.made_at,
    renewed_at = now(), tries = 0, due_at = now(), failing_since = NULL, failure = NULL,
    fence = p.fence + 1
"""
_LIST: Final = """
SELECT device, split_part(origin, '://', 2) AS service, subject, language, renewed_at, pushed_at,
    failing_since, failure
FROM push_subscriptions WHERE store_id = $1 ORDER BY device
"""
_REMOVE: Final = "DELETE FROM push_subscriptions WHERE store_id = $1 AND device = $2"


class PushSubscriptions:
    """The subscriptions of all stores.

    Args:
        pool: the database.
        keys: of this installation; None: nobody can subscribe.
        networks: the networks in which push services may be.
    """

    def __init__(self, pool: Pool, keys: PushKeys | None, networks: Networks) -> None:
        self._pool = pool
        self._keys = keys
        self._networks = networks

    @property
    def key(self) -> str:
        """What browsers subscribe with.

        Raises:
            ForbiddenError: this Core has no key.
        """
        return self.check_sends().public

    async def put(self, store_id: str, device: str, wanted: Subscribe, holder: Holder) -> None:
        """Notify a browser of the store's orders from now on, or renew its subscription.

        Args:
            store_id: the store.
            device: the browser's name.
            wanted: its endpoint and its keys.
            holder: of the caller's token; once it is revoked, the subscription ends.

        Raises:
            ForbiddenError: this Core has no key.
            InvalidError: its endpoint is in a forbidden network, or its key is invalid.
            TooManyDevicesError: there is no room.
            UnavailableError: Postgres does not answer.
        """
        self.check_sends()
        target = check_url(wanted.endpoint, self._networks, "endpoint")
        check_browser_key(wanted.p256dh)
        keys = (wanted.p256dh, wanted.auth)
        by = (holder.subject, holder.token, holder.session, holder.made_at)
        row = (store_id, device, wanted.endpoint, *keys, wanted.language, *by)
        with mapped_errors():
            renewed = await self._pool.execute(_RENEW, *row)
        if renewed == "UPDATE 0":
            await despite_locks(lambda: self._add(row, origin_of(target)))

    async def _add(self, row: tuple[Any, ...], origin: str) -> None:
        store_id, device, endpoint = row[:3]
        async with transaction(self._pool) as connection:
            await connection.execute(ORDER)
            await connection.execute(_DROP_TWIN, store_id, device, endpoint)
            room = await connection.fetchrow(_ROOM, store_id, device)
            _check_room(dict(room or {}))
            await connection.execute(_PUT, *row, origin)

    async def list(self, store_id: str) -> list[Push]:
        """Those of a store. Raises UnavailableError."""
        with mapped_errors():
            rows = await self._pool.fetch(_LIST, store_id)
        return [Push(**row) for row in rows]

    async def remove(self, store_id: str, device: str) -> None:
        """Unsubscribe a browser.

        Raises:
            NotFoundError: it has no subscription.
            UnavailableError: Postgres does not answer.
        """
        with mapped_errors():
            done = await self._pool.execute(_REMOVE, store_id, device)
        # A mistyped name of a stolen phone must not look like success.
        if done == "DELETE 0":
            raise NotFoundError(f"no device {device} is told of the orders of store {store_id}")

    def check_sends(self) -> PushKeys:
        """The key of this Core. Raises ForbiddenError: it has none."""
        if self._keys is None:
            raise ForbiddenError("this Core sends no pushes: set YABAM_PUSH_KEY")
        return self._keys


def _check_room(found: dict[str, int]) -> None:
    for count, most, told in (
        (found["whole"], PUSHES, "subscriptions in all"),
        (found["of_store"], PUSHES_OF_STORE, "subscribed browsers of a store"),
    ):
        if count >= most:
            raise TooManyDevicesError(f"there may be {most} {told}: remove one that is not used")


trim_pushes: Final = trim_by_age("push_subscriptions", "store_id, device", "renewed_at")
"""Deletes browsers whose page was not opened for long."""
