"""How often the client of a socket may do what, in time that the test lets pass."""

from __future__ import annotations

import json
from typing import Any

from event_server.sockets.session import SocketSession
from event_server.sockets.talk import Talk
from event_server.streams.registry import Streams
from event_server.streams.request_rules import StreamRequest
from server_common.limits import SOCKET_MESSAGES_PER_S, SOCKET_REQUESTS_PER_S
from tests.unit.event_server.parts import (
    FRAMES,
    KEYS,
    FakeSubscriber,
    make_hub,
    make_streams,
    make_ticket,
)

A = "store:1"
AT_ONCE = 2 * SOCKET_REQUESTS_PER_S


class FakeSocket(FakeSubscriber):
    """A subscriber that is sent replays by a method of their own."""

    def replay(self, frame: bytes) -> None:
        self.send(frame)


class World:
    """One open socket that follows A."""

    def __init__(self) -> None:
        hub = make_hub()
        hub.mark(0, 1000.0, 0.0)
        self.streams: Streams = make_streams(hub)
        self.talk = Talk(hub, FRAMES, "node")
        self.socket = FakeSocket()
        request = StreamRequest(KEYS.sign(make_ticket({A: 0})), "", "")
        accepted = self.streams.judge(request, 0.0)
        self.session = SocketSession(self.streams, self.talk, self.socket, accepted, 0.0)
        self.talk.join(self.socket)
        self.streams.open(self.socket, accepted, 0.0)
        self.socket.events.clear()

    def say(self, now: float, event: str, **data: Any) -> list[str]:
        """What a message is answered: the events, or the problems of refusals."""
        self.socket.events.clear()
        self.session.take(json.dumps({"event": event, "data": data}), now)
        return [self._told(one.type, json.loads(one.data)) for one in self.socket.events]

    def _told(self, event: str, data: Any) -> str:
        return data["problem"]["type"].rpartition(":")[2] if event == "refused" else event


def test_messages_to_others_are_taken_a_few_a_second_only() -> None:
    world = World()
    said = [world.say(0.0, "message", channel=A, name="x") for _ in range(AT_ONCE + 1)]
    assert said == [[]] * AT_ONCE + [["too-many-requests"]]
    assert world.say(1.0 / SOCKET_REQUESTS_PER_S, "message", channel=A, name="x") == []
    assert len(world.talk.messages()) == AT_ONCE + 1


def test_subscriptions_are_taken_a_few_a_second_only() -> None:
    world = World()
    said = [world.say(0.0, "subscribe", ticket="nonsense") for _ in range(AT_ONCE + 1)]
    assert said == [["bad-ticket"]] * AT_ONCE + [["too-many-requests"]]


def test_pings_and_receipts_are_as_many_as_frames() -> None:
    world = World()
    for _ in range(4 * AT_ONCE):
        assert world.say(0.0, "ping") == ["pong"]
        assert world.say(0.0, "received", cursor=f"{A}@1") == []


def test_frames_beyond_their_number_end_the_socket() -> None:
    session = World().session
    allowed = [session.may_go_on(0.0) for _ in range(2 * SOCKET_MESSAGES_PER_S + 1)]
    assert allowed == [True] * 2 * SOCKET_MESSAGES_PER_S + [False]


def test_nothing_is_done_for_a_socket_that_has_been_told_bye() -> None:
    world = World()
    world.streams.end_all("drain", 0.0)
    assert world.say(0.0, "subscribe", ticket=KEYS.sign(make_ticket({"store:2": 0}))) == []
    assert world.streams.hub.channels_followed == 0
