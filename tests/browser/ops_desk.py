"""The ops page with figures that a test makes up, judged by Core's real rules."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core_api.api.handlers.ops_handlers import Day
from core_api.dashboard.alerts import Spells
from core_api.dashboard.figures import Figures, Round, RoundHistory
from core_api.dashboard.points import Point
from core_api.dashboard.processes import BusyChannel, ProcessKind, ProcessReading, Series
from core_api.dashboard.sampler import Welcome
from core_api.dashboard.waiting import Acknowledged, Contact, LateStore, Overview, Waiting
from core_api.pages.files import own_files
from core_api.pages.serving import Pages
from server_common.ops.server import OpsServer
from server_common.sockets import bind
from server_common.supervision import Supervisor

NOW: Final = datetime.now(UTC).replace(microsecond=0)
NOW_MS: Final = round(NOW.timestamp() * 1000)
_EMPTY: Final = Waiting(0, 0.0)
_PUSHES: Final = "yabam_events_push_seconds_bucket"


def process(
    name: str, kind: ProcessKind, down: str = "", unready: str = "", **values: float
) -> ProcessReading:
    """The reading of a process. `down` and `unready` say why it is down or not ready."""
    series: dict[str, Series] = {metric: {(): value} for metric, value in values.items()}
    state: Any = "down" if down else "not-ready" if unready else "ready"
    busy = [BusyChannel("store:12", 4, 31), BusyChannel("brand:9", 260, 2)] if values else []
    told = {} if down else series
    return ProcessReading(f"http://{name}", kind, state, down or unready, told, busy, name)


def figures_of(
    *readings: ProcessReading,
    late: list[LateStore] | None = None,
    outbox: Waiting = _EMPTY,
    acknowledged: dict[str, Acknowledged] | None = None,
    at_ms: int = NOW_MS,
    minutes: int = 22,
) -> Figures:
    """The figures that Core makes of these readings. Faults have lasted `minutes`."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    overview = Overview(
        at, outbox, {"live": 181, "polling": 6, "offline": 2}, late or [], acknowledged or {}
    )
    history = RoundHistory(Spells())
    pushes = {("0.025",): 0.0, ("0.1",): 0.0, ("+Inf",): 0.0}
    first = [_pushed(one, pushes) for one in readings]
    history.figures(Round(0.0, at_ms - minutes * 60_000, first, overview, ""))
    pushed = {("0.025",): 880.0, ("0.1",): 1000.0, ("+Inf",): 1000.0}
    second = [_pushed(one, pushed) for one in readings]
    return history.figures(Round(10.0, at_ms, second, overview, ""))


def _pushed(reading: ProcessReading, buckets: dict[tuple[str], float]) -> ProcessReading:
    if reading.kind != "events" or not reading.values:
        return reading
    values: Any = {**reading.values, _PUSHES: buckets}
    return ProcessReading(
        reading.node,
        reading.kind,
        reading.state,
        reading.detail,
        values,
        reading.busy,
        reading.name,
    )


def well() -> Figures:
    """Nothing is wrong."""
    return figures_of(*_others(), _events("events-1:8001"), _events("events-2:8001"))


def with_faults() -> Figures:
    """As many faults as possible at once. A person has acknowledged some of them."""
    kim = Acknowledged("kim@yabam", NOW_MS - 300_000)
    stores = [
        LateStore("unreceived", "12", 3, 900.0, "0199a1b2-0000-7000-8000-000000000001",
                  Contact("한강분식 Hangang Bunsik", "+82 2-555-0100")),
        LateStore("unaccepted", "12", 2, 900.0, "0199a1b2-0000-7000-8000-000000000001",
                  Contact("한강분식 Hangang Bunsik", "+82 2-555-0100")),
        LateStore("unaccepted", "gangnam-station-3", 1, 640.0,
                  "0199a1b2-0000-7000-8000-000000000002", Contact("Gangnam", "02 555 0111")),
        LateStore("unaccepted", "77", 5, 400.0, "0199a1b2-0000-7000-8000-000000000003"),
    ]  # fmt: skip
    return figures_of(
        *_others(down="All connection attempts failed"),
        process("events-1:8001", "events", unready="Kafka is away: no answer within 1.5 s"),
        process("events-2:8001", "events", down="[Errno 111] Connection refused"),
        process("10.20.30.40:9000", "unknown", down="no answer within 1.5 s"),
        late=stores,
        outbox=Waiting(412, 95.0),
        acknowledged={"unaccepted:gangnam-station-3": kim, "outbox": kim},
    )


