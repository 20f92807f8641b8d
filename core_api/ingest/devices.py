"""The part of ingest that reads `devices.inbound`, wired.

It runs in ingest's process: it is the same work (records applied once, offsets after commits) over
the same connections, and a restaurant's devices send little. Its consumer, its group and its
retries are its own, so neither topic delays the other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final

from core_api.devices.applying import DeviceMessages
from core_api.devices.measurements import Measurements
from core_api.devices.metrics import DeviceMetrics
from core_api.devices.watching import Watching
from core_api.ingest.consumer import Ingest
from core_api.ingest.device_answers import KafkaAnswers
from core_api.ingest.device_applier import DeviceApplier
from core_api.kafka.publisher import KafkaPublisher
from core_api.kafka.topics import dead_letter_topic, inbound_topic, outbound_topic
from core_api.printing.metrics import PrintMetrics
from core_api.printing.presence import PrinterPresence
from core_api.printing.results import PrintResults
from core_api.printing.service import PrintService
from core_api.printing.star.door import StarDoor
from core_api.printing.star.jobs import StarJobs
from core_api.printing.star_printers import Ringing, StarPrinters
from core_api.receipts.statements import store_sightings
from server_common.limits import DEVICE_MESSAGES_WAITING
from server_common.supervision import Work

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from core_api.settings import IngestSettings
    from core_api.system_edits.document_access import DocumentAccess

GROUP: Final = "core-devices"


class DeviceIngest:
    """Reads the messages of devices, and finds silent devices.

    Args:
        settings: ingest's settings.
        documents: those that messages change.
        check: raises `UnavailableError` while the database cannot take messages.
        registry: where the numbers go.
        group: the consumer group.
    """

    def __init__(
        self,
        settings: IngestSettings,
        *,
        documents: DocumentAccess,
        check: Callable[[], Awaitable[None]],
        registry: CollectorRegistry,
        group: str = GROUP,
    ) -> None:
        self._check = check
        kafka, partitions = settings.cluster, settings.partitions
        metrics = DeviceMetrics(registry)

        def now_ms() -> int:
            return time.time_ns() // 1_000_000

        measurements = Measurements(time.monotonic, metrics.dropped.inc)
        self._answers = KafkaAnswers(
            KafkaPublisher(kafka, outbound_topic(settings.devices_outbound_topic, partitions)),
            KafkaPublisher(kafka, dead_letter_topic(settings.devices_dlq_topic, partitions)),
            now_ms,
        )
        messages = DeviceMessages(
            documents,
            measurements,
            lambda batch: store_sightings(documents.pool, batch),
            PrintResults(documents.rules).take,
        )
        prints = PrintService(documents, PrintMetrics(registry))
        door = StarDoor(
            StarJobs(prints, PrinterPresence(documents)),
            StarPrinters(documents.pool),
            time.monotonic,
            now_ms,
        )
        self._ingest = Ingest(
            kafka,
            inbound_topic(settings.devices_inbound_topic, partitions),
            DeviceApplier(messages, door.heard, self._answers, asyncio.sleep, metrics),
            self._can_work,
            group=group,
            clock=time.monotonic,
            metrics=metrics,
            max_under_way=DEVICE_MESSAGES_WAITING,
        )
        self._ringing = Ringing(documents.pool, self._answers.ring, now_ms)
        self._watching = Watching(documents, measurements, self.listened, metrics)

    @property
    def tasks(self) -> Mapping[str, Work]:
        """What runs in the background beside `run`, by name."""
        return {
            "device-measurements": self._watching.keep_flushing,
            "device-silence": self._watching.keep_looking,
            "star-printers": self._ringing.run,
        }

    @property
    def healthy(self) -> bool:
        """Whether the loop runs, or waits out a known fault."""
        return self._ingest.healthy

    @property
    def trouble(self) -> str | None:
        """Why messages cannot be applied now; None if they can."""
        return self._ingest.trouble

    def listened(self, seconds: float) -> frozenset[int]:
        """The partitions that have been read to their end, without a break, for so long."""
        return self._ingest.listened(seconds)

    async def run(self) -> None:
        """Apply messages until `stop` is called."""
        await self._ingest.run()

    def stop(self) -> None:
        """Finish the batch in progress, commit its offsets and return from `run`."""
        self._ingest.stop()

    async def close(self) -> None:
        """Close the connections to Kafka."""
        await self._answers.close()

    async def _can_work(self) -> None:
        await self._answers.open()
        await self._check()
