"""The frames of a WebSocket (RFC 6455), byte by byte, on both push paths.

The cases are those of Autobahn's list that apply to a server whose messages are text of at most
4 KiB: 1.1 (text), 2 (pings, pongs), 3 (reserved bits), 4 (opcodes), 5 (fragments), 6 (UTF-8),
7 (closing), 9 (limits). 1.2 (binary), 12 and 13 (compression) do not: they are refused. The names
of the tests have the numbers.
"""

from __future__ import annotations

import asyncio
import json
import struct

import pytest

from tests.integration.event_server.conftest import Start
from tests.integration.event_server.raw_sockets import (
    ACCEPT,
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    RawSocket,
    frame,
    raw_socket,
)

A = "store:12"
PING_MESSAGE = b'{"event":"ping","data":{"ref":"%b"}}'


def asked(ref: bytes = b"1") -> bytes:
    return PING_MESSAGE % ref


async def pong(raw: RawSocket) -> str:
    """The ref of the next pong message."""
    while True:
        said = json.loads(await raw.until(TEXT))
        if said["event"] == "pong":
            ref: str = said["data"]["ref"]
            return ref


async def test_the_handshake_proves_that_the_key_was_read(start: Start) -> None:
    server = await start()
    async with raw_socket(server, server.ticket({A: 0})) as raw:
        head = raw.head.lower()
        assert head.startswith(b"http/1.1 101 ")
        assert b"sec-websocket-accept: " + ACCEPT.lower() in head
        assert b"sec-websocket-protocol: yabam.v1" in head
        assert b"sec-websocket-extensions" not in head
        assert json.loads(await raw.until(TEXT))["event"] == "hello"


@pytest.mark.parametrize("size", [0, 1, 80, 81, 82, 3000])
async def test_1_1_text_of_any_length_is_read(start: Start, size: int) -> None:
    server = await start()
    async with raw_socket(server, server.ticket({A: 0})) as raw:
        raw.send(frame(TEXT, asked() + b" " * size))
        assert await pong(raw) == "1"


async def test_1_1_text_is_read_however_it_is_cut(start: Start) -> None:
    server = await start()
    async with raw_socket(server, server.ticket({A: 0})) as raw:
        for byte in frame(TEXT, asked()):
            raw.send(bytes([byte]))
            await raw.writer.drain()
        assert await pong(raw) == "1"


async def test_1_2_binary_is_not_supported(start: Start) -> None:
    server = await start()
    async with raw_socket(server, server.ticket({A: 0})) as raw:
        raw.send(frame(BINARY, b"\x00\xff"))
        assert await raw.close_code() == 1003


@pytest.mark.parametrize("payload", [b"", b"hello", b"\x00\xff\xfe", b"x" * 125])
async def test_2_1_to_2_4_a_ping_is_answered_with_what_it_brought(
    start: Start, payload: bytes
) -> None:
    server = await start()
    async with raw_socket(server, server.ticket({A: 0})) as raw:
        raw.send(frame(PING, payload))
        assert await raw.until(PONG) == payload


async def test_2_5_a_ping_of_126_bytes_is_an_error(start: Start) -> None:
    server = await start()
    async with raw_socket(server, server.ticket({A: 0})) as raw:
        raw.send(frame(PING, b"x" * 126))
        assert await raw.close_code() == 1002


async def test_2_7_to_2_9_a_pong_that_nobody_asked_for_is_ignored(start: Start) -> None:
    server = await start()
    async with raw_socket(server, server.ticket({A: 0})) as raw:
        raw.send(frame(PONG), frame(PONG, b"unasked"), frame(PING, b"asked"))
        assert await raw.until(PONG) == b"asked"


async def test_2_10_ten_pings_are_answered_in_order(start: Start) -> None:
    server = await start()
    async with raw_socket(server, server.ticket({A: 0})) as raw:
        raw.send(*(frame(PING, b"%d" % n) for n in range(10)))
        assert [await raw.until(PONG) for _ in range(10)] == [b"%d" % n for n in range(10)]


