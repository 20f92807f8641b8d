"""Every door through which the SDK reads an answer: a few bytes never become many in memory."""

from __future__ import annotations

import ast
import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final

import httpx
import pytest

import client_sdk
from client_sdk.checkpoint import Checkpoint
from client_sdk.client.producer import OrderProducer
from client_sdk.contract.device import DeviceReport
from client_sdk.contract.order import Item
from client_sdk.errors import YabamError
from client_sdk.machine.messages import OpenStream, StartSync
from client_sdk.printer.core_source import CoreSource, Login
from client_sdk.printer.source import Job
from client_sdk.shared_state.edits_api import EditsApi
from client_sdk.state.orders.commands import CommandRequest
from client_sdk.state.requests import Request
from client_sdk.transport.http_bodies import no_cookies
from client_sdk.transport.http_transport import Transport
from tests.serving import serving

ROOT: Final = Path(client_sdk.__file__).parent
UNPACKED: Final = 64 << 20
MOST_IN_MEMORY: Final = 16 << 20
JOB: Final = Job("j", 1, 1, "queued", "en", 42, "text", [])
CHECKPOINT: Final = Checkpoint("E1", {"store:1": 1})
Door = Callable[[str, httpx.AsyncClient], Awaitable[object]]


async def _streamed(http: httpx.AsyncClient, url: str) -> None:
    command = OpenStream(1, f"{url}/v1/stream", "ticket", {"store:1": 1})
    async for _ in Transport(http).stream(command):
        pass


def _told(http: httpx.AsyncClient) -> Transport:
    return Transport(http, lambda: DeviceReport("till-1", "live", 0))


def _source(url: str) -> CoreSource:
    return CoreSource(url, "token", "1", "printer", "agent")


def _producer(url: str) -> OrderProducer:
    return OrderProducer(url, "token", attempts=1)


DOORS: Final[dict[str, Door]] = {
    "sync": lambda _, http: Transport(http).sync(StartSync(1, {"store:1": 1}, "E1", 0.0), "t"),
    "stream": lambda url, http: _streamed(http, url),
    "receipts": lambda _, http: _told(http).receipts(CHECKPOINT, "t"),
    "seen": lambda _, http: _told(http).seen(["order"], "t"),
    "edits": lambda _, http: EditsApi(http).send(Request("c", (1,), b"{}", atomic=False), "t"),
    "settled": lambda _, http: EditsApi(http).settled("c", "t"),
    "command": lambda _, http: EditsApi(http).command(
        CommandRequest(1, "POST", "/v1/orders", "key", None, None, b"{}"), "t"
    ),
    "document": lambda _, http: EditsApi(http).document(("party:1/5", "cart"), 1, "t"),
    "history": lambda _, http: EditsApi(http).history(("party:1/5", "cart"), 0, 9, "t"),
    "read": lambda _, http: EditsApi(http).read("/v1/stores/1/devices", {}, "t"),
    "request": lambda _, http: EditsApi(http).request("PUT", "/v1/x", "t", {}),
    "place": lambda url, _: _producer(url).place("1", [Item("a", 1, 1)], currency="KRW"),
    "get": lambda url, _: _producer(url).get("01a1fc0c-7a60-77c9-ba73-87c38a9e69f5"),
    "login": lambda url, _: Login(url, "user", "password")(),
    "hold": lambda url, _: _source(url).hold([]),
    "take": lambda url, _: _source(url).take(JOB),
    "tell": lambda url, _: _source(url).tell("j", 1, "done", ""),
}


@cache
def answer(coding: str, status: str) -> bytes:
    body = bytes(UNPACKED)
    for _ in coding.split(","):
        body = gzip.compress(body, 9 if len(body) < UNPACKED else 1, mtime=0)
    head = f"HTTP/1.1 {status}\r\ncontent-encoding: {coding}\r\ncontent-length: {len(body)}\r\n"
    return f"{head}content-type: text/event-stream\r\nconnection: close\r\n\r\n".encode() + body


