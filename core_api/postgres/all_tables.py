"""All tables in one metadata: what Alembic migrates to, and a test compares with."""

from __future__ import annotations

from core_api.postgres import (
    device_tables,
    document_tables,
    operator_tables,
    webhook_tables,
)
from core_api.postgres.tables import metadata

__all__ = [
    "device_tables",
    "document_tables",
    "metadata",
    "operator_tables",
    "webhook_tables",
]
