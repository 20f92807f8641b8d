"""Other servers that push to many subscribers, built by `tests.bench.fanout.setup`.

Each serves one channel, keeps events in memory if it has the choice, and checks no subscriber. The
bench publishes through its own HTTP API.
"""

from __future__ import annotations

import json
import shutil
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

import httpx
import jwt

from deploy.processes.ports import free_port
from tests.bench.fanout.child import Child
from tests.bench.fanout.system import get, line, serves

BUILT: Final = Path("build/peers")
_CHANNEL: Final = "bench"
_KEY: Final = "k" * 32


class _Peer:
    """A program of one process, with its own folder.

    Args:
        folder: where it may write.
        built: the folder of the programs.
    """

    name: str
    program: str
    """The name of the file in `build/peers`."""
    deliveries_per_s = 40_000

    def __init__(self, folder: Path, built: Path = BUILT) -> None:
        self.port = free_port()
        self._folder = folder / f"{self.name}-{self.port}"
        self._path = (built / self.program).absolute()
        self._child = Child()
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    @classmethod
    def is_built(cls, built: Path = BUILT) -> bool:
        """Whether its program is built."""
        return (built / cls.program).exists()

    async def start(self) -> None:
        """Start it, and wait until it serves."""
        self._folder.mkdir(parents=True)
        await self._child.start(str(self._path), *self._arguments(), HOME=str(self._folder))
        await self._ready()

    def pids(self) -> list[int]:
        """Its process."""
        return [self._child.pid]

    def request(self, channel: int) -> bytes:
        """The head of a subscriber's request. All follow one channel."""
        return get(self._stream(), self.port)

    async def publish(self, channels: Sequence[int]) -> None:
        """Publish one event for each of these channels, all to the one channel.

        Raises:
            httpx.HTTPStatusError: an event was refused.
        """
        for _ in channels:
            answer = await self._http.send(self._event())
            answer.raise_for_status()

    async def stop(self) -> None:
        """End it."""
        await self._http.aclose()
        await self._child.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @abstractmethod
    def _arguments(self) -> list[str]:
        """The arguments of its command."""

    @abstractmethod
    async def _ready(self) -> None:
        """Wait until it serves."""

    @abstractmethod
    def _stream(self) -> str:
        """The target of a subscriber's request."""

    @abstractmethod
    def _event(self) -> httpx.Request:
        """The request that publishes an event."""


class DurableStreams(_Peer):
    """Electric's Durable Streams server in Rust. It answers an append once that is on the disk."""

    name = "durable-streams"
    program = "durable-streams-server"
    deliveries_per_s = 60_000

    def _arguments(self) -> list[str]:
        return ["--port", str(self.port), "--data-dir", str(self._folder / "data")]

    async def _ready(self) -> None:
        await serves(f"http://127.0.0.1:{self.port}/{_CHANNEL}", status=404)
        # With another type, it would send events in Base64.
        self._http.headers["content-type"] = "text/plain"
        (await self._http.put(f"/{_CHANNEL}")).raise_for_status()

    def _stream(self) -> str:
        return f"/{_CHANNEL}?offset=-1&live=sse"

    def _event(self) -> httpx.Request:
        return self._http.build_request("POST", f"/{_CHANNEL}", content=line())


class Mercure(_Peer):
    """The Mercure hub as a module of Caddy, with its transport in memory."""

    name = "mercure"
    program = "mercure"

    def _arguments(self) -> list[str]:
        config = self._folder / "Caddyfile"
        config.write_text(
            f"""{{
    admin off
    auto_https off
    log {{
        level ERROR
    }}
}}
http://127.0.0.1:{self.port} {{
    mercure {{
        publisher_jwt {_KEY} HS256
        anonymous
        transport local
    }}
    respond /ready 200
}}
"""
        )
        return ["run", "--adapter", "caddyfile", "--config", str(config)]

    async def _ready(self) -> None:
        token = jwt.encode({"mercure": {"publish": ["*"]}}, _KEY, "HS256")
        self._http.headers["authorization"] = f"Bearer {token}"
        await serves(f"http://127.0.0.1:{self.port}/ready")

    def _stream(self) -> str:
        return f"/.well-known/mercure?topic={_CHANNEL}"

    def _event(self) -> httpx.Request:
        form = {"topic": _CHANNEL, "data": line()}
        return self._http.build_request("POST", "/.well-known/mercure", data=form)


class Centrifugo(_Peer):
    """Centrifugo with its broker in memory, without history, over its one-way SSE."""

    name = "centrifugo"
    program = "centrifugo"

    def _arguments(self) -> list[str]:
        config = self._folder / "config.json"
        said = {
            "http_server": {"address": "127.0.0.1", "port": self.port},
            "log": {"level": "error"},
            "client": {"insecure": True, "allowed_origins": ["*"]},
            "http_api": {"key": _KEY},
            "health": {"enabled": True},
            "uni_sse": {"enabled": True},
        }
        config.write_text(json.dumps(said))
        return ["--config", str(config)]

    async def _ready(self) -> None:
        self._http.headers["x-api-key"] = _KEY
        await serves(f"http://127.0.0.1:{self.port}/health")

    def _stream(self) -> str:
        asked = json.dumps({"subs": {_CHANNEL: {}}}, separators=(",", ":"))
        return f"/connection/uni_sse?cf_connect={quote(asked)}"

    def _event(self) -> httpx.Request:
        body = f'{{"channel":"{_CHANNEL}","data":{line()}}}'
        return self._http.build_request("POST", "/api/publish", content=body)


PEERS: Final[tuple[type[_Peer], ...]] = (DurableStreams, Mercure, Centrifugo)