@asynccontextmanager
async def serves(coding: str) -> AsyncIterator[str]:
    """A server whose every answer is small, and unpacks to 64 MiB; its address."""
    said = answer(coding, "200 OK")

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()

    async with serving(talk) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


HAVE_LARGE_ANSWERS: Final = frozenset(
    {"sync", "edits", "settled", "command", "document", "history", "read", "request"}
)


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize(
    ("coding", "doors"),
    [("gzip, gzip", DOORS.keys()), ("gzip", DOORS.keys() - HAVE_LARGE_ANSWERS)],
)
async def test_no_door_unpacks_more_than_its_limit(coding: str, doors: Iterable[str]) -> None:
    peaks = {}
    async with serves(coding) as core:
        # The first answer makes buffers that stay.
        for name in ["sync", *sorted(doors)]:
            async with httpx.AsyncClient(base_url=core, cookies=no_cookies()) as http:
                tracemalloc.reset_peak()
                before, _ = tracemalloc.get_traced_memory()
                with suppress(YabamError):
                    await DOORS[name](core, http)
                peaks[name] = tracemalloc.get_traced_memory()[1] - before
    assert {name: peaks[name] for name in doors if peaks[name] > MOST_IN_MEMORY} == {}


# ── no other way to an answer ────────────────────────────────────────────────

MAKES_NO_REQUEST: Final = frozenset({"build_request", "aclose", "is_closed", "base_url"})
ALONE: Final = {"transport/http_bodies.py": "httpx", "transport/socket_transport.py": "websockets"}
OTHERS: Final = frozenset({"aiohttp", "http.client", "requests", "urllib.request", "urllib3"})
"""Further ways to ask a server."""


@cache
def trees() -> dict[str, ast.Module]:
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text())
        for path in sorted(ROOT.rglob("*.py"))
    }


def name_of(node: ast.AST) -> str | None:
    return getattr(node, "id", None) or getattr(node, "attr", None)


def made_of(nodes: list[ast.AST]) -> set[str]:
    """The names, of variables and of attributes, whose value is a client of httpx."""
    found: set[str] = set()

    def is_client(value: ast.AST | None) -> bool:
        if isinstance(value, ast.Call):
            return ast.unparse(value.func) in ("httpx.AsyncClient", "httpx.Client")
        return isinstance(value, ast.Name | ast.Attribute) and name_of(value) in found

    before = -1
    while before < len(found):
        before = len(found)
        for node in nodes:
            match node:
                case ast.arg(arg=name, annotation=kind) if kind is not None:
                    if "httpx.AsyncClient" in ast.unparse(kind):
                        found.add(name)
                case ast.Assign(targets=[target], value=value) if is_client(value):
                    found.add(name_of(target) or "")
                case ast.AnnAssign(target=target, value=value) if is_client(value):
                    found.add(name_of(target) or "")
                case ast.withitem(context_expr=value, optional_vars=target) if (
                    target is not None and is_client(value)
                ):
                    found.add(name_of(target) or "")
    return found


def test_no_other_module_sends_a_request_by_itself() -> None:
    nodes = {path: list(ast.walk(tree)) for path, tree in trees().items()}
    clients = made_of([node for module in nodes.values() for node in module])
    assert {"http", "_http"} <= clients
    wrong = []
    for path, module in nodes.items():
        for node in module:
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names}
                if isinstance(node, ast.ImportFrom):
                    names = {node.module or ""} | {f"{node.module}.{name}" for name in names}
                wrong += [f"{path} imports {name}" for name in names & OTHERS]
                if any(name.split(".")[0] == "websockets" for name in names):
                    assert ALONE.get(path) == "websockets", path
            if not isinstance(node, ast.Attribute) or ALONE.get(path) == "httpx":
                continue
            owner = ast.unparse(node.value)
            if owner == "httpx" and node.attr[0].islower():
                wrong.append(f"{path}:{node.lineno}: httpx.{node.attr}")
            if name_of(node.value) in clients and node.attr not in MAKES_NO_REQUEST:
                wrong.append(f"{path}:{node.lineno}: {owner}.{node.attr}")
    assert wrong == []
