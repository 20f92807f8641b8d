"""When streams may be served."""

from __future__ import annotations

from event_server.streams.health import Health
from tests.unit.event_server.parts import make_hub


def test_warming_until_the_hub_is_warm() -> None:
    hub = make_hub(warm=False)
    hub.mark(0, 1000.0, 0.0)
    assert Health(hub, 5.0).state(0.0) == "warming"


def test_without_a_watermark_nothing_is_proven() -> None:
    assert Health(make_hub(), 5.0).state(0.0) == "degraded"


def test_a_watermark_that_stands_still_too_long_is_degraded() -> None:
    hub = make_hub()
    hub.mark(0, 1000.0, 0.0)
    health = Health(hub, 5.0)
    assert health.state(4.9) == "ok"
    assert health.state(5.1) == "degraded"


def test_it_recovers_well_below_the_limit_only() -> None:
    hub = make_hub()
    hub.mark(0, 1000.0, 0.0)
    health = Health(hub, 5.0)
    health.state(6.0)
    hub.mark(0, 1002.0, 6.0)
    assert health.state(6.0) == "degraded"
    hub.mark(0, 1004.0, 6.0)
    assert health.state(6.0) == "ok"


def test_draining_comes_first() -> None:
    health = Health(make_hub(warm=False), 5.0)
    health.draining = True
    assert health.state(0.0) == "draining"
