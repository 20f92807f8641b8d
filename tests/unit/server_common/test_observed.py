"""What surrounds the work of a process without HTTP of its own."""

from __future__ import annotations

import asyncio
import socket

import pytest
from prometheus_client import CollectorRegistry, Counter

from server_common.ops import process as process_module
from server_common.ops.process import observed


class _Certificate:
    """A certificate that says when somebody has begun to look at its files."""

    def __init__(self) -> None:
        self.kept = asyncio.Event()

    async def keep(self) -> None:
        self.kept.set()
        await asyncio.Event().wait()


class _Server:
    """A server that serves nothing."""

    def __init__(self, *_: object) -> None:
        pass

    def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass


async def test_the_certificate_of_the_process_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    certificate = _Certificate()
    monkeypatch.setattr(process_module, "watched", lambda *_: certificate)
    monkeypatch.setattr(process_module, "OpsServer", _Server)
    registry = CollectorRegistry()
    restarts = Counter("restarts", "Tasks started again.", ["task"], registry=registry)
    with socket.socket() as listener:
        async with observed(
            listener, registry, restarts, lambda _: None, lambda: True, lambda: None, None
        ):
            async with asyncio.timeout(5):
                await certificate.kept.wait()
