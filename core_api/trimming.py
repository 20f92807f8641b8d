"""The tasks of a Core that delete old rows: one for each kind of row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from core_api.dashboard.acknowledgements import ACKNOWLEDGEMENTS_KEPT_S, trim_acknowledgements
from core_api.dashboard.day import DAY_S, trim_points
from core_api.devices.commands.lifecycle import trim_commands
from core_api.documents.definitions import Definitions
from core_api.edits.metrics import EditMetrics
from core_api.metrics import CoreMetrics
from core_api.pairing.codes import trim_pairings
from core_api.postgres.pool import Pool
from core_api.postgres.trim_around_damage import Trim
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
"""How many clients are deleted at once, each with up to a thousand answers."""


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
    aged: Mapping[str, tuple[Trim, float]] = {
        "trim-empty": (trim_empty, _EMPTY_KEPT_S),
        "trim-pairings": (trim_pairings, _PAIRINGS_KEPT_S),
        "trim-guest-phones": (trim_guest_phones, GUESTS_KEPT_S),
        "trim-pushes": (trim_pushes, KEPT_S),
        "trim-prints": (trim_jobs, _PRINTED_KEPT_S),
        "trim-commands": (trim_commands, kept_s),
        "trim-keys": (trim_keys, settings.key_retention_s),
        "trim-devices": (trim_devices, kept_s),
        "trim-ops-day": (trim_points, DAY_S),
        "trim-acknowledgements": (trim_acknowledgements, ACKNOWLEDGEMENTS_KEPT_S),
        "trim-reached": (trim_reached, kept_s),
        "trim-revocations": (trim_revocations, _REVOCATIONS_KEPT_S),
    }
    clients_s, entries = clients_kept_s(definitions), edit_metrics.trimmed.inc
    return {
        **{
            name: partial(keep_trimming, trim, pool, age_s, left)
            for name, (trim, age_s) in aged.items()
        },
        "trim-clients": lambda: keep_trimming(
            trim_clients, pool, clients_s, left, _CLIENTS_AT_ONCE
        ),
        "trim-history": lambda: keep_trimming_history(pool, definitions, entries, left),
        "trim-log": lambda: keep_trimming_log(pool, kept_s, left),
    }
