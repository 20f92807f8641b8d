"""The parts of a WebSocket that need no connection."""

from __future__ import annotations

import json

import pytest

from client_sdk.contract.channel import parse_channel
from client_sdk.contract.socket import ShortMessage, socket_url
from client_sdk.contract.stream import Hello
from event_server.errors import StreamRefusedError
from event_server.replay.frames import Frames, as_chunk, joined
from event_server.sockets.handshake import Origins, check_subprotocol, check_upgrade
from event_server.sockets.messages import SharedMessages, messages_of
from event_server.sockets.rates import Rate
from event_server.sockets.talk import Talk
from server_common.kafka_records.receipts import Receipt, decode_receipts
from server_common.limits import SOCKET_MESSAGES_WAITING, SOCKET_RECEIPTS_WAITING
from tests.unit.event_server.parts import EPOCH, FRAMES, FakeSubscriber, event, make_hub

A, B = "store:1", "table:1/5"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


class TestFramesAsMessages:
    def test_an_event_keeps_its_id_its_type_and_its_data_to_the_byte(self) -> None:
        line = '{"a": "\u2028 🍜 id: 7 data: x"}'.encode()
        (message,) = messages_of(FRAMES.event((f"{A}@7", "order.placed", line)))
        assert message == b'{"id":"store:1@7","event":"order.placed","data":%b}' % line

    def test_the_opening_is_a_hello_without_the_retry_of_streams(self) -> None:
        hello = Hello("s", EPOCH, "2026-11-21T03:00:38Z", 60_000, 2)
        (message,) = messages_of(FRAMES.opening(2000, hello))
        assert json.loads(message)["event"] == "hello"
        assert json.loads(message)["data"]["replayed"] == 2

    def test_joined_frames_are_as_many_messages_in_order(self) -> None:
        frames = b"".join(FRAMES.event(event(A, seq)) for seq in (1, 2, 3))
        assert [json.loads(one)["id"] for one in messages_of(frames)] == [
            f"{A}@{seq}" for seq in (1, 2, 3)
        ]

    def test_a_frame_is_made_into_a_message_once_for_all_sockets(self) -> None:
        made: list[bytes] = []

        def text_of(frame: bytes) -> bytes:
            made.append(frame)
            return joined(frame)

        shared = SharedMessages(text_of)
        frame = Frames(as_chunk).event(event(A, 1))
        assert shared.of(frame) is shared.of(frame)
        assert len(made) == 1

    def test_equal_bytes_at_another_time_are_another_frame(self) -> None:
        shared = SharedMessages(lambda frame: frame)
        first = shared.of(FRAMES.event(event(A, 1)))
        assert shared.of(FRAMES.event(event(A, 2))) != first
        assert shared.of(FRAMES.event(event(A, 1))) == first

    @pytest.mark.parametrize("size", [10, 125, 126, 65_535, 65_536])
    def test_the_length_stands_in_the_frames_head(self, size: int) -> None:
        shared = SharedMessages(lambda frame: frame)
        data = shared.of(FRAMES.say("x", b'"' + b"a" * size + b'"'))
        payload = len(b'{"event":"x","data":""}') + size
        head = 2 if payload < 126 else 4 if payload < 65_536 else 10
        assert (data[0], len(data)) == (0x81, head + payload)


class TestTheHandshake:
    def test_the_answer_is_the_one_of_rfc_6455(self) -> None:
        accept = check_upgrade(True, "websocket", "keep-alive, Upgrade", "13", KEY)
        assert accept == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    @pytest.mark.parametrize(
        ("http_1_1", "upgrade", "connection", "version", "key", "slug"),
        [
            (False, "websocket", "Upgrade", "13", KEY, "upgrade-required"),
            (True, "", "Upgrade", "13", KEY, "upgrade-required"),
            (True, "h2c", "Upgrade", "13", KEY, "upgrade-required"),
            (True, "websocket", "keep-alive", "13", KEY, "upgrade-required"),
            (True, "websocket", "Upgrade", "8", KEY, "upgrade-required"),
            (True, "websocket", "Upgrade", "13", "", "bad-request"),
            (True, "websocket", "Upgrade", "13", "c2hvcnQ=", "bad-request"),
            (True, "websocket", "Upgrade", "13", "ü" * 24, "bad-request"),
        ],
    )
    def test_anything_else_is_refused(
        self, http_1_1: bool, upgrade: str, connection: str, version: str, key: str, slug: str
    ) -> None:
        with pytest.raises(StreamRefusedError) as caught:
            check_upgrade(http_1_1, upgrade, connection, version, key)
        assert caught.value.slug == slug

    def test_our_subprotocol_must_be_offered(self) -> None:
        check_subprotocol("chat, yabam.v1")
        with pytest.raises(StreamRefusedError):
            check_subprotocol("chat")

    def test_programs_send_no_origin(self) -> None:
        assert refusal_of(Origins([]), "", "events.example") is None

    def test_a_star_lets_all_pages_in(self) -> None:
        assert refusal_of(Origins(["*"]), "https://any.example", "events.example") is None

    @pytest.mark.parametrize(
        ("origin", "may"),
        [
            ("https://ours.example", True),
            ("https://events.example:8443", True),
            ("http://events.example:8443", True),
            ("https://events.example", False),
            ("https://evil.example", False),
            ("https://ours.example.evil.example", False),
            ("null", False),
        ],
    )
    def test_pages_of_the_set_origins_and_of_the_same_host_may(
        self, origin: str, may: bool
    ) -> None:
        origins = Origins(["https://ours.example"])
        told = None if may else "forbidden"
        assert refusal_of(origins, origin, "events.example:8443") == told


