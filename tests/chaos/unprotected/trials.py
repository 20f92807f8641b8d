"""Which protection is removed for which scenario, and how the scenario is run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.chaos.unprotected import delivery, devices, pipeline, poison
from tests.chaos.unprotected.patches import Protection
from tests.chaos.unprotected.tree import Patch


@dataclass(frozen=True, slots=True)
class Trial:
    """One scenario, with the protection that is removed."""

    scenario: str
    without: Protection
    scale: float = 0.3
    """Multiplies the duration of the fault."""
    seed: int = 5
    patience_s: int = 20
    """How many seconds clients may need to recover; more if protected ones must back off, too."""
    says: str = ""
    """What the run must say is wrong; empty: any failure counts. So several trials of one scenario
    each prove one protection."""
    shorter: tuple[Patch, ...] = ()
    """Patches that shorten times of the product; applied with and without the protection."""

    @property
    def name(self) -> str:
        """Of its row in the report: its scenario, and what must be wrong."""
        return f"{self.scenario}: {self.says}" if self.says else self.scenario


TRIALS: Final = (
    Trial("kill-core", pipeline.IDEMPOTENCY),
    Trial("kill-relay", pipeline.DELETE_AFTER_PUBLISH),
    Trial("kill-ingest", pipeline.COMMIT_AFTER_APPLY),
    Trial("kill-events", delivery.COMES_BACK),
    Trial("freeze-core", pipeline.IDEMPOTENCY_IMPATIENT),
    Trial("freeze-relay", pipeline.TAKE_OVER),
    Trial("freeze-ingest", pipeline.INBOUND_KEYS, scale=1.5),
    Trial("freeze-events", delivery.SILENCE_AT_CLIENT),
    Trial("random", pipeline.DELETE_AFTER_PUBLISH),
    Trial("no-event-servers", delivery.POLLING, scale=0.1),
    Trial("cold-start", pipeline.READY_WHEN_READY),
    Trial("rolling-restart", delivery.CLEAN_STOP),
    Trial("relay-between", delivery.DUPLICATES),
    Trial("relay-past-lease", pipeline.FENCE),
    Trial("relays-silent", delivery.DEGRADES),
    Trial("partition-silent", delivery.LEAST_WATERMARK),
    Trial("consumers-stuck", delivery.LOOKS_AT_KAFKA),
    Trial("producers-stuck", delivery.DEGRADES),
    Trial("stop-kafka", delivery.SESSION_END, patience_s=45),
    Trial("kill-kafka", delivery.SYNC_APPLIED),
    Trial("freeze-kafka", delivery.ANY_SILENCE),
    Trial("wipe-kafka", pipeline.TOPIC_GONE),
    Trial("kill-postgres", pipeline.DURABLE),
    Trial("crash-postgres", pipeline.DURABLE),
    Trial("refuse-postgres", pipeline.UNREACHABLE_MAPPED),
    Trial("stall-postgres", pipeline.UNREACHABLE_MAPPED, scale=1.0, patience_s=45),
    Trial("promote-standby", pipeline.PROMOTIONS_JUDGED),
    Trial("promote-late-standby", pipeline.LATE_FOUND_OUT),
    Trial("disk-full", pipeline.FULL_MAPPED),
    Trial("foreign-records", delivery.FOREIGN_SKIPPED),
    Trial("poison", poison.SET_ASIDE),
    Trial("poison", poison.DEVICE_MESSAGES, says="a device's message behind bad ones is applied"),
    Trial(
        "poison",
        poison.UNPRINTABLE_ORDERS,
        says="a ticket behind those that cannot",
    ),
    Trial("poison", poison.DAMAGED_JOBS, says="a ticket behind a damaged job"),
    Trial("poison", poison.PRINTERS_APART, says="another printer's tickets are made"),
    Trial("poison", poison.PHONES_APART, says="a phone beside bad ones is told"),
    Trial("poison", poison.PHONES_COUNTED, says="what fails with the other phones is counted"),
    Trial("damaged-rows", delivery.ROWS_SET_ASIDE),
    Trial("trimmed-log", delivery.TRIM_NOTICED),
    Trial("net-stall", delivery.SILENCE_AT_CLIENT),
    Trial("net-stall-streams", delivery.SILENCE_AT_CLIENT),
    Trial("net-tear", pipeline.IDEMPOTENCY),
    Trial("net-cut", delivery.SYNC_APPLIED),
    Trial("net-latency", delivery.NO_BLIND_WINDOW),
    Trial("net-trickle", delivery.NO_BLIND_WINDOW),
    Trial("offline-edits", delivery.EDITS_KEPT),
    Trial("clock-core", pipeline.CORE_DATABASE_CLOCK),
    Trial("clock-core", pipeline.ALARM_DATABASE_CLOCK, says="an order is told of after"),
    Trial("clock-relay", pipeline.RELAY_DATABASE_CLOCK),
    Trial("clock-ingest", pipeline.ORDER_BY_ID),
    Trial("clock-events", delivery.EVENTS_DATABASE_CLOCK),
    Trial("restore", pipeline.NEW_EPOCH),
    Trial("kill-broker", devices.LOSS_NOTICED),
    Trial("freeze-broker", devices.POLLS_IN_SILENCE, patience_s=45),
    Trial("cut-broker", devices.LOSS_NOTICED),
    Trial("wipe-broker", devices.COMPARED, patience_s=45),
    Trial("kill-gateway", devices.COMMIT_AFTER_PUBACK),
    Trial("freeze-gateway", devices.GATEWAYS_TAKE_OVER, patience_s=40),
    Trial("cut-gateway", devices.GATEWAY_COMES_BACK),
    Trial("kill-agent", devices.JOURNAL, patience_s=45),
    Trial("freeze-agent", devices.AGENTS_TAKE_OVER, patience_s=50, shorter=devices.SHORT_LEASE),
    Trial("cut-agent", devices.PRINTERS_WORD, patience_s=90),
    Trial("bad-device", devices.CHECKED_AT_THE_DOOR),
    Trial("leader-killed", pipeline.METADATA, scale=0.5),
    Trial("leader-leaves", pipeline.METADATA),
    Trial("leader-moved", pipeline.METADATA),
)
