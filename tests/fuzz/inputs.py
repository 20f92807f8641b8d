"""Makes inputs: from the corpus with a few or many changes, and from random bytes."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from tests.fuzz.targets import Target

_MAX_CHANGES = 6
_LONGEST = 20_000


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    """Bytes for a target. A failing input shrinks to fewer changes of an earlier seed."""
    seeds = [b"", *target.seeds().values()]
    return st.one_of(_changed(target, seeds), st.binary(max_size=300))


@st.composite
def _changed(draw: Callable[[st.SearchStrategy[object]], object], target: Target,
             seeds: list[bytes]) -> bytes:  # fmt: skip
    def pick(strategy: st.SearchStrategy[int]) -> int:
        value = draw(strategy)
        assert isinstance(value, int)
        return value

    def place(data: bytes) -> int:
        return pick(st.integers(0, len(data)))

    data = seeds[pick(st.integers(0, len(seeds) - 1))]
    for _ in range(pick(st.integers(0, _MAX_CHANGES))):
        at = place(data)
        match pick(st.integers(0, 5)):
            case 0:  # a bit
                if at < len(data):
                    flipped = data[at] ^ 1 << pick(st.integers(0, 7))
                    data = data[:at] + bytes([flipped]) + data[at + 1 :]
            case 1:  # a byte
                data = data[:at] + bytes([pick(st.integers(0, 255))]) + data[at:]
            case 2:  # a word
                word = target.words[pick(st.integers(0, len(target.words) - 1))]
                data = data[:at] + word + data[at:]
            case 3:  # something is removed
                data = data[:at] + data[place(data) :] if at else data[place(data) :]
            case 4:  # something is repeated
                end = min(place(data), at + 1000)
                data = data[:end] + data[min(at, end) :]
            case _:  # the end of another seed
                other = seeds[pick(st.integers(0, len(seeds) - 1))]
                data = data[:at] + other[place(other) :]
    return data[:_LONGEST]
