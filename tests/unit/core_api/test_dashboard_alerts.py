"""The verdict of the ops page: what is wrong, what it means, since when, who sees to it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core_api.dashboard.alerts import (
    MAX_ALERT_CHARS,
    Alert,
    AlertVerdict,
    Signs,
    Spells,
    alerts_of,
    dated,
    late_stores,
    verdict_of,
)
from core_api.dashboard.overview import contact_of
from core_api.dashboard.processes import Node, ProcessKind, ProcessState
from core_api.dashboard.waiting import Acknowledged, Contact, LateStore, Overview, Waiting
from core_api.webhooks.subscriptions import Standing

RUNBOOK = Path(__file__).parents[3] / "docs/operations.md"
MINUTE = 60_000
KIM = Acknowledged("kim", 5 * MINUTE)


def node(name: str, kind: ProcessKind, state: ProcessState = "ready", detail: str = "") -> Node:
    return Node(f"http://{name}", name, kind, state, detail, {})


CORE, RELAY, INGEST = (node(f"{kind}:1", kind) for kind in ("core", "relay", "ingest"))
EVENTS = node("events:1", "events")
OTHER_EVENTS = node("events:2", "events")
ALL = (CORE, RELAY, INGEST, EVENTS)


def signs(*nodes: Node, **more: Any) -> Signs:
    calm: dict[str, Any] = {
        "database": "", "watermark_age_s": 1.0, "outbox_age_s": 0.0, "p99_ms": 20.0,
    }  # fmt: skip
    return Signs(nodes or ALL, **(calm | more))


def without(kind: ProcessKind, state: ProcessState = "down") -> tuple[Node, ...]:
    return tuple(node(one.name, one.kind, state, "why") if one.kind == kind else one for one in ALL)


def verdict(given: Signs, late: list[LateStore] | None = None) -> AlertVerdict:
    return verdict_of(alerts_of(given), late or [])


def late(kind: str, store: str, waiting_s: float = 60.0) -> LateStore:
    return LateStore(kind, store, 1, waiting_s, "01A")


class TestTheVerdict:
    def test_nothing_wrong_is_all_well(self) -> None:
        assert verdict(signs()) == AlertVerdict("green", "well", "", None, 0, 0)

    @pytest.mark.parametrize(
        ("given", "level", "effect"),
        [
            (signs(database="it is away"), "red", "stopped"),
            (signs(*without("events")), "red", "late"),
            (signs(*without("events", "not-ready")), "red", "late"),
            (signs(*without("relay")), "red", "late"),
            (signs(*without("ingest")), "red", "commands"),
            (signs(watermark_age_s=5.0), "red", "late"),
            (signs(outbox_age_s=5.0), "red", "late"),
            (signs(p99_ms=5000.0), "red", "late"),
            (signs(webhooks=Standing(3, 0, 0, 60.0, 0)), "red", "weaker"),
            (signs(webhooks=Standing(3, 1, 0, 0.0, 0)), "amber", "watch"),
            (signs(webhooks=Standing(3, 0, 1, 0.0, 0)), "amber", "watch"),
            (signs(webhooks=Standing(3, 0, 0, 59.0, 9)), "green", "well"),
            (signs(watermark_age_s=2.5), "amber", "watch"),
            (signs(outbox_age_s=2.5), "amber", "watch"),
            (signs(p99_ms=1000.0), "amber", "watch"),
            (signs(CORE), "amber", "watch"),
        ],
        ids=lambda value: "" if isinstance(value, Signs) else value,
    )
    def test_it_says_what_the_trouble_means_for_orders(
        self, given: Signs, level: str, effect: str
    ) -> None:
        found = verdict(given)
        assert (found.level, found.effect) == (level, effect)

    def test_just_below_a_bound_all_is_well(self) -> None:
        given = signs(watermark_age_s=2.49, outbox_age_s=2.49, p99_ms=999.0)
        assert verdict(given).level == "green"

    def test_what_nobody_knows_is_nothing_wrong(self) -> None:
        assert verdict(signs(watermark_age_s=None)).level == "green"

    def test_a_process_whose_peers_carry_on_makes_no_order_late(self) -> None:
        dead = node("events:2", "events", "down")
        found = verdict(signs(*ALL, dead))
        assert (found.level, found.effect) == ("red", "weaker")
        assert found.alert is not None
        assert (found.alert.node, found.alert.is_last) == ("events:2", False)

    def test_a_process_that_works_for_now_is_no_peer_if_it_is_not_ready(self) -> None:
        given = signs(CORE, RELAY, INGEST, node("events:1", "events", "down"),
                      node("events:2", "events", "not-ready"))  # fmt: skip
        assert verdict(given).effect == "late"

    def test_the_worst_of_several_decides(self) -> None:
        given = signs(*without("ingest"), database="it is away", p99_ms=1500.0)
        found = verdict(given, [late("unreceived", "12")])
        assert found.effect == "stopped"

    def test_stores_to_phone_come_before_a_loss_of_reserve(self) -> None:
        dead = node("events:2", "events", "down")
        assert verdict(signs(*ALL, dead), [late("unaccepted", "12")]).effect == "stores"

    def test_late_orders_come_before_the_stores_to_phone(self) -> None:
        assert verdict(signs(*without("relay")), [late("unaccepted", "12")]).effect == "late"

    def test_stores_that_have_not_received_are_told_apart_from_those_that_have_not_accepted(
        self,
    ) -> None:
        stores = [late("unreceived", "1"), late("unaccepted", "1"), late("unaccepted", "2"),
                  late("unaccepted", "3")]  # fmt: skip
        found = verdict(signs(), stores)
        assert (found.unreceived, found.unaccepted) == (1, 2)


class TestAlerts:
    def test_a_process_that_nobody_has_ever_seen_is_named_by_its_address(self) -> None:
        (alert,) = alerts_of(signs(*ALL, node("10.0.0.7:8001", "unknown", "down", "refused")))
        assert (alert.node, alert.kind, alert.detail) == ("10.0.0.7:8001", "unknown", "refused")

    def test_an_event_server_that_is_down_colours_a_tile(self) -> None:
        (alert,) = alerts_of(signs(CORE, RELAY, INGEST, OTHER_EVENTS, *without("events")[3:]))
        assert (alert.figure, alert.level) == ("connections", "red")

    def test_a_process_that_is_down_comes_before_one_that_is_not_ready(self) -> None:
        given = signs(CORE, RELAY, INGEST, node("events:1", "events", "not-ready"),
                      node("events:2", "events", "down"))  # fmt: skip
        assert [alert.node for alert in alerts_of(given)] == ["events:2", "events:1"]

    def test_each_is_told_by_itself(self) -> None:
        given = signs(*without("events"), outbox_age_s=60.0)
        assert {alert.name for alert in alerts_of(given)} == {"down:events:1", "outbox"}

    def test_a_name_has_an_end(self) -> None:
        (alert,) = alerts_of(signs(*ALL, node("x" * 1000, "unknown", "down")))
        assert len(alert.name) == MAX_ALERT_CHARS

    def test_each_leads_to_a_heading_of_the_runbook(self) -> None:
        headings = re.findall(r"^### (.+)$", RUNBOOK.read_text(), re.MULTILINE)
        entries = {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings}
        states: list[ProcessState] = ["down", "not-ready"]
        kinds: list[ProcessKind] = ["core", "events", "relay", "ingest", "unknown"]
        found = [
            alert
            for kind in kinds
            for state in states
            for peers in ((), ALL)
            for alert in alerts_of(signs(node("n", kind, state), *peers))
        ]
        found += alerts_of(
            signs(CORE, database="away", watermark_age_s=9.0, outbox_age_s=9.0, p99_ms=9000.0)
        )
        wanted = {alert.runbook for alert in found}
        wanted.add(verdict(signs(), [late("unreceived", "1")]).runbook)
        assert wanted <= entries


class TestSinceWhen:
    def test_an_alert_lasts_since_the_first_moment_that_it_was_there(self) -> None:
        spells = Spells([(0, []), (MINUTE, ["a"]), (2 * MINUTE, ["a", "b"])])
        now = spells.take(3 * MINUTE, ["a", "b", "c"])
        assert {name: one.since_ms for name, one in now.items()} == {
            "a": MINUTE, "b": 2 * MINUTE, "c": 3 * MINUTE,
        }  # fmt: skip

    def test_one_that_ended_and_came_again_began_again(self) -> None:
        spells = Spells([(0, ["a"]), (MINUTE, [])])
        assert spells.take(2 * MINUTE, ["a"])["a"].since_ms == 2 * MINUTE


class TestAcknowledging:
    def known(self, *past: tuple[int, list[str]]) -> Acknowledged | None:
        spells = Spells(past).take(9 * MINUTE, ["outbox"])
        (alert,) = dated(alerts_of(signs(outbox_age_s=9.0)), spells, {"outbox": KIM})
        return alert.acknowledged

    def test_it_is_shown_for_as_long_as_the_alert_lasts(self) -> None:
        assert self.known((4 * MINUTE, ["outbox"]), (6 * MINUTE, ["outbox"])) == KIM

    def test_it_ends_with_the_alert(self) -> None:
        assert self.known((4 * MINUTE, ["outbox"]), (6 * MINUTE, [])) is None

    def test_it_counts_where_another_core_saw_the_beginning_later(self) -> None:
        # It was not there at minute 4, kim saw to it in minute 5, the point came in minute 6.
        assert self.known((4 * MINUTE, []), (6 * MINUTE, ["outbox"])) == KIM

    def test_it_counts_where_nothing_is_known_of_the_time_before(self) -> None:
        assert self.known() == KIM

    def test_that_of_another_alert_does_not_count(self) -> None:
        spells = Spells().take(9 * MINUTE, ["outbox"])
        (alert,) = dated(alerts_of(signs(outbox_age_s=9.0)), spells, {"watermark": KIM})
        assert alert.acknowledged is None

    @pytest.mark.parametrize(("waiting_s", "counts"), [(300.0, True), (200.0, False)])
    def test_of_a_store_it_counts_for_the_orders_that_were_there(
        self, waiting_s: float, counts: bool
    ) -> None:
        at = datetime.fromtimestamp(9 * 60, UTC)
        stores = [late("unaccepted", "12", waiting_s), late("unreceived", "12", waiting_s)]
        overview = Overview(at, Waiting(0, 0.0), {}, stores, {"unaccepted:12": KIM})
        unaccepted, unreceived = late_stores(overview)
        assert (unaccepted.acknowledged == KIM) is counts
        assert unreceived.acknowledged is None


def test_the_alerts_are_in_the_order_of_what_they_mean() -> None:
    def effects(found: list[Alert]) -> list[str]:
        return [alert.effect for alert in found]

    given = signs(*without("ingest"), node("events:2", "events", "down"), database="away",
                  watermark_age_s=9.0, p99_ms=1500.0)  # fmt: skip
    assert effects(alerts_of(given)) == ["stopped", "late", "commands", "weaker", "watch"]


@pytest.mark.parametrize(
    ("value", "contact"),
    [
        ('{"name":"Kim","phone":"02-555-0100"}', Contact("Kim", "02-555-0100")),
        ('{"name":"Kim","phone":"1","more":[]}', Contact("Kim", "1")),
        ('{"phone":7}', None),
        ("[]", None),
        ("{", None),
    ],
)
def test_a_contact_of_another_form_is_none(value: str, contact: Contact | None) -> None:
    assert contact_of(value) == contact