@pytest.mark.parametrize("rsv", range(1, 8))
async def test_3_reserved_bits_are_an_error(start: Start, rsv: int) -> None:
    server = await start()
    async with raw_socket(server, server.ticket({A: 0})) as raw:
        raw.send(frame(TEXT, asked(), rsv=rsv))
        assert await raw.close_code() == 1002


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
async def test_4_reserved_opcodes_are_an_error(start: Start, opcode: int) -> None:
    server = await start()
    async with raw_socket(server, server.ticket({A: 0})) as raw:
        raw.send(frame(opcode, b"x"))
        assert await raw.close_code() == 1002


class TestFragments:
    @pytest.mark.parametrize("opcode", [PING, PONG])
    async def test_5_1_and_5_2_of_control_frames_are_an_error(
        self, start: Start, opcode: int
    ) -> None:
        server = await start()
        async with raw_socket(server, server.ticket({A: 0})) as raw:
            raw.send(frame(opcode, b"half", fin=False))
            assert await raw.close_code() == 1002

    async def test_5_3_to_5_8_make_one_message_with_pings_in_between(self, start: Start) -> None:
        server = await start()
        text = asked(b"joined")
        async with raw_socket(server, server.ticket({A: 0})) as raw:
            raw.send(frame(TEXT, text[:5], fin=False), frame(PING, b"between"))
            raw.send(frame(CONT, text[5:9], fin=False), frame(CONT, text[9:]))
            came: list[tuple[int, bytes]] = []
            while not {PONG, TEXT} <= {kind for kind, said in came if b"watermark" not in said}:
                came.append(await raw.frame())
        assert (PONG, b"between") in came
        assert any(b'"ref":"joined"' in said for _, said in came)

    async def test_5_9_to_5_14_without_a_beginning_are_an_error(self, start: Start) -> None:
        server = await start()
        async with raw_socket(server, server.ticket({A: 0})) as raw:
            raw.send(frame(CONT, asked()))
            assert await raw.close_code() == 1002

    async def test_5_18_a_message_within_a_message_is_an_error(self, start: Start) -> None:
        server = await start()
        async with raw_socket(server, server.ticket({A: 0})) as raw:
            raw.send(frame(TEXT, b"one", fin=False), frame(TEXT, b"two"))
            assert await raw.close_code() == 1002


class TestUtf8:
    async def test_6_1_to_6_2_letters_of_any_script_are_read_in_pieces(self, start: Start) -> None:
        server = await start()
        text = asked("κόσμε🍜".encode())
        async with raw_socket(server, server.ticket({A: 0})) as raw:
            cut = len(text) - 6
            raw.send(frame(TEXT, text[:cut], fin=False), frame(CONT, text[cut:]))
            assert await pong(raw) == "κόσμε🍜"

    @pytest.mark.parametrize(
        "wrong",
        [b"\x80", b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\xfe",
         b"\xe1\x80"],
        ids=["lone-continuation", "surrogate", "above-10ffff", "overlong", "fe", "cut-off"],
    )  # fmt: skip
    async def test_6_3_to_6_21_what_is_not_utf8_ends_the_connection(
        self, start: Start, wrong: bytes
    ) -> None:
        server = await start()
        async with raw_socket(server, server.ticket({A: 0})) as raw:
            raw.send(frame(TEXT, asked(wrong)))
            assert await raw.close_code() == 1007


