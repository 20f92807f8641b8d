"""The numbers of the client's machine. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Settings:
    """The machine's numbers; times in seconds.

    Raises:
        ValueError: a number makes no sense; the text names it.
    """

    stream_failures: int = 3
    """After so many stream failures without a healthy time between them it polls."""
    watermark_timeout: float = 15.0
    """A watermark that stands still for longer makes the stream a failed one."""
    connect_timeout: float = 5.0
    """A stream that has not said hello by then has failed, and the next is tried by the other
    transport."""
    sync_timeout: float = 30.0
    """A sync that is not answered by then (plus its wait) has failed; so has a token callback."""
    short_stream: float = 1.0
    """A stream that ends sooner, without an event, has failed: a proxy may be buffering."""
    healthy_after: float = 60.0
    """Failures are forgotten after the stream has been well for so long."""
    backoff_first: float = 0.5
    backoff_most: float = 30.0
    """The back-off doubles from the first to the most, and is taken with full jitter."""
    poll_jitter: float = 0.2
    """Polls come at `poll_after_ms` times 1 ± this."""
    long_poll: float = 0.0
    """While polling, let Core hold the answer for so long (at most 25); 0: ask every
    `poll_after_ms`."""
    max_pending: int = 1000
    """With so many changes not acknowledged the stream is closed until half are. One answer of
    Fetch Sync may still come on top."""

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
