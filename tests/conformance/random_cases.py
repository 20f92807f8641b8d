"""Random cases by seed: both clients must give the same results.

A case is made while the Python machine runs. Most inputs are such as servers, network and page
would send in that state; some are nonsense.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Final

from tests.conformance import cases
from tests.conformance.cases import Json
from tests.conformance.machine_subject import MachineSubject
from tests.conformance.subject import change_of, failure_of

INPUTS: Final = 60
_CHANNELS: Final = ("store:12", "table:12/5", "store:13")
_KINDS: Final = ("unreachable", "busy", "unauthorized", "token", "ticket", "refused", "malformed")
_PAUSES: Final = (0.0, 0.01, 0.3, 0.9, 1.0, 5.0, 14.0, 31.0, 70.0, -3.0)


def machine_play(seed: str) -> tuple[Json, Json]:
    """A random case for the machine, and the Python machine's results."""
    return _Play(seed).played()


class _Play:
    """A machine, with random inputs."""

    def __init__(self, seed: str) -> None:
        self._random = random = Random(seed)
        channels = random.sample(_CHANNELS, random.choice((1, 1, 2, 3)))
        known = random.random() < 0.6
        self._case: Json = {
            "name": seed,
            "positions": {c: random.choice((0, 5, 20)) if known else None for c in channels},
            "epoch": "E1" if known else None,
            "settings": _settings(random),
            "chance": [random.choice((0.0, 1.0, random.random())) for _ in range(7)],
        }
        self._subject = MachineSubject(self._case, change_of, failure_of)
        self._heads = {c: (seq or 0) + random.randint(0, 4) for c, seq in self._positions.items()}
        self._epoch = "E1"
        self._now = 0.0
        self._second = 0
        self._asked: Mapping[str, int | None] = self._positions
        self._generations = {"sync": 0, "stream": 0}

    @property
    def _positions(self) -> Mapping[str, int | None]:
        return self._subject.machine.positions.all

    def played(self) -> tuple[Json, Json]:
        steps, said = [], []
        for n in range(INPUTS):
            told = {"type": "Start"} if n == 0 else self._something()
            step = cases.filled("machine", {"steps": [{"now": self._now, "input": told}]})["steps"][
                0
            ]
            steps.append(step)
            said.append(self._subject.step(step["input"], self._now))
            for command in said[-1]["commands"]:
                self._notice(command)
            self._pass_time()
        answer = {"steps": said, "end": self._subject.end()}
        return self._case | {"steps": steps}, cases.as_told(answer)

    def _notice(self, command: Json) -> None:
        match command["type"]:
            case "StartSync":
                self._generations["sync"] = command["generation"]
                self._asked = command["after"]
            case "OpenStream":
                self._generations["stream"] = command["generation"]

    def _pass_time(self) -> None:
        random, deadline = self._random, self._subject.machine.deadline
        if deadline < float("inf") and random.random() < 0.3:
            self._now = max(self._now, deadline - random.choice((0.0, 0.0, 0.001)))
        else:
            self._now += random.choice(_PAUSES)

    def _something(self) -> Json:
        random, state = self._random, self._subject.machine.state.value
        usual = {
            "syncing": ("answer", "answer", "fail", "tick"),
            "connecting": ("hello", "hello", "hello", "ended", "bye", "required", "tick"),
            "live": ("event", "event", "event", "beat", "bye", "ended", "required", "tick"),
            "polling": (
                "answer",
                "answer",
                "answer",
                "hello",
                "event",
                "beat",
                "fail",
                "tick",
                "ended",
            ),
        }
        kind = random.choice(usual.get(state, ("tick",)))
        if random.random() < 0.12:
            kind = random.choice(
                ("answer", "fail", "hello", "event", "beat", "bye", "ended", "required")
            )
        elif random.random() < 0.03:
            kind = random.choice(("diverged", "diverged", "start"))
        elif random.random() < 0.005:
            kind = random.choice(("close", "give up"))
        told: Json = getattr(self, f"_{kind.replace(' ', '_')}")()
        return told

    def _of(self, which: str) -> int:
        stale = self._random.random() < 0.06
        return self._generations[which] - (1 if stale else 0)

    # ── inputs of a page ─────────────────────────────────────────────────────

    def _start(self) -> Json:
        return {"type": "Start"}

    def _tick(self) -> Json:
        return {"type": "Tick"}

    def _close(self) -> Json:
        return {"type": "Close"}

    def _give_up(self) -> Json:
        return {"type": "GiveUp", "cause": "a bug"}

    def _diverged(self) -> Json:
        return {"type": "Diverged", "channel": self._random.choice(_CHANNELS)}

    # ── answers of Core ──────────────────────────────────────────────────────

    def _fail(self) -> Json:
        return {"type": "SyncFailed", "generation": self._of("sync"), "failure": self._failure()}

    def _failure(self) -> Json:
        random = self._random
        often = ("unreachable", "busy", "ticket", "malformed")
        kind = random.choice(_KINDS if random.random() < 0.2 else often)
        wait = random.choice((None, 0.0, 2.0, 100.0)) if kind == "busy" else None
        return {"kind": kind, "detail": f"it is {kind}", "retry_after": wait}

    def _answer(self) -> Json:
        random = self._random
        if random.random() < 0.02:
            self._epoch = random.choice(("E1", "E2", "E3"))
            self._heads = {c: random.randint(0, 9) for c in self._heads}
        channels = [
            self._channel(c, seq) for c, seq in self._asked.items() if random.random() > 0.01
        ]
        more = any(one["has_more"] for one in channels) or random.random() < 0.01
        response = {
            "epoch": self._epoch,
            "channels": channels,
            "has_more": more,
            "poll_after_ms": random.choice((0, 100, 1000, 3000, 10**6)),
        }
        if more or random.random() < 0.06:
            response["stream"] = None
        return {"type": "SyncDone", "generation": self._of("sync"), "response": response}

    def _channel(self, channel: str, asked: int | None) -> Json:
        random = self._random
        self._heads[channel] += random.choice((0, 0, 1, 3))
        head = self._heads[channel]
        part: Json = {"channel": channel, "head": head, "has_more": False}
        part["digest"] = random.choice(("0" * 16, "0" * 16, "f" * 16))
        if random.random() < 0.5:
            part["content_digest"] = random.choice(("0" * 32, "0" * 32, "f" * 32, None))
        start, reason = asked, None
        foreign = self._epoch != self._subject.machine.epoch
        if asked is None or foreign or asked > head or random.random() < 0.05:
            start = random.randint(0, head)
            reason = (
                "first_sync" if asked is None else random.choice(("retention", "epoch", "ahead"))
            )
            part["snapshot"] = {"head": start, "orders": [{"id": "a"}][: random.randint(0, 1)]}
        part["reset"] = reason
        seqs = list(range((start or 0) + 1, head + 1))
        if len(seqs) > 2 and random.random() < 0.4:
            seqs, part["has_more"] = seqs[:2], True
        part["events"] = [{"seq": seq} for seq in seqs]
        return self._spoiled(part) if random.random() < 0.08 else part

    def _spoiled(self, part: Json) -> Json:
        random = self._random
        spoiled: list[Json] = [
            part | {"events": part["events"][1:]},
            part | {"events": [*part["events"], {"seq": part["head"] + 2}]},
            part | {"events": [{"seq": 1, "channel": random.choice(_CHANNELS)}, *part["events"]]},
            part | {"head": max(0, part["head"] - 3)},
            part | {"head": part["head"] + 2},
            part | {"snapshot": None},
            part | {"reset": "retention"},
            part | {"has_more": not part["has_more"]},
        ]
        return random.choice(spoiled)

    # ── messages of a stream ─────────────────────────────────────────────────

    def _hello(self) -> Json:
        epoch = self._epoch if self._random.random() > 0.03 else "E9"
        told = {"type": "StreamHello", "epoch": epoch, "watermark": self._watermark()}
        return told | {"generation": self._of("stream")}

    def _beat(self) -> Json:
        told = {"type": "StreamHeartbeat", "watermark": self._watermark()}
        return told | {"generation": self._of("stream")}

    def _event(self) -> Json:
        random = self._random
        channel = random.choice(_CHANNELS if random.random() < 0.03 else list(self._heads))
        position = self._positions.get(channel) or 0
        seq = max(1, position + random.choice((1,) * 12 + (0, -1, 2)))
        if channel in self._heads:
            self._heads[channel] = max(self._heads[channel], seq)
        event = {"seq": seq, "channel": channel}
        return {"type": "StreamEvent", "generation": self._of("stream"), "event": event}

    def _required(self) -> Json:
        told = {"type": "StreamSyncRequired", "channel": "store:12"}
        reason = self._random.choice(("gap", "ring", "restart"))
        return told | {"generation": self._of("stream"), "reason": reason}

    def _bye(self) -> Json:
        random = self._random
        reason = random.choice(("timeout", "timeout", "drain", "degraded", "slow", "expired"))
        after = random.choice((0, 0, 500, 4000, 10**8, -1))
        told = {"type": "StreamBye", "reason": reason, "reconnect_after_ms": after}
        return told | {"generation": self._of("stream")}

    def _ended(self) -> Json:
        return {"type": "StreamEnded", "generation": self._of("stream"), "failure": self._failure()}

    def _watermark(self) -> str:
        self._second += self._random.choice((0, 1, 5, 5, -2))
        return f"2026-11-21T12:{max(0, self._second) // 60:02}:{max(0, self._second) % 60:02}Z"


