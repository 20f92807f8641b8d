"""The demonstration's kitchen: store 1 prints on a terminal and a Star printer, and has a phone."""

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
_SAID: Final[dict[str, dict[str, Any]]] = {
    "printing": _ROUTING,
    "contact": {"name": "Kim Minji", "phone": "+82 2-555-0100"},
}
"""What the store's owner says to its team."""


async def set_up_kitchen(core_url: str, token: str) -> str:
    """Say what prints where and whom to phone, unless that was said before; register the printer.

    Args:
        core_url: where Core is.
        token: of the store's owner.

    Returns:
        The URL that a Star printer is told. It has another password each time.
    """
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=core_url, headers=headers, timeout=30) as http:
        for key, value in _SAID.items():
            await _say(http, key, value)
        answer = await http.put(f"/v1/stores/{STORE}/devices/{STAR}", json={"rotate": True})
        device = answer.raise_for_status().json()
    return f"{core_url}/cloudprnt/{device['user']}.{device['password']}/printer"


async def _say(http: httpx.AsyncClient, key: str, value: dict[str, Any]) -> None:
    place = {"channel": f"team:{STORE}", "key": key}
    known = await http.get("/v1/documents", params=place)
    if known.status_code == 404:
        edit = {"n": 1, **place, "do": {"set": value}, "base": 0}
        body = {"client": uuid.uuid4().hex, "edits": [edit]}
        (await http.post("/v1/edits", json=body)).raise_for_status()
