"""Which protection is taken out for which scenario, and how the scenario is run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.chaos.unprotected import protections as p
from tests.chaos.unprotected.protections import Protection


@dataclass(frozen=True, slots=True)
class Trial:
    """One scenario without what protects from it."""

    scenario: str
    without: Protection
    scale: float = 0.3
    """How long the fault lasts: 1 as written."""
    seed: int = 5


TRIALS: Final = (
    Trial("kill-core", p.IDEMPOTENCY),
    Trial("kill-relay", p.DELETE_AFTER_PUBLISH),
    Trial("kill-ingest", p.COMMIT_AFTER_APPLY),
    Trial("kill-events", p.COMES_BACK),
    Trial("freeze-core", p.IDEMPOTENCY_IMPATIENT),
    Trial("freeze-relay", p.TAKE_OVER),
    Trial("freeze-ingest", p.INBOUND_KEYS, scale=1.5),
    Trial("freeze-events", p.SILENCE_AT_CLIENT),
    Trial("random", p.DELETE_AFTER_PUBLISH),
    Trial("no-event-servers", p.POLLING, scale=0.1),
    Trial("cold-start", p.READY_WHEN_READY),
    Trial("rolling-restart", p.CLEAN_STOP),
    Trial("relay-between", p.DUPLICATES),
    Trial("relay-past-lease", p.FENCE),
    Trial("relays-silent", p.DEGRADES),
    Trial("partition-silent", p.LEAST_WATERMARK),
    Trial("consumers-stuck", p.LOOKS_AT_KAFKA),
    Trial("producers-stuck", p.DEGRADES),
    Trial("stop-kafka", p.SESSION_END),
    Trial("kill-kafka", p.SYNC_APPLIED),
    Trial("freeze-kafka", p.ANY_SILENCE),
    Trial("wipe-kafka", p.TOPIC_GONE),
    Trial("kill-postgres", p.DURABLE),
    Trial("crash-postgres", p.DURABLE),
    Trial("refuse-postgres", p.UNREACHABLE_MAPPED),
    Trial("stall-postgres", p.UNREACHABLE_MAPPED, scale=1.0),
    Trial("disk-full", p.FULL_MAPPED),
    Trial("foreign-records", p.FOREIGN_SKIPPED),
    Trial("trimmed-log", p.TRIM_NOTICED),
    Trial("net-stall", p.SILENCE_AT_CLIENT),
    Trial("net-stall-streams", p.SILENCE_AT_CLIENT),
    Trial("net-tear", p.IDEMPOTENCY),
    Trial("net-cut", p.NO_BLIND_WINDOW),
    Trial("net-latency", p.NO_BLIND_WINDOW),
    Trial("net-trickle", p.NO_BLIND_WINDOW),
    Trial("clock-core", p.CORE_DATABASE_CLOCK),
    Trial("clock-relay", p.RELAY_DATABASE_CLOCK),
    Trial("clock-ingest", p.ORDER_BY_ID),
    Trial("clock-events", p.EVENTS_DATABASE_CLOCK),
    Trial("restore", p.NEW_EPOCH),
    Trial("leader-killed", p.ACKNOWLEDGED, scale=0.5),
    Trial("leader-leaves", p.ACKNOWLEDGED),
    Trial("leader-moved", p.ACKNOWLEDGED),
)
