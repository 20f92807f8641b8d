"""Made-up answers in place of Core and the event server."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from playwright.async_api import Request, Route

from tests.conformance.cases import TIME, Json, response

SNAPSHOT: Final = {"reset": "first_sync", "snapshot": {"head": 5, "orders": [{"id": "a"}]}}
HTML: Final = {"content_type": "text/html", "body": "<html>Welcome! Please sign in.</html>"}
Handler = Callable[[Route], Coroutine[Any, Any, None]]
HELLO: Final = ("hello", {"epoch": "E1", "watermark": TIME})
BYE: Final = ("bye", {"reason": "timeout", "reconnect_after_ms": 0})


class Answers:
    """The answers, given one after the other, and the requests received."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self._answers = list(answers)
        self.requests: list[Request] = []

    async def __call__(self, route: Route) -> None:
        self.requests.append(route.request)
        answer = self._answers.pop(0)
        if "abort" in answer:
            await route.abort(answer["abort"])
        else:
            await route.fulfill(**answer)

    def query(self, n: int = 0) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.requests[n].url).query)


def good(*channels: Json, **more: Json) -> dict[str, Any]:
    told = {"channels": list(channels) or [SNAPSHOT]} | more
    return {"status": 200, "json": response(told)}


def problem(status: int, slug: str, title: str, **headers: str) -> dict[str, Any]:
    body = {"type": f"urn:yabam:problem:{slug}", "title": title, "status": status, "detail": "why"}
    kind = {"content-type": "application/problem+json"}
    return {"status": status, "body": json.dumps(body), "headers": kind | headers}


def frames(*events: tuple[str, Json]) -> str:
    return "".join(f"event: {kind}\ndata: {json.dumps(data)}\n\n" for kind, data in events)


def streaming(*events: tuple[str, Json], end: str = "") -> dict[str, Any]:
    body = frames(*events) + end
    return {"status": 200, "content_type": "text/event-stream; charset=utf-8", "body": body}
