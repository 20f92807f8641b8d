"""What is kept of each minute for the charts of the ops page."""

from __future__ import annotations

import msgspec

from core_api.dashboard.alerts import Spells
from core_api.dashboard.figures import Figures, Round, RoundHistory
from core_api.dashboard.points import StoredPoints, kinds_of, point_of, stored_of, to_store
from core_api.dashboard.processes import ProcessKind, ProcessReading
from server_common.limits import OPS_POINT_BYTES

STREAMS = "yabam_events_streams_open_count"


def figures(nodes: int = 1) -> Figures:
    readings = [ProcessReading(f"http://e{n}", "events", "down", "away", {}) for n in range(nodes)]
    alive = ProcessReading("http://e", "events", "ready", "", {STREAMS: {(): 7.0}})
    return RoundHistory(Spells()).figures(Round(1.0, 1000, [*readings, alive], None, ""))


def test_a_point_has_what_was_wrong_and_which_kind_each_process_was() -> None:
    (one,) = stored_of([to_store(figures(), {"http://e0": "events"})])
    assert one.point == point_of(figures())
    assert (one.point.connections, one.point.outbox_rows) == (7, None)
    assert one.alerts == ["down:http://e0"]
    assert one.kinds == {"http://e0": "events"}


def test_a_point_has_its_bound_whatever_is_wrong() -> None:
    kinds: dict[str, ProcessKind] = {f"http://{n:0300}": "events" for n in range(100)}
    many = to_store(figures(150), kinds)
    assert len(many) <= OPS_POINT_BYTES
    (one,) = stored_of([many])
    assert (len(one.alerts), one.kinds) == (150, {})
    most = to_store(figures(2000), kinds)
    assert len(most) <= OPS_POINT_BYTES
    (one,) = stored_of([most])
    assert (one.point.connections, one.alerts) == (7, [])


def test_what_cannot_be_read_of_the_day_hides_no_other_point() -> None:
    good = to_store(figures(), {})
    assert len(stored_of([good, "{", '{"point":{}}', "[]", good])) == 2


def test_a_process_is_what_the_newest_point_says() -> None:
    (base,) = stored_of([to_store(figures(), {})])
    old, new = (
        msgspec.structs.replace(base, kinds=kinds)
        for kinds in ({"a": "relay", "b": "ingest"}, {"a": "events", "c": "of a newer release"})
    )
    assert isinstance(old, StoredPoints)
    assert kinds_of([old, new]) == {"a": "events", "b": "ingest"}
