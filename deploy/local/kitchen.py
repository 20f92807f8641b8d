"""The printers of the demonstration: store 1 prints orders on a terminal and on a Star printer."""

from __future__ import annotations

import uuid
from typing import Any, Final

import httpx

STORE: Final = "1"
PRINTER: Final = "kitchen-1"
STAR: Final = "star-1"
_ROUTING: Final[dict[str, Any]] = {
    "printers": {PRINTER: {"statuses": ["placed"]}, STAR: {"statuses": ["placed"]}}
}


async def set_up_kitchen(core_url: str, token: str) -> str:
    """Say what prints where, unless somebody has said so before, and register the Star printer.

    Args:
        core_url: where Core is.
        token: of the store's owner.

    Returns:
        The URL that a Star printer is told. It has another password each time.
    """
    place = {"channel": f"team:{STORE}", "key": "printing"}
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=core_url, headers=headers, timeout=30) as http:
        known = await http.get("/v1/documents", params=place)
        if known.status_code == 404:
            edit = {"n": 1, **place, "do": {"set": _ROUTING}, "base": 0}
            body = {"client": uuid.uuid4().hex, "edits": [edit]}
            (await http.post("/v1/edits", json=body)).raise_for_status()
        answer = await http.put(f"/v1/stores/{STORE}/devices/{STAR}", json={"rotate": True})
        device = answer.raise_for_status().json()
    return f"{core_url}/cloudprnt/{device['user']}.{device['password']}/printer"
