"""Alembic's entry: runs on the connection that `core_api.postgres.migrate` hands over."""

from __future__ import annotations

from alembic import context

from core_api.postgres.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_server_default=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
