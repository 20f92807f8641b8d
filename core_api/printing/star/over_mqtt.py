"""Star CloudPRNT over MQTT alone (*Full MQTT*): a printer's messages and the replies. Pure.

The rules are those of the polls (`cloudprnt.py`): `client-status` stands for the poll, `print-job`
for the job that it fetches, `print-result` for its confirmation. docs/devices.md says which parts
the vendor documents, and which come from other sources.
"""

from __future__ import annotations

from base64 import b64encode
from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from core_api.printing.cloudprnt import (
    MARKUP,
    PNG,
    PRINTS_LATER,
    Poll,
    media_of,
    text_body,
)
from core_api.printing.jobs import Job, Step
from server_common.devices.star import StarResult, StarStatus

JOB_LIVES: Final = timedelta(seconds=20)
"""How many seconds a job may be on its way. A printer that was switched off takes longer to
reconnect, and may have forgotten the jobs that it knows."""
FRESH_FOR: Final = timedelta(seconds=10)
"""A printer's report that it can print expires after so many seconds."""
ANSWERS_WITHIN_S: Final = 5.0
"""A printer that has not named its media types after so many seconds will not."""
MAX_JOB_BYTES: Final = 200_000
"""The most bytes of a job's data in a message."""
_ENCODINGS: Final = "Encodings"
_ASK: Final[dict[str, Any]] = {"clientAction": [{"request": _ENCODINGS, "options": ""}]}
_CUT: Final = {"cutter": {"type": "full", "feed": True}}
_MAX_MEDIA: Final = 32


def poll_of(status: StarStatus) -> Poll | None:
    """The status that the printer reports; None: none (the message only answers a question)."""
    if status.status_code is None:
        return None
    return Poll(status.status_code, None, status.printing_in_progress)


def question() -> dict[str, Any]:
    """The request for a printer's media types, as fields of `order-client-action`."""
    return _ASK


def media_in(status: StarStatus) -> list[str] | None:
    """The media types that the printer has named; None: it has not been asked."""
    for action in status.client_action or ():
        if action.request == _ENCODINGS:
            told = action.result if isinstance(action.result, str) else ""
            named = [one.strip().lower() for one in told.split(";")]
            return [one for one in named if "/" in one][:_MAX_MEDIA]
    return None


def media_over_mqtt(
    job: Job, registered: Sequence[str], named: Sequence[str], *, has_font: bool
) -> list[str]:
    """The media types that the job may be sent in, the best first.

    A printer prints what it gets or refuses it: it does not choose. So one that names no types gets
    only those that all models print.

    Args:
        job: the job.
        registered: the media types in its registration, the best first; empty: none are given.
        named: those that the printer has named, in any order; empty: none.
        has_font: whether pictures can be drawn here.
    """
    own = media_of(job, (), has_font=has_font)
    if registered:
        said = [one for one in registered if one in own]
    else:
        said = [one for one in own if one in named]
    return said or [one for one in own if one != MARKUP]


def data_of(job: Job, media_type: str, picture: bytes) -> str:
    """The job as `printData` has it: text as it is, a picture in base64.

    Args:
        job: the job.
        media_type: one of `media_over_mqtt`.
        picture: the PNG, where it is one.
    """
    if media_type == PNG:
        return b64encode(picture).decode()
    return (text_body(job, media_type, "") or b"").decode()


def job_fields(job: Job, media_type: str, data: str) -> dict[str, Any]:
    """The fields of `print-job`, for a job that was taken.

    Args:
        job: as it is after it was taken.
        media_type: one of `media_over_mqtt`.
        data: the job in that type, as `data_of` gives it.
    """
    return {
        "jobToken": f"{job.id}.{job.attempts}",
        "jobType": "raw",
        "mediaTypes": [media_type],
        "printData": data,
        "printerControl": _CUT,
    }


def outcome_of_result(result: StarResult) -> tuple[Step, str] | None:
    """The outcome of the job; None: the message has none.

    A message without a job's name is ignored: it may be repeated after the next job has begun. A
    job that comes twice is printed once, and the printer answers the second with a code of its
    own, which is no result of the first. Without any result the job becomes doubtful.
    """
    if result.job_token is None:
        return None
    poll = Poll(result.status_code or "")
    if result.print_succeeded or (result.print_succeeded is None and poll.is_online):
        return "done", ""
    told = f"printer says {poll.code}"
    if poll.code.startswith(("2", *PRINTS_LATER)):
        return "doubt", told
    if poll.code.startswith(("51", "52")):
        return "fail", told  # it could not read the job
    return None


class NamedMedia:
    """Which media types printers have named, and which were asked; in memory.

    Args:
        limit: how many printers are remembered; one that is forgotten is asked again.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._known: OrderedDict[str, tuple[list[str] | None, float]] = OrderedDict()

    def note(self, mac: str, named: list[str], now: float) -> None:
        """Store the media types that the printer has named.

        Args:
            mac: the printer's address.
            named: the types; empty: it names none.
            now: seconds of the clock that `ask` and `of` are given.
        """
        self._known[mac] = (named, now)
        self._known.move_to_end(mac)
        if len(self._known) > self._limit:
            self._known.popitem(last=False)

    def forget(self, mac: str) -> None:
        """Forget them: another printer may replace it."""
        self._known.pop(mac, None)

    def of(self, mac: str, now: float) -> list[str] | None:
        """The types it has named; empty: no answer in time; None: its answer is awaited."""
        named, asked_at = self._known.get(mac, (None, float("inf")))
        if named is None and now - asked_at >= ANSWERS_WITHIN_S:
            return []
        return named

    def ask(self, mac: str, now: float) -> bool:
        """Whether the printer must be asked now; from then on it counts as asked."""
        if mac in self._known:
            return False
        self._known[mac] = (None, now)
        if len(self._known) > self._limit:
            self._known.popitem(last=False)
        return True
