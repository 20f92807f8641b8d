"""Acknowledgements of alerts, in Postgres."""

from __future__ import annotations

from typing import Final

from core_api.dashboard.waiting import Acknowledged
from core_api.errors import UnavailableError
from core_api.postgres.pool import Pool, any_error_mapped
from core_api.postgres.trim_around_damage import trim_by_age
from server_common.logs import get_logger

_log = get_logger()

ACKNOWLEDGEMENTS_KEPT_S: Final = 30 * 86_400.0
"""How long one counts, in seconds: an alert that lasts longer is shown as new."""

# One that came after the caller's look belongs to the same alert, and stays.
_WRITE: Final = """
INSERT INTO ops_acknowledgements AS a (alert, subject, at) VALUES ($1, $2, now())
ON CONFLICT (alert) DO UPDATE SET subject = excluded.subject, at = excluded.at
WHERE a.at <= to_timestamp($3::float8)
"""

_READ_ONE: Final = """
SELECT subject, extract(epoch FROM at)::float8 AS at_s FROM ops_acknowledgements WHERE alert = $1
"""

# Those of alerts that have ended are among them; of very many, the newest count.
_READ: Final = """
SELECT alert, subject, extract(epoch FROM at)::float8 AS at_s FROM ops_acknowledgements
WHERE at > now() - make_interval(secs => $1) ORDER BY at DESC LIMIT 1000
"""


async def acknowledge(pool: Pool, alert: str, subject: str, seen_ms: int) -> Acknowledged:
    """Store and log who takes care of an alert, by the database's clock; the first one counts.

    Args:
        pool: the database.
        alert: its name.
        subject: who.
        seen_ms: when the alert was seen without an acknowledgement, in ms since 1970.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with any_error_mapped():
        tag = await pool.execute(_WRITE, alert, subject, seen_ms / 1000)
        row = await pool.fetchrow(_READ_ONE, alert)
    if row is None:
        raise UnavailableError("the acknowledgement was deleted meanwhile: try again", "try again")
    if tag.endswith("1"):
        _log.info("alert_acknowledged", alert=alert, subject=subject)
    return Acknowledged(row["subject"], round(row["at_s"] * 1000))


async def read_acknowledgements(pool: Pool) -> dict[str, Acknowledged]:
    """Who has acknowledged which alert, by the alerts' names.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with any_error_mapped():
        rows = await pool.fetch(_READ, ACKNOWLEDGEMENTS_KEPT_S)
    return {row["alert"]: Acknowledged(row["subject"], round(row["at_s"] * 1000)) for row in rows}


trim_acknowledgements: Final = trim_by_age("ops_acknowledgements", "alert", "at")
"""Deletes those that are old."""
