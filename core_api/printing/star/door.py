"""Star printers that take their jobs over MQTT (*Full MQTT*): their messages and the replies.

A printer's messages come through Kafka, in order for each printer, perhaps twice. It gets its job
once the attempt is stored: if the job is lost after that, the attempt has no result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

import msgspec
from anyio import to_thread

from client_sdk.contract.channel import Channel
from client_sdk.printer_media.fonts import has_font
from client_sdk.printer_media.picture import png_of
from core_api.printing.cloudprnt import PNG, Poll, lines_to_print
from core_api.printing.jobs import Job
from core_api.printing.star.jobs import StarJobs
from core_api.printing.star.over_mqtt import (
    ANSWERS_WITHIN_S,
    FRESH_FOR,
    JOB_LIVES,
    MAX_JOB_BYTES,
    NamedMedia,
    data_of,
    job_fields,
    media_in,
    media_over_mqtt,
    outcome_of_result,
    poll_of,
    question,
)
from core_api.printing.star_printers import StarPrinters
from server_common.devices.messages import Ring
from server_common.devices.star import StarResult, StarSaid, StarStatus, star_payload_of
from server_common.errors import DeviceMessageError
from server_common.logs import get_logger

_log = get_logger()

_TOO_LARGE: Final = "too large for a message: name text/plain in the printer's media types"


class StarDoor:
    """Handles the messages of printers.

    Args:
        jobs: hands out their jobs and takes the results.
        stars: finds the printer of a MAC address.
        clock: seconds that only go forward.
        now_ms: milliseconds since the Unix epoch.
    """

    def __init__(
        self,
        jobs: StarJobs,
        stars: StarPrinters,
        clock: Callable[[], float],
        now_ms: Callable[[], int],
    ) -> None:
        self._jobs = jobs
        self._stars = stars
        self._clock = clock
        self._now_ms = now_ms
        self._named = NamedMedia()

    async def heard(self, said: StarSaid) -> Sequence[Ring]:
        """Handle a printer's message. Returns the replies.

        Raises:
            DeviceMessageError: it can never be applied.
            UnavailableError: Postgres does not answer, or somebody holds a lock.
        """
        payload = star_payload_of(said.word, said.payload)
        # A result of a job counts, whatever was sent to the printer since.
        is_result = isinstance(payload, StarResult)
        found = await self._stars.whose(said.mac, any_mode=is_result)
        if found is None:
            raise DeviceMessageError(
                f"no printer that takes its jobs over MQTT has the address {said.mac}",
                "unknown-device",
            )
        printer, registered = found
        if isinstance(payload, StarResult):
            await self._confirmed(printer, said.mac, payload)
            return ()
        if not isinstance(payload, StarStatus):
            self._named.forget(said.mac)
            await self._jobs.gone(printer)
            return ()
        named = media_in(payload)
        if named is not None:
            self._named.note(said.mac, named, self._clock())
        poll = poll_of(payload)
        is_fresh = self._now_ms() - said.at_ms <= FRESH_FOR.total_seconds() * 1000
        if poll is None or not is_fresh:
            return ()
        return await self._reported(printer, said.mac, registered, poll)

    async def _reported(
        self, printer: Channel, mac: str, registered: list[str], poll: Poll
    ) -> Sequence[Ring]:
        store, device = printer.root, printer.part or ""
        offered = await self._jobs.reported(printer, poll)
        if not registered and self._named.ask(mac, self._clock()):
            until_ms = self._until_ms(timedelta(seconds=ANSWERS_WITHIN_S))
            return [Ring(store, device, mac, "order-client-action", question(), until_ms)]
        named = [] if registered else self._named.of(mac, self._clock())
        if offered is None or named is None:
            return ()
        job = await self._jobs.take_first(printer, offered)
        if job is None:
            return ()
        for media_type in media_over_mqtt(job, registered, named, has_font=has_font()):
            data = await self._data(job, media_type)
            if len(msgspec.json.encode(data)) <= MAX_JOB_BYTES:
                fields = job_fields(job, media_type, data)
                return [Ring(store, device, mac, "print-job", fields, self._until_ms(JOB_LIVES))]
        await self._jobs.step(printer, job.id, "fail", job.attempts, _TOO_LARGE)
        return ()

    def _until_ms(self, lives: timedelta) -> int:
        return self._now_ms() + int(lives.total_seconds() * 1000)

    async def _data(self, job: Job, media_type: str) -> str:
        picture = b""
        if media_type == PNG:
            # Drawing takes milliseconds that other messages need not wait for.
            picture = await to_thread.run_sync(png_of, lines_to_print(job), job.columns)
        return data_of(job, media_type, picture)

    async def _confirmed(self, printer: Channel, mac: str, result: StarResult) -> None:
        outcome = outcome_of_result(result)
        if outcome is None:
            _log.info("print_result_skipped", printer=str(printer), reason=result.status_code or "")
            return
        if outcome[0] == "fail":
            # Its firmware may have changed since it was last asked.
            self._named.forget(mac)
        await self._jobs.confirmed(printer, result.job_token, *outcome)
