"""`make run`, with all of its ports moved."""

from __future__ import annotations

import re
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import httpx
import pytest

from deploy.local.ports import LOOPBACK, answers, free_port
from tests.children import child

_SERVERS = (
    "--core-port",
    "--events-port",
    "--relay-port",
    "--ingest-port",
    "--gateway-port",
    "--mqtt-admin-port",
    "--webhooks-port",
)


@pytest.mark.timeout(180)
async def test_every_port_of_it_can_be_moved(tmp_path: Path) -> None:
    ports = {option: free_port() for option in (*_SERVERS, "--mqtt-port", "--mqtt-tls-port")}
    moved = [word for option, port in ports.items() for word in (option, str(port))]
    command = [sys.executable, "-m", "deploy.local", "--no-restaurant", "--data", str(tmp_path)]
    async with child(*command, *moved, stdout=PIPE, stderr=STDOUT, limit=2**20) as run:
        assert run.stdout is not None
        said = ""
        while "Devices connect by MQTT" not in said:
            line = await run.stdout.readline()
            assert line, said
            said += line.decode()
        async with httpx.AsyncClient() as client:
            for option in _SERVERS:
                answer = await client.get(f"http://{LOOPBACK}:{ports[option]}/readyz")
                assert answer.status_code == 200, (option, answer.text)
        assert answers(ports["--mqtt-port"])
        assert answers(ports["--mqtt-tls-port"])
        told = set(map(int, re.findall(rf"{re.escape(LOOPBACK)}:(\d+)", said)))
        assert told <= {*ports.values(), 9000}, "a link leads to where nothing of it listens"
        run.send_signal(signal.SIGINT)
        rest = await run.stdout.read()
        assert await run.wait() == 0, rest.decode()
