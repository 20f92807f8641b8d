"""A process of this machine: when it counts as ready."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from deploy.processes.ports import LOOPBACK
from deploy.processes.process import Process, ProcessError


class _Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@pytest.fixture
def somebody_else() -> Iterator[str]:
    """The address of a server that says that it is ready."""
    server = HTTPServer((LOOPBACK, 0), _Ready)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://{LOOPBACK}:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_ended_process_is_not_ready_although_somebody_answers_in_its_place(
    somebody_else: str, tmp_path: Path
) -> None:
    ends = [sys.executable, "-c", "print('the port is taken'); raise SystemExit(1)"]
    process = Process("core", ends, {}, tmp_path / "core.log", somebody_else)
    process.start()
    with pytest.raises(ProcessError):
        process.finish()
    with pytest.raises(ProcessError, match=r"core ended at its start:\n.*the port is taken"):
        process.wait_ready(5)