def refusal_of(origins: Origins, origin: str, host: str) -> str | None:
    """As what a page of this origin is refused; None: it may connect."""
    try:
        origins.check(origin, host)
    except StreamRefusedError as error:
        return error.slug
    return None


class TestRates:
    def test_so_many_at_once_and_then_so_many_a_second(self) -> None:
        rate = Rate(5, 10, 0.0)
        assert [rate.take(0.0) for _ in range(11)] == [True] * 10 + [False]
        assert [rate.take(0.2), rate.take(0.2)] == [True, False]

    def test_a_rest_gives_back_no_more_than_the_most(self) -> None:
        rate = Rate(5, 10, 0.0)
        assert sum(rate.take(1000.0) for _ in range(50)) == 10

    def test_a_clock_that_goes_back_gives_nothing(self) -> None:
        rate = Rate(5, 1, 100.0)
        assert rate.take(100.0)
        assert not rate.take(50.0)
        assert not rate.take(100.0)


class TestFollowingMore:
    def test_what_is_followed_later_is_delivered_beside_the_rest(self) -> None:
        hub, socket = make_hub(), FakeSubscriber()
        hub.attach(socket, {A: 0}, {A: 0}, 1000.0, EPOCH)
        hub.attach(socket, {B: 0}, {B: 0}, 1000.0, EPOCH)
        hub.publish(A, 1, event(A, 1), 1000.0)
        hub.publish(B, 1, event(B, 1), 1000.0)
        assert socket.ids() == [f"{A}@1", f"{B}@1"]
        assert hub.channels_of(socket) == (A, B)

    def test_what_was_left_comes_no_more(self) -> None:
        hub, socket = make_hub(), FakeSubscriber()
        hub.attach(socket, {A: 0, B: 0}, {A: 0, B: 0}, 1000.0, EPOCH)
        hub.leave(socket, {A})
        hub.publish(A, 1, event(A, 1), 1000.0)
        hub.publish(B, 1, event(B, 1), 1000.0)
        assert socket.ids() == [f"{B}@1"]
        assert (hub.channels_followed, hub.followers(A)) == (1, [])

    def test_who_left_all_is_not_ended_by_a_new_epoch(self) -> None:
        hub, socket = make_hub(), FakeSubscriber()
        hub.attach(socket, {A: 0}, {A: 0}, 1000.0, EPOCH)
        hub.leave(socket, {A})
        hub.admit("01EPOCH2")
        assert socket.types() == []

    def test_a_detached_one_is_gone_from_all_that_it_followed(self) -> None:
        hub, socket = make_hub(), FakeSubscriber()
        hub.attach(socket, {A: 0}, {A: 0}, 1000.0, EPOCH)
        hub.attach(socket, {B: 0}, {B: 0}, 1000.0, EPOCH)
        hub.detach(socket)
        assert hub.channels_followed == 0


def talk_of(*sockets: FakeSubscriber) -> Talk:
    """A talk whose sockets all follow A."""
    hub = make_hub()
    talk = Talk(hub, FRAMES, "node")
    for socket in sockets:
        hub.attach(socket, {A: 0}, {A: 0}, 1000.0, EPOCH)
        talk.join(socket)
    return talk


class TestTalk:
    def test_messages_beyond_what_may_wait_are_refused(self) -> None:
        socket = FakeSubscriber()
        talk = talk_of(socket)
        for _ in range(SOCKET_MESSAGES_WAITING):
            talk.say(socket, ShortMessage(A, "x"), "ann")
        with pytest.raises(StreamRefusedError) as caught:
            talk.say(socket, ShortMessage(A, "x"), "ann")
        assert caught.value.slug == "unavailable"
        assert len(talk.messages()) == SOCKET_MESSAGES_WAITING

    @pytest.mark.parametrize(
        "value", [None, b"", b"nonsense", b'{"channel":"store:1"}', b"x" * 10_000, b"\xff" * 20]
    )
    def test_a_record_that_cannot_be_read_stops_nothing(self, value: bytes | None) -> None:
        sender, other = FakeSubscriber(), FakeSubscriber()
        talk = talk_of(sender, other)
        talk.take(value)
        talk.say(sender, ShortMessage(A, "x"), "ann")
        for record in talk.messages():
            talk.take(record.value)
        assert (other.types(), talk.counts["malformed"]) == (["message"], 1)

    def test_receipts_of_too_many_devices_are_left_out(self) -> None:
        talk = talk_of()
        for n in range(SOCKET_RECEIPTS_WAITING + 1):
            talk.received(parse_channel(A), Receipt(f"d{n}", "ann", EPOCH, 1))
        assert talk.counts["dropped"] == 1
        batches = [decode_receipts(record.value)[0] for record in talk.receipts()]
        assert sum(len(batch.receipts) for batch in batches) == SOCKET_RECEIPTS_WAITING
        assert not talk.waits


@pytest.mark.parametrize(
    ("stream", "socket"),
    [
        ("https://a.example/v1/stream", "wss://a.example/v1/socket"),
        ("http://a.example:8001/e1/v1/stream", "ws://a.example:8001/e1/v1/socket"),
        ("https://a.example/other", None),
        ("/v1/stream", None),
    ],
)
def test_the_sockets_address_follows_from_the_streams(stream: str, socket: str | None) -> None:
    assert socket_url(stream) == socket
