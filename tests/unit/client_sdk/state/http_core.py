"""The model of Core behind HTTP: sync, edits and documents, without streams."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import msgspec

from client_sdk.contract.channel import carries_documents
from client_sdk.contract.cursor import parse_cursor
from client_sdk.contract.order import EPOCH_HEADER
from client_sdk.machine.sequencing import DocumentReset
from tests.unit.client_sdk.state.core_model import CoreModel
from tests.unit.client_sdk.state.order_core import OrderCore


def token_of(subject: str, role: str = "table") -> str:
    """A token that a client can read; it is not signed."""
    claims = base64.urlsafe_b64encode(json.dumps({"sub": subject, "role": role}).encode())
    return f"h.{claims.decode().rstrip('=')}.s"


class HttpCore:
    """Answers a client. Tests can make it fail or be down."""

    def __init__(self, core: CoreModel) -> None:
        self.core = core
        self.away = False
        self.syncs_fail = False
        self.lose_answers = 0
        """How many answers to edits to lose, after the edits were settled."""
        self.damaged: set[str] = set()
        """The keys of documents that cannot be fetched."""
        self.answers: list[httpx.Response] = []
        """Answers to edits instead of those of the model."""
        self.tokens: list[str] = []
        """The token of each request with edits."""
        self.orders: dict[str, list[dict[str, Any]]] = {}
        self.desk = OrderCore()
        """Its orders, for channels that `orders` does not have."""
        self.lose_order_answers = 0
        self.log_of_answers: str | None = None
        """The log named in answers to commands; None: they name none, as from an earlier Core."""
        self.order_of_writes: list[str] = []
        """The path of each request that writes."""

    @property
    def transport(self) -> httpx.MockTransport:
        """The transport for a client of this Core."""
        return httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("Core is away")
        if self.syncs_fail and request.url.path == "/v1/sync":
            raise httpx.ConnectError("no sync is answered")
        match request.method, request.url.path:
            case "GET", "/v1/sync":
                return self._sync(request)
            case "POST", "/v1/edits":
                return self._edit(request)
            case "GET", "/v1/edits":
                client = request.url.params["client"]
                return _json({"client": client, "settled": self.core.settled(client),
                              "epoch": self.core.epoch})  # fmt: skip
            case "GET", "/v1/documents":
                return self._document(request.url.params)
        if request.url.path.startswith("/v1/orders"):
            return self._command(request)
        return httpx.Response(404)

    def _command(self, request: httpx.Request) -> httpx.Response:
        headers, repeats = request.headers, self.desk.repeats
        status, body = self.desk.ask(
            request.method,
            request.url.path,
            headers["idempotency-key"],
            (headers.get("if-match"), headers.get("yabam-if-updated-at")),
            request.content,
        )
        self.order_of_writes.append(request.url.path)
        if self.lose_order_answers:
            self.lose_order_answers -= 1
            raise httpx.ReadError("the answer is lost")
        told = {"idempotency-replayed": "true"} if self.desk.repeats > repeats else {}
        if self.log_of_answers is not None:
            told[EPOCH_HEADER] = self.log_of_answers
        return httpx.Response(status, content=body, headers=told)

    def _edit(self, request: httpx.Request) -> httpx.Response:
        self.order_of_writes.append(request.url.path)
        self.tokens.append(request.headers["authorization"].removeprefix("Bearer "))
        if self.answers:
            return self.answers.pop(0)
        status, body = self.core.post(request.content)
        if self.lose_answers:
            self.lose_answers -= 1
            raise httpx.ReadError("the answer is lost")
        return _json(body, status)

    def _document(self, params: httpx.QueryParams) -> httpx.Response:
        if params["key"] in self.damaged:
            return httpx.Response(500)
        version = params.get("version")
        found = self.core.document(
            params["channel"], params["key"], None if version is None else int(version)
        )
        if found is None:
            problem = {"type": "urn:yabam:problem:not-found", "title": "", "status": 404}
            return _json(problem, 404)
        return httpx.Response(200, content=msgspec.json.encode(found))

    def _sync(self, request: httpx.Request) -> httpx.Response:
        params = request.url.params
        after = parse_cursor(params["lastEventId"]) if "lastEventId" in params else {}
        epoch = params.get("epoch", self.core.epoch)
        channels = [
            self._channel(name, after.get(name), epoch) for name in params.get_list("channel")
        ]
        return _json(
            {
                "epoch": self.core.epoch,
                "server_time": "2026-11-21T12:00:00Z",
                "cursor": "",
                "has_more": False,
                "channels": channels,
                "stream": None,
                "poll_after_ms": 100,
            }
        )

    def _channel(self, name: str, after: int | None, epoch: str) -> dict[str, Any]:
        if not carries_documents(name):
            return self._orders(name, after)
        reset = "first_sync" if after is None else "epoch" if epoch != self.core.epoch else None
        head = self.core.head(name)
        snapshot = None if reset is None else _snapshot(self.core.snapshot(name, reset))
        events = [] if reset else self.core.state.events.get(name, [])[after:]
        return {
            "channel": name,
            "head": head,
            "digest": "0" * 16,
            "reset": reset,
            "events": [json.loads(msgspec.json.encode(event)) for event in events],
            "snapshot": snapshot,
            "content_digest": self.core.digest(name),
        }

    def _orders(self, name: str, after: int | None) -> dict[str, Any]:
        if name not in self.orders:
            return self.desk.sync(name, after)
        log = self.orders.get(name, [])
        first = after is None
        return {
            "channel": name,
            "head": len(log) if after is None else max(after, len(log)),
            "digest": "0" * 16,
            "reset": "first_sync" if first else None,
            "events": [] if first else log[after:],
            "snapshot": {"head": len(log), "orders": []} if first else None,
        }


def _snapshot(reset: DocumentReset) -> dict[str, Any]:
    documents = [json.loads(msgspec.json.encode(one)) for one in reset.documents]
    return {"head": reset.head, "orders": [], "documents": documents}


def _json(body: Any, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=body)
