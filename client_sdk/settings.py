"""The settings of the client's machine. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the client's machine; times in seconds.

    Raises:
        ValueError: a number is out of range; the text names it.
    """

    stream_failures: int = 3
    """After so many stream failures without a healthy time between them, the client polls."""
    watermark_timeout: float = 15.0
    """If the stream's watermark does not advance for longer, the stream has failed."""
    connect_timeout: float = 5.0
    """A stream without a hello by then has failed, and the next attempt uses the other transport.
    """
    sync_timeout: float = 30.0
    """A sync without an answer by then (plus its wait) has failed, as has a token callback."""
    short_stream: float = 1.0
    """A stream that ends sooner, without any event, has failed: a proxy may be buffering."""
    healthy_after: float = 60.0
    """Failures are forgotten after the stream has worked for so long."""
    backoff_first: float = 0.5
    backoff_most: float = 30.0
    """The back-off doubles from the first to the longest delay, with full jitter."""
    poll_jitter: float = 0.2
    """Polls come at `poll_after_ms` times 1 ± this."""
    long_poll: float = 0.0
    """While polling, how long Core may hold the answer (at most 25); 0: poll every `poll_after_ms`.
    """
    max_pending: int = 1000
    """With so many unacknowledged changes the stream is closed until half are acknowledged. One
    answer of Fetch Sync may exceed it."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value < float("inf"):
                raise ValueError(f"{field.name} must be a finite number from 0 up, not {value}")
        for name in ("stream_failures", "max_pending"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        for name in ("watermark_timeout", "connect_timeout", "sync_timeout"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0 seconds")
        if self.poll_jitter > 1:
            raise ValueError("poll_jitter must be at most 1")
        if self.long_poll > 25:
            raise ValueError("long_poll must be at most 25 seconds: Core waits no longer")
