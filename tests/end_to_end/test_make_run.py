"""`make run` with all of its ports moved, and the examples that it prints."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil
import pytest
from PIL import Image

from deploy.processes.ports import LOOPBACK, answers, free_port
from tests.children import child, heed_ctrl_c

_SERVERS = (
    "--core-port",
    "--events-port",
    "--relay-port",
    "--ingest-port",
    "--gateway-port",
    "--mqtt-admin-port",
    "--webhooks-port",
)
_ROOT = Path(__file__).parents[2]
_STACKS = {"PYTHONFAULTHANDLER": "1"}
"""At SIGABRT it prints what each of its threads does."""


class Run(NamedTuple):
    """It runs."""

    ports: dict[str, int]
    said: str
    folder: Path
    process: Process

    @property
    def token(self) -> str:
        """The owner's, of the line that exports it."""
        (token,) = re.findall(r"^  export YABAM_TOKEN=(\S+)$", self.said, re.MULTILINE)
        return str(token)

    def command(self, program: str, begins: str) -> list[str]:
        """The words of a printed command."""
        lines = re.findall(rf"^  \.venv/bin/{program} ({begins} .*)$", self.said, re.MULTILINE)
        return shlex.split(lines[0])


@asynccontextmanager
async def make_run(folder: Path) -> AsyncIterator[Run]:
    """Everything at ports of its own; it ends as by Ctrl-C."""
    ports = {option: free_port() for option in (*_SERVERS, "--mqtt-port", "--mqtt-tls-port")}
    moved = [word for option, port in ports.items() for word in (option, str(port))]
    command = [sys.executable, "-m", "deploy.local", "--no-restaurant", "--data", str(folder)]
    options = {"stdout": PIPE, "stderr": STDOUT, "limit": 2**20, "preexec_fn": heed_ctrl_c}
    async with child(*command, *moved, env={**os.environ, **_STACKS}, **options) as process:
        assert process.stdout is not None
        said = ""
        try:
            async with asyncio.timeout(100):
                while "Devices connect by MQTT" not in said:
                    line = await process.stdout.readline()
                    assert line, said
                    said += line.decode()
        except TimeoutError:
            pytest.fail(f"not ready. It said:\n{said}\n{await _stacks(process)}")
        yield Run(ports, said, folder, process)
        process.send_signal(signal.SIGINT)
        assert await _status(process, 60) == 0


async def _status(process: Process, within_s: float) -> int:
    """The exit status. If it does not end in time, the test fails and shows where it hangs."""
    try:
        async with asyncio.timeout(within_s):
            said, _ = await process.communicate()
    except TimeoutError:
        pytest.fail(f"it does not end:\n{await _stacks(process)}")
    assert process.returncode is not None
    if process.returncode:
        print(said.decode())
    return process.returncode


async def _stacks(process: Process) -> str:
    """What all its threads do. It ends with that."""
    process.send_signal(signal.SIGABRT)
    said, _ = await process.communicate()
    return str(said.decode())


@pytest.mark.timeout(240)
async def test_every_port_can_be_moved_and_its_printers_print_as_it_says(tmp_path: Path) -> None:
    async with make_run(tmp_path / "data") as run:
        async with httpx.AsyncClient() as client:
            for option in _SERVERS:
                answer = await client.get(f"http://{LOOPBACK}:{run.ports[option]}/readyz")
                assert answer.status_code == 200, (option, answer.text)
        assert answers(run.ports["--mqtt-port"])
        assert answers(run.ports["--mqtt-tls-port"])
        told = set(map(int, re.findall(rf"{re.escape(LOOPBACK)}:(\d+)", run.said)))
        assert told <= {*run.ports.values(), 9000}, "a link leads to where nothing of it listens"
        await printers_print(run, tmp_path)
        await its_broker_is_back_when_it_has_died(run)


async def its_broker_is_back_when_it_has_died(run: Run) -> None:
    """It is started again, and the gateway finds it."""
    configuration = str(run.folder / "mqtt" / "mosquitto.conf")
    (broker,) = (
        one
        for one in psutil.Process(run.process.pid).children(recursive=True)
        if configuration in one.cmdline()
    )
    broker.kill()
    assert run.process.stdout is not None
    async with asyncio.timeout(60):
        while b"Mosquitto ended with status -9" not in (
            line := await run.process.stdout.readline()
        ):
            assert line, "it has ended"
    gateway = f"http://{LOOPBACK}:{run.ports['--gateway-port']}/readyz"
    async with asyncio.timeout(60), httpx.AsyncClient() as client:
        while not answers(run.ports["--mqtt-tls-port"]):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        while (await client.get(gateway)).status_code != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def printers_print(run: Run, folder: Path) -> None:
    """The commands that it prints show an order on a terminal, and as a Star printer's picture."""
    there = {"YABAM_TOKEN": run.token, "PYTHONPATH": str(_ROOT), "HOME": str(folder)}
    environment = {**os.environ, **there, **_STACKS}
    options = {"cwd": folder, "env": environment, "stdout": PIPE, "stderr": STDOUT}
    yabam = [sys.executable, "-m", "client_sdk.cli"]
    printer = run.command("yabam", "printer")
    star = [sys.executable, *run.command("python", "-m tests.star_printer")]
    async with (
        child(*yabam, *printer, **options) as terminal,
        child(*star, **options) as pictures,
        child(*yabam, *run.command("yabam", "order place"), **options) as order,
    ):
        assert await _status(order, 60) == 0
        assert terminal.stdout is not None
        assert pictures.stdout is not None
        said, drawn = b"", Path()
        try:
            async with asyncio.timeout(60):
                while b"Bibimbap" not in said:
                    line = await terminal.stdout.readline()
                    # A stream that has ended is read without a pause, for ever.
                    assert line, f"the printer on a terminal has ended: {said.decode()}"
                    said += line
                drawn = Path((await pictures.stdout.readline()).decode().strip())
        except TimeoutError:
            pytest.fail(f"terminal:\n{said.decode()}\npictures:\n{await _stacks(pictures)}")
    assert Image.open(BytesIO((folder / drawn).read_bytes())).format == "PNG"
