"""Star CloudPRNT over HTTP: what a printer as it is sold asks of Core.

A printer's URL is `https://…/cloudprnt/{secret}/printer`, where the secret is the user name and the
password that its registration showed, with a dot between; or any secret, and the two by Basic
authentication. The MAC that it sends proves nothing, so nobody looks at it.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from client_sdk.contract.channel import Channel
from client_sdk.printer_media.fonts import has_font
from client_sdk.printer_media.picture import png_of
from core_api.access.callers import Caller
from core_api.api.gate import Gate
from core_api.api.operations import JSON
from core_api.errors import BadRequestError, ConflictError, NotFoundError, UnauthorizedError
from core_api.http.bodies import read_request_body
from core_api.printing.cloudprnt import (
    AGENT,
    PNG,
    SETTING,
    Poll,
    decide,
    is_taken,
    lines_to_print,
    mac_of,
    media_of,
    outcome_of,
    parse_token,
    poll_answer,
    setting_answer,
    text_body,
    token_of,
    trigger_answer,
)
from core_api.printing.jobs import Job, Step
from core_api.printing.presence import PrinterPresence
from core_api.printing.service import PrintService
from core_api.printing.star_printers import StarPrinters
from server_common.devices.identity import parse_user
from server_common.limits import CLOUDPRNT_POLL_BYTES

PATH: Final = "/cloudprnt/{secret}/{last}"
SETTING_PATH: Final = f"/cloudprnt/{{secret}}/{SETTING}"
HELD_S: Final = 30.0
"""A printer polls every five seconds; one that is silent for so long is offline."""
_MOST_SECRET: Final = 300
_MOST_DECISIONS: Final = 200
_NO_STORE: Final = {"cache-control": "no-store"}
_GONE: Final = Response(status_code=404, headers=_NO_STORE)
_poll: Final = msgspec.json.Decoder(Poll)

Verify = Callable[[str, str], Awaitable[tuple[Channel, list[str]] | None]]
"""`(user, password)` → its channel and the media types that it prints; None: they are nobody's."""