def _settings(random: Random) -> Json:
    return {
        "stream_failures": random.choice((1, 2, 3)),
        "long_poll": random.choice((0, 0, 3, 25)),
        "poll_jitter": random.choice((0.0, 0.2, 1.0)),
        "healthy_after": random.choice((0, 10, 60)),
        "short_stream": random.choice((0, 1)),
        "backoff_first": random.choice((0.5, 2, 40)),
        "connect_timeout": random.choice((2, 10)),
    }


def sse_case(seed: str) -> Json:
    """Bytes for the parser, in random pieces."""
    random = Random(seed)
    words = [
        *(
            b"data: ",
            b"data:",
            b"data",
            b"event: e",
            b"id: 1",
            b"id",
            b"retry: 12",
            b": c",
            b"x: y",
        ),
        *(
            b"\n",
            b"\n",
            b"\n\n",
            b"\r",
            b"\r\n",
            b" ",
            b"a",
            b"\0",
            b"\xef\xbb\xbf",
            b"\xff",
            b"\xe2\x80",
        ),
        *("한".encode(), "\u2028".encode(), "🍜".encode(), b"\xed\xa0\x80", b"\xf0\x9f"),
    ]
    text = b"".join(random.choice(words) for _ in range(random.randint(1, 120)))
    pieces = []
    while text:
        size = random.choice((1, 1, 2, 7, 50))
        pieces.append(text[:size].hex())
        text = text[size:]
    return {"name": seed, "bytes": pieces}


