"""The systems that the event server is compared with."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

from deploy.processes.ports import free_port
from tests.bench.fanout.child import Child
from tests.bench.fanout.measure import children_of
from tests.bench.fanout.system import get, line, serves

NGINX_MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")


class SseStarlette:
    """The plain way: a generator and a queue for each client, with sse-starlette on uvicorn."""

    name = "sse-starlette"
    deliveries_per_s = 20_000

    def __init__(self) -> None:
        self.port = free_port()
        self._child = Child()
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    async def start(self) -> None:
        module = "tests.bench.fanout.plain:app"
        await self._child.start(
            sys.executable, "-m", "uvicorn", module, "--port", str(self.port),
            "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--backlog", "4096",
        )  # fmt: skip
        await serves(f"http://127.0.0.1:{self.port}/ready")

    def pids(self) -> list[int]:
        return [self._child.pid]

    def request(self, channel: int) -> bytes:
        return get(f"/stream?channel={channel}", self.port)

    async def publish(self, channels: Sequence[int]) -> None:
        for channel in channels:
            await self._http.post("/publish", params={"channel": channel}, content=line())

    async def stop(self) -> None:
        await self._http.aclose()
        await self._child.stop()


class Nchan:
    """nginx with Nchan and one worker. The bench publishes over HTTP."""

    name = "nchan"
    deliveries_per_s = 60_000

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder / f"nchan-{self.port}"
        self._child = Child(signal.SIGTERM)  # nginx ends its workers on this signal
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    @staticmethod
    def is_installed() -> bool:
        """Whether Debian's packages are installed."""
        return shutil.which("nginx") is not None and NGINX_MODULE.exists()

    async def start(self) -> None:
        self._folder.mkdir(parents=True)
        config = self._folder / "nginx.conf"
        config.write_text(
            f"""
load_module {NGINX_MODULE};
worker_processes 1; daemon off; pid {self._folder}/pid; user root;
error_log {self._folder}/error.log;
worker_rlimit_nofile 65536;
events {{ worker_connections 40000; }}
http {{
    access_log off; client_body_temp_path {self._folder}/body;
    proxy_temp_path {self._folder}/p; fastcgi_temp_path {self._folder}/f;
    uwsgi_temp_path {self._folder}/u; scgi_temp_path {self._folder}/s;
    nchan_shared_memory_size 512M;
    server {{
        listen 127.0.0.1:{self.port} backlog=4096; keepalive_timeout 3600;
        location /stream {{ nchan_subscriber eventsource; nchan_channel_id $arg_channel;
                            nchan_subscribe_existing_channels_only off; }}
        location /publish {{ nchan_publisher; nchan_channel_id $arg_channel;
                             nchan_message_buffer_length 1000; }}
        location /ready {{ return 200; }}
    }}
}}
"""
        )
        await self._child.start("nginx", "-c", str(config))
        await serves(f"http://127.0.0.1:{self.port}/ready")

    def pids(self) -> list[int]:
        return children_of(self._child.pid)

    def request(self, channel: int) -> bytes:
        return get(f"/stream?channel={channel}", self.port)

    async def publish(self, channels: Sequence[int]) -> None:
        for channel in channels:
            await self._http.post("/publish", params={"channel": channel}, content=line())

    async def stop(self) -> None:
        await self._http.aclose()
        await self._child.stop(signal.SIGTERM)
        shutil.rmtree(self._folder, ignore_errors=True)


class CSend:
    """The limit: a loop of send() in C."""

    name = "c-send"
    deliveries_per_s = 60_000

    def __init__(self, program: Path, connections: int) -> None:
        self.port = free_port()
        self._program = program
        self._connections = connections
        self._child = Child()

    async def start(self) -> None:
        await self._child.start(str(self._program), str(self.port), str(self._connections))
        await self._child.hear()

    def pids(self) -> list[int]:
        return [self._child.pid]

    def request(self, channel: int) -> bytes:
        return get(f"/{channel}", self.port)

    async def publish(self, channels: Sequence[int]) -> None:
        await self._child.ask(str(len(channels)))

    async def stop(self) -> None:
        await self._child.stop()


class Bare:
    """The least that asyncio costs: a protocol on uvloop that gives every request the same bytes.

    Args:
        options: `answers` for complete answers instead of streams.
    """

    name = "bare"
    deliveries_per_s = 60_000

    def __init__(self, *options: str) -> None:
        self._options = options
        self.port = free_port()
        self._child = Child()

    async def start(self) -> None:
        await self._child.start(
            sys.executable, "-m", "tests.bench.fanout.bare", str(self.port), *self._options
        )
        await self._child.hear()

    def pids(self) -> list[int]:
        return [self._child.pid]

    def request(self, channel: int) -> bytes:
        return get(f"/{channel}", self.port)

    async def publish(self, channels: Sequence[int]) -> None:
        for _ in channels:
            await self._child.ask(line())

    async def stop(self) -> None:
        await self._child.stop()