def _events(name: str, lag_s: float = 0.9) -> ProcessReading:
    return process(
        name,
        "events",
        yabam_events_streams_open_count=98.0,
        yabam_events_watermark_lag_seconds=lag_s,
    )


def _others(down: str = "") -> list[ProcessReading]:
    return [
        process("core-1:8000", "core", yabam_core_waiting_requests=6.0),
        process("relay-1:8002", "relay", yabam_relay_leases_held=4.0),
        process("ingest-1:8003", "ingest", down=down, yabam_ingest_behind_records=0.0),
    ]


def a_day(now_ms: int = NOW_MS) -> list[Point]:
    """A point for each minute of the last day, except for one hour without any."""
    points = []
    for minute in range(1440, 0, -1):
        if not 300 <= minute < 360:
            load = 100 + 80 * ((1440 - minute) % 480) / 480
            points.append(
                Point(now_ms - minute * 60_000, round(load), load / 20, 12.0, 40.0, 0.9, 0)
            )
    return points


@dataclass
class OpsDesk:
    """What a test shows on the page, and what the page has sent."""

    figures: Figures = field(default_factory=well)
    day: list[Point] = field(default_factory=list)
    grafana: str = ""
    acknowledged: list[str] = field(default_factory=list)
    refuses: str = ""
    """The detail of the problem that answers acknowledgements. Empty: they are accepted."""
    is_away: bool = False
    """Whether streams end without a last event, and no new one starts."""
    url: str = ""
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def show(self, figures: Figures) -> None:
        """Send these figures to all pages."""
        self.figures = figures
        self._news.set()
        self._news = asyncio.Event()

    def go_away(self) -> None:
        """End all streams, and refuse new ones."""
        self.is_away = True
        self.show(self.figures)

    async def stream(self, _request: Request) -> Response:
        """GET /v1/ops/stream."""
        if self.is_away:
            return JSONResponse({"detail": "it stopped"}, 500)

        async def events() -> AsyncIterator[ServerSentEvent]:
            yield _event("hello", Welcome(2000, 60_000, 5, [], self.grafana))
            while not self.is_away:
                news = self._news
                yield _event("figures", self.figures)
                await news.wait()

        return EventSourceResponse(events())

    async def told_day(self, _request: Request) -> Response:
        """GET /v1/ops/day."""
        return Response(msgspec.json.encode(Day(self.day)), media_type="application/json")

    async def acknowledge(self, request: Request) -> Response:
        """POST /v1/ops/acknowledgements."""
        if self.refuses:
            return JSONResponse({"detail": self.refuses}, 404)
        self.acknowledged.append((await request.json())["alert"])
        return JSONResponse({"by": "ops-7", "at_ms": NOW_MS})


def _event(name: str, value: object) -> ServerSentEvent:
    return ServerSentEvent(msgspec.json.encode(value).decode(), event=name)


@asynccontextmanager
async def ops_desk() -> AsyncIterator[OpsDesk]:
    """Serve the pages with a new desk."""
    desk = OpsDesk()
    routes = [
        *Pages(own_files(), []).routes(),
        Route("/v1/ops/stream", desk.stream),
        Route("/v1/ops/day", desk.told_day),
        Route("/v1/ops/acknowledgements", desk.acknowledge, methods=["POST"]),
    ]
    listener = bind("127.0.0.1", 0, "the ops desk")
    desk.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = OpsServer(Starlette(routes=routes), listener, None, Supervisor())
    server.start()
    try:
        yield desk
    finally:
        await server.stop()
