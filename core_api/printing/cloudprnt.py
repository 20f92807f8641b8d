"""Star CloudPRNT: the meaning of a printer's poll, and the answer to it. Pure.

By the vendor's protocol guide (2.4.0) the printer polls by POST, takes a job by GET and
confirms it by DELETE; in version MQTT it does the same when it gets a message (*Trigger POST*), or
all by messages (*Full MQTT*, `star/over_mqtt.py`). One job at a time is in progress. A job that the
printer has taken is offered again only as another attempt, marked as a repeat: a confirmation may
be lost, but a ticket must not come twice unmarked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from client_sdk.contract.text import is_id, is_mac, is_text, number_of, shown
from client_sdk.printer_media.lines import Line, marked_repeat
from client_sdk.printer_media.plain_text import text_of
from client_sdk.printer_media.star_markup import markup_of
from core_api.errors import BadRequestError
from core_api.printing.jobs import Job, Step

AGENT: Final = "cloudprnt"
"""The agent's name for printers that speak CloudPRNT."""
PRINT_TIMEOUT: Final = timedelta(seconds=60)
"""The guide's time limit of a job, in seconds; then the job's outcome is unknown."""
PNG: Final = "image/png"
MARKUP: Final = "text/vnd.star.markup"
TEXT: Final = "text/plain"
SETTING: Final = "cloudprnt-setting.json"
"""What a printer of version MQTT asks for in place of the last segment of its URL."""
_TROUBLES: Final = {
    "210": "paper low",
    "211": "paper low",
    "221": "take the paper out",
    "230": "clean the printer",
    "231": "replace parts",
    "410": "paper end",
    "411": "paper jam",
    "412": "roll position",
    "420": "cover open",
}
PRINTS_LATER: Final = ("4", "520")
"""Codes of a job that a retry may print: the printer failed, perhaps in the middle; or it did not
get the whole job in time. Other codes that begin with 5 mean that it cannot read the job."""
_BUSY: Final = "22"
"""It is online, but prints, or waits until its paper is taken out."""
_KOREAN: Final = ("ksc5601", "ks_c_5601", "euc-kr", "949", "uhc")
_CODE: Final = re.compile("[0-9]{1,4}")
_MAX_ATTEMPT: Final = 9999


class Poll(Struct, frozen=True, rename="camel"):
    """The body of a poll. Any field may be missing or null, but for the status code."""

    status_code: str
    job_token: str | None = None
    printing_in_progress: bool | None = None

    @property
    def code(self) -> str:
        """The digits: the text after them is for people and differs between models."""
        found = _CODE.match(self.status_code.strip())
        return found[0] if found else ""

    @property
    def is_online(self) -> bool:
        """Whether nothing is wrong with the printer: all codes that begin with 2 say so."""
        return self.code.startswith("2")

    @property
    def is_busy(self) -> bool:
        """Whether it gets no job for now: it takes none while it prints."""
        return bool(self.printing_in_progress) or self.code.startswith(_BUSY)

    @property
    def troubles(self) -> list[str]:
        """What a person should take care of."""
        told = _TROUBLES.get(self.code[:3])
        if told is None and not self.is_online:
            told = f"printer says {self.code}"
        return [] if told is None else [told]


class JobSeen(Struct, frozen=True):
    """A job, and when it last changed."""

    job: Job
    since: datetime


class Decision(Struct, frozen=True):
    """The result of a poll."""

    step: Step | None = None
    """The step that `job` has taken, to be written before the next decision."""
    job: Job | None = None
    """The job of the step, or the one that is offered; None: there is nothing to print."""
    detail: str = ""


def decide(jobs: Sequence[JobSeen], poll: Poll, now: datetime) -> Decision:
    """What to do about the first job that needs something.

    Args:
        jobs: of the printer, in the order in which they are printed.
        poll: its poll.
        now: by the database's clock.
    """
    taken = next((one for one in jobs if is_taken(one.job)), None)
    if taken is not None:
        if not poll.is_online:
            return Decision("doubt", taken.job, f"printer says {poll.code}")
        if poll.is_busy or now - taken.since < PRINT_TIMEOUT:
            return Decision()
        return Decision("doubt", taken.job, "no confirmation came")
    if not poll.is_online or poll.is_busy:
        return Decision()
    for one in jobs:
        if one.job.is_ready:
            # Taking a job that is too old marks it as too old.
            return Decision("take" if one.job.is_too_old(now) else None, one.job)
    return Decision()


