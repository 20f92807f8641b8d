"""What a Core deletes because it is old: one task for each kind of row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from core_api.dashboard.acknowledgements import ACKNOWLEDGEMENTS_KEPT_S, trim_acknowledgements
from core_api.dashboard.day import DAY_S, trim_points
from core_api.devices.commands.lifecycle import trim_commands
from core_api.documents.definitions import Definitions
from core_api.edits.metrics import EditMetrics
from core_api.metrics import CoreMetrics
from core_api.pairing.codes import trim_pairings
from core_api.postgres.pool import Pool
from core_api.printing.statements import trim_jobs
from core_api.push.guests import KEPT_S as GUESTS_KEPT_S
from core_api.push.guests import trim_guest_phones
from core_api.push.registrations import trim_pushes
from core_api.push.subscriptions import KEPT_S
from core_api.receipts.reached import trim_reached
from core_api.receipts.statements import trim_devices
from core_api.retention.document_history_trim import keep_trimming_history
from core_api.retention.log_trim import clients_kept_s, trim_clients, trim_empty, trim_keys
from core_api.retention.upkeep import keep_trimming, keep_trimming_log
from core_api.revocations.statements import trim_revocations
from core_api.settings import CoreSettings

_EMPTY_KEPT_S: Final = 86_400.0
_PAIRINGS_KEPT_S: Final = 60.0
_PRINTED_KEPT_S: Final = 3600.0
_REVOCATIONS_KEPT_S: Final = 3600.0
"""Beyond the last token's expiry, which is by another clock."""
_CLIENTS_AT_ONCE: Final = 20
"""Each with all its answers, of which there may be a thousand."""


def trimming(
    pool: Pool,
    settings: CoreSettings,
    definitions: Definitions,
    edit_metrics: EditMetrics,
    metrics: CoreMetrics,
) -> Mapping[str, Callable[[], Awaitable[None]]]:
    """The tasks by their names; each runs for ever.

    Args:
        pool: the database.
        settings: how old each kind may become.
        definitions: of documents: how much of their history is kept.
        edit_metrics: count what is deleted of documents.
        metrics: count the rest.
    """
    left = metrics.not_trimmed.inc
    kept_s = settings.log_retention_s
    return {
        "trim-clients": lambda: keep_trimming(
            trim_clients, pool, clients_kept_s(definitions), left, _CLIENTS_AT_ONCE
        ),
        "trim-empty": lambda: keep_trimming(trim_empty, pool, _EMPTY_KEPT_S, left),
        "trim-pairings": lambda: keep_trimming(trim_pairings, pool, _PAIRINGS_KEPT_S, left),
        "trim-guest-phones": lambda: keep_trimming(trim_guest_phones, pool, GUESTS_KEPT_S, left),
        "trim-pushes": lambda: keep_trimming(trim_pushes, pool, KEPT_S, left),
        "trim-prints": lambda: keep_trimming(trim_jobs, pool, _PRINTED_KEPT_S, left),
        "trim-history": lambda: keep_trimming_history(
            pool, definitions, edit_metrics.trimmed.inc, left
        ),
        "trim-commands": lambda: keep_trimming(trim_commands, pool, kept_s, left),
        "trim-keys": lambda: keep_trimming(trim_keys, pool, settings.key_retention_s, left),
        "trim-devices": lambda: keep_trimming(trim_devices, pool, kept_s, left),
        "trim-ops-day": lambda: keep_trimming(trim_points, pool, DAY_S, left),
        "trim-acknowledgements": lambda: keep_trimming(
            trim_acknowledgements, pool, ACKNOWLEDGEMENTS_KEPT_S, left
        ),
        "trim-reached": lambda: keep_trimming(trim_reached, pool, kept_s, left),
        "trim-revocations": lambda: keep_trimming(
            trim_revocations, pool, _REVOCATIONS_KEPT_S, left
        ),
        "trim-log": lambda: keep_trimming_log(pool, kept_s, left),
    }
