"""Star printers that get messages over MQTT: the MAC address of each, and when it is called.

To call a printer is to send it a message. In the mode *Trigger POST* of CloudPRNT it then polls,
and sends nothing over MQTT; in the mode *Full MQTT* it reports its status over MQTT. So each is
called while one of its jobs waits, and periodically, so that it reports its status. A call may be
lost or come twice: another one follows, and an extra report changes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, Literal

from client_sdk.contract.channel import Channel
from core_api.postgres.patience import keep_looking
from core_api.postgres.pool import Pool, mapped_errors
from server_common.devices.messages import Ring
from server_common.devices.mqtt_topics import StarCall

if TYPE_CHECKING:
    from server_common.devices.identity import Identity

StarMode = Literal["trigger", "full"]
"""`trigger`: the printer polls when it is called; `full`: it takes its jobs over MQTT."""
LOOK_EVERY_S: Final = 0.5
WAITING_EVERY_S: Final = 5.0
"""How often a printer is called while one of its jobs waits, in seconds: as often as others
poll."""
IDLE_EVERY_S: Final = 10.0
"""How often if none waits, in seconds: at least twice within the time after which it is offline."""
_AT_ONCE: Final = 100
_CALLS: Final[dict[str, StarCall]] = {"trigger": "request-post", "full": "request-client-status"}

_KNOWN: Final = """
SELECT 1 FROM star_printers WHERE store_id = $1 AND device_id = $2 AND mac = $3 AND mode = $4
"""
# As every change of a registration: one at a time, so that the broker's admin misses none.
_ALONE: Final = "LOCK TABLE device_registrations IN SHARE ROW EXCLUSIVE MODE"
_IS_TAKEN: Final = """
SELECT 1 FROM star_printers WHERE mac = $1 AND (store_id, device_id) <> ($2, $3)
"""
_KEEP: Final = """
INSERT INTO star_printers (store_id, device_id, mac, mode) VALUES ($1, $2, $3, $4)
ON CONFLICT (store_id, device_id) DO UPDATE SET mac = excluded.mac, mode = excluded.mode,
    rung_at = NULL
"""
_WHOSE: Final = """
SELECT s.store_id, s.device_id, d.media FROM star_printers s
     JOIN device_registrations d ON d.store_id = s.store_id AND d.device_id = s.device_id
WHERE s.mac = $1 AND (s.mode = 'full' OR $2::bool) AND d.removed_at IS NULL
"""
_CHANGED: Final = """
UPDATE device_registrations
SET change = (SELECT coalesce(max(change), 0) + 1 FROM device_registrations)
WHERE store_id = $1 AND device_id = $2 AND generation = $3 AND removed_at IS NULL RETURNING 1
"""

# Several processes look; each printer is called by one of them.
_DUE: Final = """
UPDATE star_printers s SET rung_at = now()
FROM (
    SELECT s.store_id, s.device_id FROM star_printers s
         LEFT JOIN printers p ON p.store_id = s.store_id AND p.device_id = s.device_id
    WHERE s.rung_at IS NULL OR s.rung_at < now() - make_interval(secs =>
        CASE WHEN p.waiting_since IS NULL THEN $1::float8 ELSE $2::float8 END)
    ORDER BY s.store_id, s.device_id LIMIT $3 FOR NO KEY UPDATE OF s SKIP LOCKED
) AS due
WHERE s.store_id = due.store_id AND s.device_id = due.device_id
RETURNING s.store_id, s.device_id, s.mac, s.mode
"""


class StarPrinters:
    """Knows which printers are called.

    Args:
        pool: the database, by connections that wait for a lock shortly only.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def keep(self, identity: Identity, mac: str, mode: StarMode = "trigger") -> bool:
        """Note the MAC address of a registered printer, and the mode in which it gets its jobs.

        Args:
            identity: the printer, with the generation that it has signed in with.
            mac: the address.
            mode: how it gets its jobs.

        Returns:
            Whether it is noted; False: another printer has the address, or the registration was
            removed, or got another password, meanwhile.

        Raises:
            UnavailableError: Postgres does not answer, or somebody holds a lock.
        """
        place = (identity.store, identity.device)
        with mapped_errors():
            if await self._pool.fetch(_KNOWN, *place, mac, mode):
                return True
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_ALONE)
                if await connection.fetch(_IS_TAKEN, mac, *place):
                    return False
                # A registration is locked before its other rows.
                if not await connection.fetch(_CHANGED, *place, identity.generation):
                    return False
                await connection.execute(_KEEP, *place, mac, mode)
        return True

    async def whose(self, mac: str, *, any_mode: bool = False) -> tuple[Channel, list[str]] | None:
        """The printer with this MAC address that takes its jobs over MQTT.

        Args:
            mac: its address.
            any_mode: also if it was lately told to use another mode.

        Returns:
            Its channel, and the media types that its registration names; None: there is none.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        with mapped_errors():
            rows = await self._pool.fetch(_WHOSE, mac, any_mode)
        return (Channel("device", rows[0][0], rows[0][1]), list(rows[0][2])) if rows else None


class Ringing:
    """Calls printers until cancelled; any number of processes may do so.

    Args:
        pool: the database.
        ring: sends calls; raises UnavailableError.
        now_ms: milliseconds since the Unix epoch.
    """

    def __init__(
        self,
        pool: Pool,
        ring: Callable[[Sequence[Ring]], Awaitable[None]],
        now_ms: Callable[[], int],
    ) -> None:
        self._pool = pool
        self._ring = ring
        self._now_ms = now_ms

    async def run(self) -> None:
        """Call the printers that are due, periodically."""
        await keep_looking(self.round, LOOK_EVERY_S, "calling_printers_failed")

    async def round(self) -> int:
        """Call the printers that are due. Returns how many.

        Raises:
            UnavailableError: Postgres or Kafka does not answer; they are called again later.
        """
        with mapped_errors():
            rows = await self._pool.fetch(_DUE, IDLE_EVERY_S, WAITING_EVERY_S, _AT_ONCE)
        if rows:
            # A printer that is offline for the whole night is called less often.
            until_ms = self._now_ms() + int(IDLE_EVERY_S * 1000)
            await self._ring(
                [
                    Ring(store, device, mac, _CALLS[mode], until_ms=until_ms)
                    for store, device, mac, mode in rows
                ]
            )
        return len(rows)
