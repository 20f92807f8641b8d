"""The link for far clients: its rules, and what it really does to packets."""

from __future__ import annotations

import ctypes
import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.bench.fanout.far import Case, Seen, cases, rows
from tests.bench.fanout.slow import Noticed
from tests.bench.link import network
from tests.bench.link.network import LinkError, enter_own_network
from tests.bench.link.program import Carried, Direction, Quality, compiled, compiled_delay_line

MANY: Final = 10_000
NEVER: Final = 2**64 - 1
TAKEN, LOST, NO_ROOM = range(3)
DELAY_MS: Final = 20
LOSS: Final = 0.1
SEED: Final = 7
PACKETS: Final = 300


class Line(ctypes.Structure):
    """`struct delay_line` of delay_line.h."""

    _fields_ = (
        ("delay_ns", ctypes.c_uint64),
        ("random", ctypes.c_uint64),
        ("loss", ctypes.c_double),
        ("room", ctypes.c_size_t),
        ("waiting", ctypes.c_size_t),
        ("first", ctypes.c_void_p),
        ("last", ctypes.c_void_p),
        ("came", ctypes.c_uint64),
        ("lost", ctypes.c_uint64),
        ("no_room", ctypes.c_uint64),
    )


class DelayLine:
    """The C code, called from here."""

    def __init__(self, library: ctypes.CDLL, delay: int, loss: float, seed: int, room: int) -> None:
        self.state = Line()
        self._at = ctypes.byref(self.state)
        self._library = library
        begin = library.line_begin
        begin.argtypes = (
            ctypes.c_void_p, ctypes.c_uint64, ctypes.c_double, ctypes.c_uint64, ctypes.c_size_t,
        )  # fmt: skip
        begin(self._at, delay, loss, seed, room)

    def take(self, packet: bytes, now: int) -> int:
        taken: int = self._library.line_take(
            self._at, packet, ctypes.c_uint32(len(packet)), ctypes.c_uint64(now)
        )
        return taken

    def next(self) -> int:
        self._library.line_next.restype = ctypes.c_uint64
        due: int = self._library.line_next(self._at)
        return due

    def due(self, now: int) -> bytes | None:
        """The first packet, which is dropped."""
        size = ctypes.c_uint32()
        self._library.line_due.restype = ctypes.c_void_p
        at = self._library.line_due(self._at, ctypes.c_uint64(now), ctypes.byref(size))
        if at is None:
            return None
        packet = ctypes.string_at(at, size.value)
        self._library.line_drop(self._at)
        return packet


Lines = Callable[..., DelayLine]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    return ctypes.CDLL(str(compiled_delay_line(tmp_path_factory.mktemp("delay-line"))))


@pytest.fixture
def line(library: ctypes.CDLL) -> Iterator[Lines]:
    made: list[DelayLine] = []

    def make(delay: int = 100, loss: float = 0.0, seed: int = 1, room: int = MANY) -> DelayLine:
        made.append(DelayLine(library, delay, loss, seed, room))
        return made[-1]

    yield make
    for one in made:
        while one.due(NEVER) is not None:
            pass


def lost_of(line: DelayLine, count: int) -> list[int]:
    return [number for number in range(count) if line.take(b"p", number) == LOST]


def test_packets_come_out_as_they_came_each_after_the_delay(line: Lines) -> None:
    one = line(delay=100)
    assert one.next() == NEVER
    assert [one.take(packet, now) for packet, now in ((b"first", 5), (b"", 7), (b"third", 7))] == [
        0
    ] * 3
    assert one.next() == 105
    assert one.due(104) is None
    assert one.due(105) == b"first"
    assert (one.next(), one.due(106)) == (107, None)
    assert [one.due(200), one.due(200), one.due(200)] == [b"", b"third", None]
    assert one.next() == NEVER
    assert one.take(b"later", 300) == TAKEN, "an emptied line takes again"
    assert one.due(400) == b"later"


def test_the_seed_alone_says_which_packets_are_lost(line: Lines) -> None:
    lost = lost_of(line(loss=0.01, seed=3), MANY)
    assert lost == lost_of(line(loss=0.01, seed=3, delay=0), MANY)
    assert lost != lost_of(line(loss=0.01, seed=4), MANY)
    assert len(lost) == pytest.approx(MANY * 0.01, rel=0.5)


