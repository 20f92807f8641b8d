"""Parts that every process of Core is wired with: clock, ids, keys, definitions, connections."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import entry_points
from typing import Final
from uuid import UUID

from core_api.access.tokens import TokenKeys
from core_api.documents.definitions import GROUP, Definitions
from core_api.documents.definitions import load as load_definitions
from core_api.documents.devices import DEVICE_DEFINITIONS
from core_api.ids import order_id
from core_api.postgres.pool import LOCK_WAIT_S, Pool, open_pool, open_replica, shares
from core_api.printing.definitions import PRINTING_DEFINITIONS
from core_api.setting_groups import DatabaseSettings
from core_api.settings import CoreSettings

MAX_DEVICES: Final = 1000
"""How many devices of a store are listed."""
_ENTROPY_BYTES: Final = 10
_ALWAYS_DEFINED: Final = (*DEVICE_DEFINITIONS, *PRINTING_DEFINITIONS)


def utc_now() -> datetime:
    """The time that events carry."""
    return datetime.now(UTC)


def new_order_id() -> UUID:
    """A fresh order id."""
    return order_id(time.time_ns() // 1_000_000, secrets.token_bytes(_ENTROPY_BYTES))


def token_keys(keys: dict[str, str], kid: str) -> TokenKeys:
    """The ring of token keys, on this machine's clock."""
    return TokenKeys({name: key.encode() for name, key in keys.items()}, kid, time.time)


def definitions_of(names: Sequence[str]) -> Definitions:
    """Which documents there may be.

    Args:
        names: the entry points that name definitions of the operator.

    Raises:
        DefinitionError: one is wrong, or two say different things of one document.
    """
    return load_definitions(entry_points(group=GROUP), names, _ALWAYS_DEFINED)


async def open_pools(
    database: DatabaseSettings, size: int, command_timeout_s: float, name: str
) -> tuple[Pool, Pool, int]:
    """Open the connections that read and those that write.

    Those that write bypass a pooler, as their lock time-out is a setting of the session.

    Args:
        database: where it is, and whether there is a pooler.
        size: the most connections of both together, 2 or more.
        command_timeout_s: a statement is given up after so many seconds.
        name: the application name of each connection.

    Returns:
        Those that read, those that write, and how many of the latter may wait for locks.
    """
    reading, writing = shares(size)
    return (
        await open_pool(
            database.database_url,
            size=reading,
            command_timeout_s=command_timeout_s,
            name=name,
            is_pooled=database.is_pooled,
        ),
        await open_pool(
            database.session_url,
            size=writing,
            command_timeout_s=command_timeout_s,
            name=name,
            lock_wait_s=LOCK_WAIT_S,
        ),
        max(1, writing - 1),
    )


async def replica_of(settings: CoreSettings) -> Pool | None:
    """Connections to the standby that answers syncs; None: there is none."""
    if settings.replica_database_url is None:
        return None
    return await open_replica(
        settings.replica_database_url,
        size=settings.pool_size,
        command_timeout_s=settings.statement_timeout_s,
    )


def node_tokens(settings: CoreSettings, own: TokenKeys) -> TokenKeys:
    """The keys that sign tokens for the nodes. Core verifies only by its own ring."""
    return next((token_keys({k: s}, k) for k, s in settings.ops_nodes_key.items()), own)