class TestClosing:
    async def test_7_1_a_close_is_answered_and_the_connection_ends(self, start: Start) -> None:
        server = await start()
        async with raw_socket(server, server.ticket({A: 0})) as raw:
            raw.send(frame(CLOSE, struct.pack("!H", 1000) + b"bye"))
            assert await raw.close_code() == 1000
            await server.until_open(0)

    async def test_7_1_3_what_follows_a_close_is_ignored(self, start: Start) -> None:
        server = await start()
        async with raw_socket(server, server.ticket({A: 0})) as raw:
            await raw.until(TEXT)
            raw.send(frame(CLOSE, struct.pack("!H", 1000)), frame(TEXT, asked()), frame(PING, b"x"))
            assert await raw.until(CLOSE) == struct.pack("!H", 1000)
            assert await raw.reader.read() == b""

    async def test_7_3_1_a_close_without_a_code_is_answered(self, start: Start) -> None:
        server = await start()
        async with raw_socket(server, server.ticket({A: 0})) as raw:
            raw.send(frame(CLOSE))
            assert await raw.close_code() in (None, 1000)
            await server.until_open(0)

    @pytest.mark.parametrize(
        "payload",
        [b"\x03", struct.pack("!H", 1000) + b"x" * 124],
        ids=["one-byte", "too-long"],
    )
    async def test_7_3_a_malformed_close_is_an_error(self, start: Start, payload: bytes) -> None:
        server = await start()
        async with raw_socket(server, server.ticket({A: 0})) as raw:
            raw.send(frame(CLOSE, payload))
            assert await raw.close_code() == 1002

    @pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1016, 2999, 5000, 65535])
    async def test_7_9_a_close_with_a_code_that_means_nothing_is_an_error(
        self, start: Start, code: int
    ) -> None:
        server = await start()
        async with raw_socket(server, server.ticket({A: 0})) as raw:
            raw.send(frame(CLOSE, struct.pack("!H", code)))
            assert await raw.close_code() == 1002

    @pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 3000, 3999, 4999])
    async def test_7_7_a_close_with_any_good_code_is_answered(
        self, start: Start, code: int
    ) -> None:
        server = await start()
        async with raw_socket(server, server.ticket({A: 0})) as raw:
            raw.send(frame(CLOSE, struct.pack("!H", code)))
            assert await raw.close_code() == code

    async def test_7_5_a_reason_that_is_not_utf8_is_an_error(self, start: Start) -> None:
        server = await start()
        async with raw_socket(server, server.ticket({A: 0})) as raw:
            raw.send(frame(CLOSE, struct.pack("!H", 1000) + b"\xce\xba\xed\xa0\x80"))
            assert await raw.close_code() == 1007


class TestLimits:
    async def test_9_a_message_of_more_than_4_kib_is_refused_by_its_length(
        self, start: Start
    ) -> None:
        server = await start()
        async with raw_socket(server, server.ticket({A: 0})) as raw:
            raw.send(frame(TEXT, b"x", length=4097))
            assert await raw.close_code() == 1009

    async def test_9_so_are_fragments_that_are_more_together(self, start: Start) -> None:
        server = await start()
        async with raw_socket(server, server.ticket({A: 0})) as raw:
            raw.send(frame(TEXT, b"x" * 3000, fin=False), frame(CONT, b"x" * 3000))
            assert await raw.close_code() == 1009

    async def test_a_length_beyond_63_bits_ends_the_connection(self, start: Start) -> None:
        server = await start()
        async with raw_socket(server, server.ticket({A: 0})) as raw:
            raw.send(frame(TEXT, b"", length=2**64 - 1))
            assert await raw.close_code() in (1002, 1009)

    async def test_what_is_not_masked_is_an_error(self, start: Start) -> None:
        server = await start()
        async with raw_socket(server, server.ticket({A: 0})) as raw:
            raw.send(frame(TEXT, asked(), masked=False))
            assert await raw.close_code() == 1002

    async def test_a_flood_of_messages_ends_only_its_own_connection(self, start: Start) -> None:
        server = await start()
        ticket = server.ticket({A: 0})
        async with raw_socket(server, ticket) as other, raw_socket(server, ticket) as raw:
            raw.send(*(frame(TEXT, asked()) for _ in range(500)))
            assert await raw.close_code() == 1008
            other.send(frame(TEXT, asked(b"calm")))
            assert await pong(other) == "calm"

    async def test_nothing_is_left_of_connections_that_were_ended(self, start: Start) -> None:
        server = await start()
        async with raw_socket(server, server.ticket({A: 0})) as raw:
            raw.send(frame(BINARY, b"x"))
            await raw.close_code()
        await server.until_open(0)
        assert server.server.streams.hub.channels_followed == 0
        async with asyncio.timeout(5):
            while len(server.server.talk):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
