"""Wires the migration of documents to the newest schema."""

from __future__ import annotations

from core_api.edits.plan import Rules
from core_api.settings import StateSettings
from core_api.store_rules.sold_out_or_closed import is_obeyed
from core_api.system_edits.schema_migration import Migrated, connected, migrate_values
from core_api.wiring import definitions_of


async def migrate_state(settings: StateSettings) -> Migrated:
    """`yabam state migrate`: migrate every value to the newest schema.

    Raises:
        DefinitionError: the definitions that the settings name are wrong.
        UnavailableError: Postgres does not answer; values migrated before stay migrated.
    """
    definitions = definitions_of(settings.definitions)
    async with connected(settings.session_url) as connection:
        return await migrate_values(connection, Rules(definitions, settings.partitions, is_obeyed))
