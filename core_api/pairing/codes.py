"""Codes by which a new tablet takes over a sign-in, in Postgres: one for each store at a time.

A code has six digits. It is valid for `LIFE_S`, for `TRIES` tries in all, and for one use. The
database holds its hash, so that a log of statements does not show the code.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Final, NamedTuple

from core_api.access.callers import Caller
from core_api.errors import UnauthorizedError
from core_api.postgres.pool import Pool, mapped_errors
from core_api.postgres.trim_around_damage import trim_by_age
from server_common.logs import get_logger

_log = get_logger()

DIGITS: Final = 6
LIFE_S: Final = 300
TRIES: Final = 3
"""Of a million codes: guessing succeeds with three in a million for each pairing."""

# A new code takes the place of the one before, with all its tries.
_OFFER: Final = """
INSERT INTO pairings (
    store_id, code, subject, brand, token, session, signed_in_at, token_ends_at, tries_left, ends_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() + make_interval(secs => $10))
ON CONFLICT (store_id) DO UPDATE SET
    code = excluded.code, subject = excluded.subject, brand = excluded.brand,
    token = excluded.token, session = excluded.session, signed_in_at = excluded.signed_in_at,
    token_ends_at = excluded.token_ends_at, tries_left = excluded.tries_left,
    ends_at = excluded.ends_at
"""
# Counted before it is compared, so that tries at the same moment are counted too.
_TRY: Final = """
UPDATE pairings SET tries_left = tries_left - 1
WHERE store_id = $1 AND tries_left > 0 AND ends_at > now()
RETURNING code, subject, brand, token, session, signed_in_at, token_ends_at, tries_left
"""
_USE: Final = "DELETE FROM pairings WHERE store_id = $1 AND code = $2 RETURNING store_id"

NO_CODE: Final = "this store has no such code now: let its terminal show a new one"


class Offered(NamedTuple):
    """The sign-in that a code offers."""

    caller: Caller
    """The offering owner, for that store only, with the keys by which it can be revoked."""
    token_ends_at: int
    """When the tablet's token ends, in seconds since 1970."""


class Pairings:
    """Offers codes and takes them.

    Args:
        pool: the database.
        below: a random number from 0 to below its argument, which nobody can foresee.
    """

    def __init__(self, pool: Pool, below: Callable[[int], int]) -> None:
        self._pool = pool
        self._below = below

    async def offer(self, store_id: str, caller: Caller, token_ends_at: int) -> str:
        """A code for one new tablet of the store, replacing the previous one.

        Args:
            store_id: the store that the tablet is to work for.
            caller: whose sign-in it takes over.
            token_ends_at: when the tablet's token will end, in seconds since 1970, however late
                the code is typed.

        Raises:
            UnavailableError: the database does not answer.
        """
        code = str(self._below(10**DIGITS)).zfill(DIGITS)
        with mapped_errors():
            await self._pool.execute(
                _OFFER,
                store_id,
                _hash(store_id, code),
                caller.subject,
                caller.brand,
                caller.token,
                caller.session,
                caller.signed_in_at or caller.issued_at,
                token_ends_at,
                TRIES,
                LIFE_S,
            )
        return code

    async def find(self, store_id: str, code: str) -> Offered:
        """The sign-in that the code offers; this counts as a try, but does not use the code up.

        Raises:
            UnauthorizedError: there is no such code now.
            UnavailableError: the database does not answer.
        """
        with mapped_errors():
            found = await self._pool.fetchrow(_TRY, store_id)
        if found is None:
            raise UnauthorizedError(NO_CODE)
        if not hmac.compare_digest(found["code"], _hash(store_id, code)):
            _log.warning("pairing_refused", store=store_id, tries_left=found["tries_left"])
            raise UnauthorizedError(NO_CODE)
        caller = Caller(
            found["subject"],
            "owner",
            frozenset({store_id}),
            brand=found["brand"],
            signed_in_at=found["signed_in_at"],
            token=found["token"],
            session=found["session"],
        )
        return Offered(caller, found["token_ends_at"])

    async def use_up(self, store_id: str, code: str) -> None:
        """Make the code invalid for further use.

        Raises:
            UnauthorizedError: another tablet has used it first.
            UnavailableError: the database does not answer.
        """
        with mapped_errors():
            if await self._pool.fetchrow(_USE, store_id, _hash(store_id, code)) is None:
                raise UnauthorizedError(NO_CODE)


trim_pairings: Final = trim_by_age("pairings", "store_id", "ends_at")
"""Deletes codes that ended long ago."""


def _hash(store_id: str, code: str) -> bytes:
    return hashlib.sha256(f"{store_id}/{code}".encode()).digest()
