"""A stream's opening, of which most is made once for many."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract.sse import encode_frame
from client_sdk.contract.stream import HELLO, Hello
from event_server.replay.frames import Frames, as_chunk, as_text

texts = st.sampled_from(["a", "100%", "%d", "ü", '"', "\\", "%%(x)s"])
hellos = st.builds(
    Hello,
    server=texts,
    epoch=texts,
    watermark=texts,
    ends_in_ms=st.integers(0, 10**9),
    replayed=st.integers(0, 10**6),
)


@given(st.lists(st.tuples(st.integers(0, 10**6), hellos), max_size=5))
def test_an_opening_is_its_retry_and_its_hello(openings: list[tuple[int, Hello]]) -> None:
    text, chunk = Frames(as_text), Frames(as_chunk)
    for retry, hello in openings:
        plain = b"retry: %d\n\n" % retry + encode_frame(HELLO, msgspec.json.encode(hello))
        assert text.opening(retry, hello) == plain
        assert chunk.opening(retry, hello) == as_chunk(plain)
