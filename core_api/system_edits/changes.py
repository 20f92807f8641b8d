"""Core's own changes of documents: an event and a version, as for any edit. Pure.

Such a change has no client and no number, so nothing is kept to answer a repeat with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from client_sdk.contract.channel import Channel
from client_sdk.contract.digest import canonical
from client_sdk.contract.state.edit import Edit
from client_sdk.contract.state.operations import Delete, Set
from core_api.documents.kept_versions import Head
from core_api.documents.new_version import Version
from core_api.documents.settling import Settlement
from core_api.edits.plan import Rules
from core_api.edits.rows import Author, Before, PlanRows, document_row, event_row, history_row

SYSTEM: Final = Author("system", "", "system")
"""The author of Core's own changes. A client of that name is different: its events and entries name
an edit."""


@dataclass(frozen=True, slots=True)
class SystemEdit:
    """One change of one document."""

    channel: Channel
    key: str
    before: Head
    made: Version
    ends_at: datetime | None = None


def system_rows(edits: Sequence[SystemEdit], now: datetime, rules: Rules) -> PlanRows:
    """What is to be written; each change is a component of its own.

    Args:
        edits: each of another document.
        now: by the database's clock.
        rules: what holds for all edits.
    """
    rows = PlanRows()
    for component, one in enumerate(edits):
        made, channel = one.made, one.channel
        do = Delete() if made.value is None else Set(made.value)
        edit = Edit(n=0, channel=str(channel), key=one.key, do=do, base=one.before.version)
        settlement = Settlement(0, "applied", made.head, made)
        content = b"" if one.before.value is None else canonical(one.before.value)
        before = Before(one.before, content)
        rows.documents.append(
            document_row(
                component, channel, one.key, before.head.version, made, SYSTEM, now, one.ends_at
            )
        )
        rows.history.append(history_row(component, edit, settlement, SYSTEM, now))
        rows.events.append(
            event_row(
                component, channel, edit, before, settlement, made, SYSTEM, now, rules.partitions
            )
        )
        if rules.obeyed_by_orders(channel, one.key):
            rows.rules.append((component, f"store:{channel.root}"))
    return rows