class CloudPrnt:
    """The handlers of printers that speak CloudPRNT.

    Args:
        prints: takes jobs through their steps.
        presence: tells what printers say of themselves.
        gate: bounds how much is done at once.
        verify: knows printers by user name and password.
        stars: knows which printers are called over MQTT.
        broker: host and port where they are; None: nowhere, they poll.
    """

    def __init__(
        self,
        prints: PrintService,
        presence: PrinterPresence,
        gate: Gate,
        verify: Verify,
        stars: StarPrinters,
        broker: tuple[str, int] | None,
    ) -> None:
        self._prints = prints
        self._presence = presence
        self._gate = gate
        self._verify = verify
        self._stars = stars
        self._broker = broker

    def routes(self) -> list[Route]:
        """The routes. They stand in no table of ours: the vendor has described them."""
        by_method = {"POST": self.poll, "GET": self.job, "DELETE": self.confirm}

        async def printer(request: Request) -> Response:
            return await by_method["GET" if request.method == "HEAD" else request.method](request)

        return [
            Route(SETTING_PATH, self.setting),
            Route(PATH, printer, methods=list(by_method)),
        ]

    async def poll(self, request: Request) -> Response:
        """POST: how the printer is; the answer says whether there is a job.

        Raises:
            BadRequestError: it is no poll.
        """
        printer, media = await self._printer_of(request)
        body = await read_request_body(request, CLOUDPRNT_POLL_BYTES)
        try:
            poll = _poll.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadRequestError(f"no poll of CloudPRNT: {error}", "bad-json") from error
        with self._gate.admit():
            answer = await self._gate.within_deadline(self._polled(printer, media, poll))
        return Response(msgspec.json.encode(answer), media_type=JSON, headers=_NO_STORE)

    async def job(self, request: Request) -> Response:
        """GET: the job in the media type that the printer asks for."""
        printer, media = await self._printer_of(request)
        wanted = request.query_params.get("type")
        with self._gate.admit():
            return await self._gate.within_deadline(
                self._fetched(
                    printer,
                    media,
                    request.query_params.get("token"),
                    wanted,
                    request.headers.get("x-star-accept-codepages", ""),
                )
            )

    async def confirm(self, request: Request) -> Response:
        """DELETE: what became of the job."""
        printer, _ = await self._printer_of(request)
        query = request.query_params
        with self._gate.admit():
            await self._gate.within_deadline(
                self._confirmed(printer, query.get("token"), query.get("code", ""))
            )
        return Response(status_code=200, headers=_NO_STORE)

    async def setting(self, request: Request) -> Response:
        """GET cloudprnt-setting.json: which versions of the protocol are spoken here."""
        await self._printer_of(request)
        user, password = _named(request)
        mac = mac_of(request.query_params.get("mac"))
        answer = setting_answer()
        if self._broker is not None and mac is not None:
            with self._gate.admit():
                # One that has another printer's address goes on by polling.
                if await self._gate.within_deadline(self._stars.keep(parse_user(user), mac)):
                    answer = trigger_answer(*self._broker, user, password)
        return Response(msgspec.json.encode(answer), media_type=JSON, headers=_NO_STORE)

    async def _polled(self, printer: Channel, media: list[str], poll: Poll) -> dict[str, object]:
        store, device = printer.root, printer.part or ""
        try:
            await self._prints.hold(store, device, AGENT, HELD_S)
        except ConflictError:
            return poll_answer(None, ())
        await self._presence.heard(printer, AGENT, poll.troubles)
        for _ in range(_MOST_DECISIONS):
            jobs, now = await self._prints.jobs(printer)
            decided = decide(jobs, poll, now)
            if decided.step is None or decided.job is None:
                offered = [] if decided.job is None else self._media(decided.job, media)
                return poll_answer(decided.job, offered)
            job = decided.job
            await self._step(printer, job.id, decided.step, job.attempts, decided.detail)
        return poll_answer(None, ())

    async def _fetched(
        self,
        printer: Channel,
        media: list[str],
        token: str | None,
        wanted: str | None,
        codepages: str,
    ) -> Response:
        job = await self._wanted(printer, token)
        if job is None:
            return _GONE
        can = self._media(job, media)
        media_type = wanted.partition(";")[0].strip().lower() if wanted else can[0]
        if media_type not in self._media(job, []):
            return Response(status_code=415, headers=_NO_STORE)
        if not is_taken(job):
            taken = await self._step(printer, job.id, "take", 0, "")
            if taken is None or not is_taken(taken):
                return _GONE
            job = taken
        if media_type == PNG:
            # Drawing takes milliseconds that other requests need not wait for.
            body: bytes | None = await to_thread.run_sync(png_of, lines_to_print(job), job.columns)
        else:
            body = text_body(job, media_type, codepages)
        headers = _NO_STORE | {"content-type": media_type}
        return Response(body, headers=headers)

    async def _wanted(self, printer: Channel, token: str | None) -> Job | None:
        """The job that a GET means, by its token, or the one that is next; None: there is none."""
        jobs, _ = await self._prints.jobs(printer)
        taken = next((one.job for one in jobs if is_taken(one.job)), None)
        if token is None:
            return taken or next((one.job for one in jobs if one.job.is_ready), None)
        named = parse_token(token)
        if named is None:
            return None
        if taken is not None:
            return taken if named == (taken.id, taken.attempts) else None
        return next(
            (one.job for one in jobs if one.job.is_ready and token_of(one.job) == token), None
        )

    async def _confirmed(self, printer: Channel, token: str | None, code: str) -> None:
        jobs, _ = await self._prints.jobs(printer)
        named = None if token is None else parse_token(token)
        if token is None:
            taken = next((one.job for one in jobs if is_taken(one.job)), None)
            named = None if taken is None else (taken.id, taken.attempts)
        if named is not None:
            step, detail = outcome_of(code)
            await self._step(printer, named[0], step, named[1], detail)

    async def _step(
        self, printer: Channel, job_id: str, step: Step, attempt: int, detail: str
    ) -> Job | None:
        """Take the step; None: it does not follow any more, or there is no such job."""
        try:
            return await self._prints.step(
                printer.root,
                printer.part or "",
                job_id,
                step,
                AGENT,
                attempt,
                detail,
            )
        except (ConflictError, NotFoundError):
            return None

    def _media(self, job: Job, named: list[str]) -> list[str]:
        return media_of(job, named, has_font=has_font())

    async def _printer_of(self, request: Request) -> tuple[Channel, list[str]]:
        """Who asks, by Basic authentication if there is any, or else by the path's secret."""
        user, password = _named(request)
        found = await self._verify(user, password)
        if found is None:
            raise UnauthorizedError("no printer has this secret")
        printer, media = found
        self._gate.charge(Caller(str(printer), "device", device=printer), 1)
        return printer, media


def _named(request: Request) -> tuple[str, str]:
    """User name and password.

    Raises:
        UnauthorizedError: there are none.
    """
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, colon, password = b64decode(text, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            user = colon = password = ""
        if colon:
            return user, password
    secret: str = request.path_params["secret"]
    user, dot, password = secret.rpartition(".")
    if not dot or len(secret) > _MOST_SECRET:
        raise UnauthorizedError("no printer has this secret")
    return user, password