def is_taken(job: Job) -> bool:
    """Whether the printer has taken it, and has not reported the outcome."""
    return job.state == "sent" and job.agent == AGENT


def token_of(job: Job) -> str:
    """The token of the attempt that comes next."""
    return f"{job.id}.{job.attempts + 1}"


def parse_token(token: str) -> tuple[str, int] | None:
    """The job's id and the attempt; None: it is not one of our tokens."""
    name, _, attempt = token.rpartition(".")
    number = number_of(attempt, _MAX_ATTEMPT)
    return None if number is None or not is_id(name) else (name, number)


def outcome_of(code: str) -> tuple[Step, str]:
    """The outcome of a job, by the code of its confirmation.

    Raises:
        BadRequestError: the code is not a text that can be stored.
    """
    code = code.strip()
    if not is_text(code):
        raise BadRequestError(f"{shown(code)} is no code of a CloudPRNT printer")
    if code.startswith("2") or code.upper() == "OK":
        return "done", ""
    told = f"printer says {code[:40]}"
    return ("doubt" if code.startswith(PRINTS_LATER) else "fail"), told


def poll_answer(job: Job | None, media: Sequence[str]) -> dict[str, Any]:
    """The answer to a poll; None: there is nothing to print."""
    if job is None:
        return {"jobReady": False}
    return {
        "jobReady": True,
        "mediaTypes": list(media),
        "jobToken": token_of(job),
        "deleteMethod": "DELETE",
    }


def setting_answer() -> dict[str, Any]:
    """The answer to the request for the protocol's version: HTTP only."""
    return {
        "title": "star_cloudprnt_server_setting",
        "version": "1.0.0",
        "serverSupportProtocol": ["HTTP"],
    }


def broker_answer(host: str, port: int, user: str, password: str, *, polls: bool) -> dict[str, Any]:
    """The same, where the printer is to follow an MQTT broker.

    Args:
        host: of the broker, as the printer reaches it by TLS.
        port: its port.
        user: the printer's user name there, which is its client id as well.
        password: its password.
        polls: whether messages there only make it poll (*Trigger POST*); else its jobs and their
            outcomes go over MQTT, too (*Full MQTT*).
    """
    login = {"clientId": user, "username": user, "password": password}
    connection = {
        "hostName": host,
        "portNumber": port,
        "useTls": True,
        "authenticationSetting": login,
    }
    return setting_answer() | {
        "serverSupportProtocol": ["HTTP", "MQTT"],
        "settingForMQTT": {"useTriggerPOST": polls, "mqttConnectionSetting": connection},
    }


def mac_of(text: str | None) -> str | None:
    """The printer's MAC address as its topics have it; None: the text is not a MAC address."""
    found = (text or "").lower()
    return found if is_mac(found) else None


def media_of(job: Job, named: Sequence[str], *, has_font: bool) -> list[str]:
    """The media types that the job is offered in, the best first.

    Args:
        job: the job.
        named: the media types in the printer's registration, the best first; empty: none are given.
        has_font: whether pictures can be drawn here.
    """
    own = [PNG, MARKUP, TEXT] if job.media == "picture" else [MARKUP, TEXT, PNG]
    can = [one for one in own if has_font or one != PNG]
    wanted = [one for one in named if one in can]
    return wanted or can


def lines_to_print(job: Job) -> list[Line]:
    """The job's lines; if it may have been printed before, under a mark that says so."""
    return marked_repeat(job.lines, job.language, job.columns) if job.repeat else list(job.lines)


def text_body(job: Job, media_type: str, codepages: str) -> bytes | None:
    """The job as text or markup; None: it is another media type.

    Args:
        job: the job.
        media_type: what the printer asked for.
        codepages: its header `X-Star-Accept-Codepages`; empty: it sent none.
    """
    lines = lines_to_print(job)
    if media_type == MARKUP:
        return markup_of(lines, job.columns).encode()
    if media_type == TEXT:
        return text_of(lines, job.columns).encode(_encoding(codepages), "replace")
    return None


def _encoding(codepages: str) -> str:
    named = codepages.lower()
    if not named or "utf-8" in named or "utf8" in named:
        return "utf-8"
    return "cp949" if any(name in named for name in _KOREAN) else "ascii"