_NOTES: Final = ("", "no onions", '"\\/\b\f\n\r\t\x01\x7f', "\u2028\u2029\u0085🍜")
_NEW: Final[tuple[Json, ...]] = (1, -1, "a", True, None, [], {"b": [1, {}], "a": 2**53 - 1})


def book_case(seed: str) -> Json:
    """Events and snapshots for the order book."""
    random = Random(seed)
    channels = ["store:12", "table:12/5"]
    statuses = ("placed", "accepted", "ready", "served", "paid", "cancelled", "on its way")

    def order() -> Json:
        told = {
            "id": random.choice("abcdef"),
            "version": random.randint(1, 5),
            "status": random.choice(statuses),
            "note": random.choice(
                ("", "no onions", '"\\/\b\f\n\r\t\x01\x7f', "\u2028\u2029\u0085🍜")
            ),
            "created_at": f"2026-11-21T12:00:0{random.randint(0, 3)}.{random.choice((0, 125))}Z",
        }
        if random.random() < 0.5:
            told["open"] = random.random() < 0.7
        if random.random() < 0.2:
            told["new"] = random.choice(
                (1, -1, "a", True, None, [], {"b": [1, {}], "a": 2**53 - 1})
            )
        if random.random() < 0.02:
            told["new"] = 0.5
        return told | ({"placed_by": "app"} if random.random() < 0.3 else {})

    steps: list[Json] = []
    for seq in range(1, 30):
        channel = random.choice(channels)
        if random.random() < 0.8:
            steps.append({"apply": {"seq": seq, "channel": channel, "order": order()}})
        else:
            orders = {one["id"]: one for one in (order() for _ in range(random.randint(0, 4)))}
            steps.append({"replace": channel, "orders": list(orders.values())})
    return cases.filled("book", {"name": seed, "channels": channels, "steps": steps})
