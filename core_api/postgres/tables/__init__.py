"""The schema: a module for each room whose tables they are, all in one metadata.

Alembic migrates to it, and a test compares it with what the migrations make.
"""

from __future__ import annotations

from core_api.postgres.tables import (  # noqa: F401  (each adds its tables to the metadata)
    dashboard,
    devices,
    documents,
    event_log,
    orders,
    printing,
    push,
    receipts,
    relay,
    restore,
    sign_in,
    webhooks,
)
from core_api.postgres.tables.metadata import metadata

__all__ = ["metadata"]