def test_losses_do_not_come_in_a_row_more_than_by_chance(line: Lines) -> None:
    lost = lost_of(line(loss=0.1, room=MANY * 10), MANY * 10)
    pairs = sum(after == before + 1 for before, after in itertools.pairwise(lost))
    assert pairs / len(lost) == pytest.approx(0.1, rel=0.2)


@pytest.mark.parametrize(("loss", "expected"), [(0.0, 0), (1.0, MANY)])
def test_none_or_all_are_lost(line: Lines, loss: float, expected: int) -> None:
    one = line(loss=loss)
    assert len(lost_of(one, MANY)) == expected
    assert (one.state.came, one.state.lost, one.state.no_room) == (MANY, expected, 0)


def test_what_finds_no_room_is_counted_apart_from_what_was_to_be_lost(
    line: Lines,
) -> None:
    one = line(room=2)
    assert [one.take(b"p", 0) for _ in range(3)] == [TAKEN, TAKEN, NO_ROOM]
    assert one.due(100) == b"p"
    assert one.take(b"p", 1) == TAKEN
    assert (one.state.came, one.state.lost, one.state.no_room) == (4, 0, 1)


def tried(folder: Path) -> subprocess.CompletedProcess[str]:
    """The command that tries a link, in a process: it moves into a network of its own."""
    options = (
        f"--delay-ms {DELAY_MS} --loss {LOSS} --seed {SEED} --packets {PACKETS} --build {folder}"
    )
    return subprocess.run(
        [sys.executable, "-m", "tests.bench.link", *options.split()],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_link_delays_and_loses_packets_and_the_kernel_sends_them_again(
    tmp_path: Path, line: Lines
) -> None:
    done = tried(tmp_path)
    if done.returncode:
        # A container may forbid both a network and TUN devices; then it has to say so.
        assert done.stderr.startswith(("a network namespace is needed", "TUN devices are needed"))
        return
    found: dict[str, Any] = json.loads(done.stdout)
    for direction, seed in (("there", 2 * SEED), ("back", 2 * SEED + 1)):
        datagrams = found[direction]
        assert datagrams["lost"] == lost_of(line(loss=LOSS, seed=seed), PACKETS)
        assert datagrams["least_ms"] >= DELAY_MS
    assert found["text"]["whole"]
    assert found["text"]["sent_again"] > 0
    assert found["overflowed"] == 0


def refuses(*_: int) -> int:
    ctypes.set_errno(1)
    return -1


def test_who_may_not_make_a_network_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network._libc, "unshare", refuses)
    with pytest.raises(LinkError, match=r"Operation not permitted.*run it as root"):
        enter_own_network()


def test_missing_tun_devices_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network._libc, "unshare", lambda _: 0)
    monkeypatch.setattr(network, "_TUN", "/dev/net/none")
    with pytest.raises(LinkError, match=r"none cannot be opened .No such file"):
        enter_own_network()


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(LinkError, match="apt-get install gcc"):
        compiled(tmp_path)


def test_each_way_is_measured_beside_those_without_distance_and_without_slow_ones() -> None:
    options = type("Options", (), {"delay_ms": 100.0, "loss": 0.01, "seed": 5, "slow_every": 10})()
    far = "a link of 100 ms that loses 1 %"
    assert cases(options) == [
        Case("nothing", None),
        Case("a link that does nothing", Quality(0, 0)),
        Case(far, Quality(100, 0.01, 5)),
        Case(far, Quality(100, 0.01, 5), slow_every=10),
    ]


def test_a_row_has_the_medians_of_its_rounds_and_the_share_that_the_link_lost() -> None:
    seen = [
        Seen(
            Noticed(100.0, p99, 5.0, 1.0, 0),
            40,
            Carried(Direction(3000, 30, 0), Direction(1000, 10, 2), 3),
        )
        for p99 in (500.0, 400.0, 900.0)
    ]
    (row,) = rows([(Case("a link", Quality(100, 0.01), 10), seen)])
    assert (row["between"], row["slow_every"], row["p99_ms"]) == ("a link", 10, 500.0)
    assert (row["packets"], row["lost_share"], row["overflowed"]) == (4000, 0.01, 5)
    (near,) = rows([(Case("nothing", None), [Seen(Noticed(1.0, 2.0, 5.0, 1.0, 0), 0, None)])])
    assert (near["packets"], near["lost_share"], near["sent_again"]) == (0, 0.0, 0)
