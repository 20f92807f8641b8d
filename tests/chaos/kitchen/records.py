"""Reads what Core's tables contain of the kitchen."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.chaos.kitchen.names import BELL, EVENT, PRINTER, STORE
from tests.chaos.proof import Ledger


class Records:
    """The kitchen's documents, read from the database directly.

    Args:
        ledger: reads Core's tables.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def head(self) -> int:
        """The newest seq of the store's orders."""
        return (await self._ledger.heads()).get(f"store:{STORE}", 0)

    async def jobs(self) -> dict[str, dict[str, Any]]:
        """All print jobs, by their ids."""
        return await self._documents(PRINTER, "print.")

    async def unprinted(self) -> set[str]:
        """The references of the orders whose ticket waits, or is not created yet."""
        # In one statement: a job that is created between two statements would be missed by both.
        rows = await self._ledger.fetch(
            "SELECT o.reference FROM channel_log l JOIN orders o ON o.id = l.order_id"
            " LEFT JOIN printers p ON p.store_id = $1 AND p.device_id = $2"
            " WHERE l.channel = 'store:' || $1 AND l.order_version = 1"
            " AND (p.store_id IS NULL OR l.seq > p.seq OR EXISTS ("
            "  SELECT 1 FROM documents d WHERE d.channel = 'device:' || $1 || '/' || $2"
            "  AND d.key LIKE 'print.%' AND d.value::jsonb->>'order' = o.id::text"
            "  AND d.value::jsonb->>'state' <> 'done'))",
            STORE,
            PRINTER,
        )
        return {str(name) for (name,) in rows}

    async def states(self) -> dict[str, str]:
        """The state of each command of the lamps, by its id."""
        found = await self._documents("lamp-%", "command.")
        return {name: value["state"] for name, value in found.items()}

    async def pressed(self) -> list[int]:
        """The number of each press of the bell, in the order of the document's history."""
        rows = await self._ledger.fetch(
            "SELECT diff FROM document_history WHERE channel = $1 AND key = $2 ORDER BY version",
            f"device:{STORE}/{BELL}",
            f"event.{EVENT}",
        )
        return [_number(msgspec.json.decode(str(diff))) for (diff,) in rows]

    async def _documents(self, device: str, prefix: str) -> dict[str, dict[str, Any]]:
        rows = await self._ledger.fetch(
            "SELECT key, value FROM documents"
            " WHERE channel LIKE $1 AND key LIKE $2 AND value IS NOT NULL",
            f"device:{STORE}/{device}",
            f"{prefix}%",
        )
        return {
            str(key).removeprefix(prefix): msgspec.json.decode(str(value)) for key, value in rows
        }


def _number(diff: list[dict[str, Any]]) -> int:
    """The `n` that a version of an event's document set; 0: it set none."""
    for operation in diff:
        if operation["path"] == "/n":
            return int(operation["value"])
        if operation["path"] == "" and isinstance(operation.get("value"), dict):
            return int(operation["value"]["n"])
    return 0
