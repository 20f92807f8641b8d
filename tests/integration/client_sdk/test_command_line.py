"""`yabam` as a process: in a real terminal, in a real pipe, interrupted, and waiting."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.children import child, heed_ctrl_c
from tests.integration.client_sdk.scripted import Script, answering, scripted
from tests.integration.client_sdk.scripted import problem as told

YABAM = (sys.executable, "-m", "client_sdk.cli")


@pytest.fixture
async def script() -> AsyncIterator[Script]:
    async with scripted() as world:
        yield world


@contextlib.asynccontextmanager
async def yabam(*words: str, **options: Any) -> AsyncIterator[Process]:
    """A `yabam` that runs; killed at the end if it still does."""
    ours = ("YABAM_", "PYTHONUNBUFFERED")  # output is buffered, as it is in a shell
    environment = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    options = {"preexec_fn": heed_ctrl_c} | options
    started = child(*YABAM, *words, env=environment | {"YABAM_TOKEN": "t"}, stderr=PIPE, **options)
    async with started as process, asyncio.timeout(60):
        yield process


async def read(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    return (await stream.read()).decode()


async def read_line(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    return (await stream.readline()).decode()


async def until(stream: asyncio.StreamReader | None, text: str) -> str:
    """Read lines up to one that contains the text; that line."""
    while (line := await read_line(stream)) and text not in line:
        pass
    assert text in line
    return line


async def test_a_tail_tells_each_change_with_its_time_and_status(script: Script) -> None:
    await script.commit(1)
    async with yabam("tail", "--store", "12", "--core", script.url, stdout=PIPE) as process:
        await until(process.stdout, "reset")
        await until(process.stderr, "● live")
        await script.commit(1)
        line = await read_line(process.stdout)
    assert re.match(r"(\S+ )?\d\d:\d\d:\d\d  store:12@2  order\.placed +placed +order-2", line)


async def test_a_tail_is_json_for_a_program(script: Script) -> None:
    await script.commit(1)
    words = ["tail", "--store", "12", "--json", "--core", script.url]
    async with yabam(*words, stdout=PIPE) as process:
        first = json.loads(await read_line(process.stdout))
        await until(process.stderr, "● live")
        await script.commit(1)
        second = json.loads(await read_line(process.stdout))
    assert (first["type"], first["reason"], len(first["orders"])) == ("reset", "first_sync", 1)
    assert (second["id"], second["data"]["status"]) == ("store:12@2", "placed")


async def test_ctrl_c_ends_a_tail_in_a_terminal_with_130_and_no_traceback(script: Script) -> None:
    ours, theirs = pty.openpty()
    try:
        words = ["tail", "--store", "12", "--core", script.url]
        async with yabam(
            *words, stdin=theirs, stdout=theirs, start_new_session=True, preexec_fn=_own_terminal
        ) as process:
            await until(process.stderr, "● live")
            os.write(ours, b"\x03")
            said = await read(process.stderr)
            assert await process.wait() == 130
    finally:
        os.close(ours)
        os.close(theirs)
    assert "Traceback" not in said


def _own_terminal() -> None:
    """Make stdin the terminal whose keys send signals."""
    import fcntl
    import termios

    heed_ctrl_c()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


async def test_a_tail_whose_reader_goes_ends_at_once_with_0_and_no_traceback(
    script: Script,
) -> None:
    reading, writing = os.pipe()
    words = ["tail", "--store", "12", "--core", script.url]
    async with yabam(*words, stdout=writing) as process:
        os.close(writing)
        await until(process.stderr, "● live")
        os.close(reading)
        said = await read(process.stderr)
        assert await process.wait() == 0
    assert "Error" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize("command", ["--help", "completion bash", "order show --help"])
async def test_what_nobody_reads_ends_quietly(command: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        async with yabam(*command.split(), stdout=writing) as process:
            assert await read(process.stderr) == ""
            assert await process.wait() == 0
    finally:
        os.close(writing)


async def test_open_orders_are_listed_and_that_is_all(script: Script) -> None:
    await script.commit(3)
    words = ["order", "list", "--store", "12", "--core", script.url]
    async with yabam(*words, stdout=PIPE) as process:
        lines = (await read(process.stdout)).splitlines()
        assert await process.wait() == 0
    assert [line.split("placed")[1].split()[0] for line in lines] == [
        "order-1",
        "order-2",
        "order-3",
    ]


async def test_orders_are_listed_by_status_and_as_json(script: Script) -> None:
    await script.commit(2)
    words = ["order", "list", "--store", "12", "--json", "--core", script.url]
    async with yabam(*words, "--status", "placed", stdout=PIPE) as process:
        lines = (await read(process.stdout)).splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["order-1", "order-2"]
    async with yabam(*words, "--status", "ready", stdout=PIPE) as process:
        assert await read(process.stdout) == ""
        assert await process.wait() == 0


async def test_a_list_that_core_does_not_answer_tells_that_it_waits_and_then_fails() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        words = ["order", "list", "--store", "12", "--wait", "1.5"]
        core = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with yabam(*words, "--core", core, stdout=PIPE) as process:
            said = await read(process.stderr)
            assert await process.wait() == 1
    assert said.splitlines()[0] == "● waiting for Core"
    assert said.splitlines()[-1].startswith("yabam: Core has not answered: ")


async def test_a_command_without_core_tells_each_attempt(free_port: int) -> None:
    words = ["order", "show", "01a1fc0c-7a60-77c9-ba73-87c38a9e69f5"]
    async with yabam(*words, "--core", f"http://127.0.0.1:{free_port}", stdout=PIPE) as process:
        line = await until(process.stderr, "● waiting for Core, attempt 1 failed: ")
        assert re.search(r"; again in \d+\.\d s$", line)
        process.send_signal(signal.SIGINT)
        said = await read(process.stderr)
        assert await process.wait() == 130
    assert "Traceback" not in said


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
        return port


async def test_a_token_that_core_refuses_ends_a_list_with_1(script: Script) -> None:
    script.on_sync = [answering(told(401, "unauthorized"))] * 5
    words = ["order", "list", "--store", "12", "--core", script.url]
    async with yabam(*words, stdout=PIPE) as process:
        said = await read(process.stderr)
        assert await process.wait() == 1
    assert said.startswith("yabam: ")
