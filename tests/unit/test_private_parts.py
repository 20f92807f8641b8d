"""Each private part of another's package that this project uses, by name.

An update may take any of them away without a word: `pyproject.toml` therefore bounds these packages
from above, and this test says which part is gone when the bound is raised.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import sys
import tomllib
from pathlib import Path
from unittest.mock import MagicMock

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.producer.sender import Sender
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.record.util import calc_crc32c
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from sse_starlette.sse import AppStatus
from uvicorn import Config, Server
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from tests.serving import serving

ROOT = Path(__file__).parents[2]
BOUNDED = ("aiokafka", "uvicorn", "sse-starlette", "httptools", "paho-mqtt", "python-escpos")


def source(of: object) -> str:
    """What stands in the file of a class."""
    return Path(inspect.getfile(of)).read_text()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "part",
    [
        # event_server/push/requests.py and core_api/http/connection.py build on this class.
        "connection_lost",
        "connection_made",
        "data_received",
        "on_body",
        "on_header",
        "on_headers_complete",
        "on_message_begin",
        "on_message_complete",
        "on_response_complete",
        "on_url",
        "pause_writing",
        "resume_writing",
        "shutdown",
        "timeout_keep_alive_handler",
        "_unset_keepalive_if_required",
    ],
)
def test_uvicorns_protocol_has_the_method(part: str) -> None:
    assert callable(getattr(HttpToolsProtocol, part))


async def test_uvicorns_protocol_keeps_its_state_where_we_look_for_it() -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        return None

    protocol = HttpToolsProtocol(Config(app), ServerState(), {})
    protocol.on_message_begin()
    for part in (
        "cycle",
        "flow",
        "headers",
        "loop",
        "parser",
        "pipeline",
        "server_state",
        "timeout_keep_alive",
        "timeout_keep_alive_task",
        "transport",
        "url",
    ):
        assert hasattr(protocol, part), part
    of_a_cycle = {
        "disconnected",
        "keep_alive",
        "message_event",
        "response_complete",
        "response_started",
    }
    assert of_a_cycle <= set(re.findall(r"self\.(\w+)", inspect.getsource(RequestResponseCycle)))
    assert isinstance(FlowControl(MagicMock()).write_paused, bool)


def test_uvicorns_server_has_what_our_stop_relies_on() -> None:
    for part in ("capture_signals", "handle_exit", "main_loop", "serve", "shutdown"):
        assert callable(getattr(Server, part)), part
    state = ServerState()
    for part in ("connections", "default_headers", "total_requests"):
        assert hasattr(state, part), part
    server = Server(Config("any:app"))
    for part in ("should_exit", "force_exit", "started", "server_state"):
        assert hasattr(server, part), part


async def test_aiokafkas_producer_is_made_of_the_parts_that_abandon_closes() -> None:
    producer = AIOKafkaProducer(bootstrap_servers="127.0.0.1:9")
    try:
        assert producer._closed is False
        assert isinstance(producer._sender, Sender)
        assert callable(producer._sender.close)
        assert callable(producer.client.close)
        for part in ("create_batch", "send_batch", "partitions_for"):
            assert callable(getattr(producer, part)), part
    finally:
        producer._closed = True  # it was never started


def test_aiokafkas_consumer_has_what_the_source_asks() -> None:
    for part in ("highwater", "partitions_for_topic", "seek", "getmany", "end_offsets"):
        assert callable(getattr(AIOKafkaConsumer, part)), part


async def test_aiokafkas_consumer_has_the_client_by_which_a_broker_is_asked_once_more() -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers="127.0.0.1:9")
    assert callable(consumer._client.send)
    assert callable(consumer._client.close)
    assert callable(consumer._client.cluster.leader_for_partition)
    assert callable(consumer._client.force_metadata_update)
    consumer._closed = True  # it was never started


def test_aiokafkas_consumer_has_the_task_that_fetches() -> None:
    assert "self._fetcher = Fetcher(" in source(AIOKafkaConsumer)
    assert isinstance(Fetcher.error_future, property)


def test_aiokafka_has_what_reads_a_brokers_answer_closely() -> None:
    assert callable(calc_crc32c)
    for part in ("validate_crc", "__iter__"):
        assert callable(getattr(LegacyRecordBatch, part)), part
    FetchRequest(0, 0, 1, 0, [("topic", [(0, 0, 1)])])


@pytest.mark.parametrize(
    ("used", "names"),
    [
        (DefaultRecordBatch, ("gzip_decode", "snappy_decode", "lz4_decode", "zstd_decode")),
        (LegacyRecordBatch, ("gzip_decode", "snappy_decode", "lz4_decode")),
    ],
)
def test_aiokafka_unpacks_by_functions_that_can_be_replaced(
    used: type, names: tuple[str, ...]
) -> None:
    for name in names:
        assert callable(getattr(sys.modules[used.__module__], name)), name


def test_sse_starlette_can_be_told_to_leave_the_drain_to_us() -> None:
    assert callable(AppStatus.disable_automatic_graceful_drain)


def test_paho_can_be_told_to_close_its_sockets() -> None:
    # server_common/mqtt/connection.py: a client that has failed closes nothing by itself.
    client = Client(CallbackAPIVersion.VERSION2)
    client._reset_sockets()
    assert client.socket() is None


def test_escpos_takes_bytes_as_they_are() -> None:
    # client_sdk/printer/escpos_bytes.py; it takes a fifth of a second to load, in each worker.
    from escpos.printer import Dummy

    printer = Dummy()
    printer._raw(b"\x1b@")
    assert printer.output == b"\x1b@"


def test_packages_whose_private_parts_are_used_are_bounded_from_above() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for package in BOUNDED:
        wanted = next(
            one for extra in extras.values() for one in extra if re.match(rf"{package}\b", one)
        )
        assert re.search(r",<\d", wanted), f"{wanted} has no upper bound"


async def test_a_request_of_httpx_looks_for_no_package_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sought: list[str] = []

    class Finder:
        def find_spec(self, name: str, *_path: object) -> None:
            sought.append(name)

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with serving(answers) as port, httpx.AsyncClient() as client:
        await client.get(f"http://127.0.0.1:{port}/")
        monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
        await client.get(f"http://127.0.0.1:{port}/")
    assert sought == []
