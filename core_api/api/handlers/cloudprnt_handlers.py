"""Star CloudPRNT over HTTP: the requests of printers that need no agent.

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
from client_sdk.contract.json_decoding import decode
from client_sdk.printer_media.fonts import has_font
from client_sdk.printer_media.picture import png_of
from core_api.access.callers import Caller
from core_api.api.answers import NO_STORE, json_answer
from core_api.api.gate import Gate
from core_api.errors import BadRequestError, UnauthorizedError
from core_api.http.bodies import read_request_body
from core_api.printing.cloudprnt import (
    PNG,
    SETTING,
    Poll,
    broker_answer,
    lines_to_print,
    mac_of,
    media_of,
    outcome_of,
    poll_answer,
    setting_answer,
    text_body,
)
from core_api.printing.jobs import Job
from core_api.printing.star.jobs import StarJobs
from core_api.printing.star_printers import StarMode, StarPrinters
from server_common.devices.identity import parse_user
from server_common.limits import CLOUDPRNT_POLL_BYTES

PATH: Final = "/cloudprnt/{secret}/{last}"
SETTING_PATH: Final = f"/cloudprnt/{{secret}}/{SETTING}"
_MAX_SECRET: Final = 300
_GONE: Final = Response(status_code=404, headers=NO_STORE)
_poll: Final = msgspec.json.Decoder(Poll)

Verify = Callable[[str, str], Awaitable[tuple[Channel, list[str]] | None]]
"""`(user, password)` → its channel and the media types that it prints; None: unknown."""


class CloudPrnt:
    """The handlers of printers that speak CloudPRNT.

    Args:
        jobs: hands out their print jobs and takes the results.
        gate: bounds how much is done at once.
        verify: knows printers by user name and password.
        stars: knows which printers are called over MQTT.
        broker: host and port of the MQTT broker; None: there is none, so printers poll.
        mode: how printers get their jobs over MQTT.
    """

    def __init__(
        self,
        jobs: StarJobs,
        gate: Gate,
        verify: Verify,
        stars: StarPrinters,
        broker: tuple[str, int] | None,
        mode: StarMode,
    ) -> None:
        self._jobs = jobs
        self._gate = gate
        self._verify = verify
        self._stars = stars
        self._broker = broker
        self._mode: StarMode = mode

    def routes(self) -> list[Route]:
        """The routes. They are not in the API's table, as the vendor has described them."""
        by_method = {"POST": self.poll, "GET": self.job, "DELETE": self.confirm}

        async def printer(request: Request) -> Response:
            return await by_method["GET" if request.method == "HEAD" else request.method](request)

        return [
            Route(SETTING_PATH, self.setting),
            Route(PATH, printer, methods=list(by_method)),
        ]

    async def poll(self, request: Request) -> Response:
        """POST: the printer's status; the answer says whether there is a job.

        Raises:
            BadRequestError: the body is not a CloudPRNT poll.
            UnauthorizedError: no printer has this secret, or user name and password.
        """
        printer, media = await self._printer_of(request)
        body = await read_request_body(request, CLOUDPRNT_POLL_BYTES)
        try:
            poll = decode(_poll, body)
        except msgspec.DecodeError as error:
            raise BadRequestError(f"this is not a CloudPRNT poll: {error}", "bad-json") from error
        answer = await self._gate.bounded(lambda: self._polled(printer, media, poll))
        return json_answer(answer)

    async def job(self, request: Request) -> Response:
        """GET: the job in the media type that the printer asks for.

        Raises:
            UnauthorizedError: no printer has this secret, or user name and password.
        """
        printer, media = await self._printer_of(request)
        wanted = request.query_params.get("type")
        return await self._gate.bounded(
            lambda: self._fetched(
                printer,
                media,
                request.query_params.get("token"),
                wanted,
                request.headers.get("x-star-accept-codepages", ""),
            )
        )

    async def confirm(self, request: Request) -> Response:
        """DELETE: the printer says whether the job was printed.

        Raises:
            BadRequestError: it says so by a code that is not a text.
            UnauthorizedError: no printer has this secret, or user name and password.
        """
        printer, _ = await self._printer_of(request)
        query = request.query_params
        step, detail = outcome_of(query.get("code", ""))
        await self._gate.bounded(
            lambda: self._jobs.confirmed(printer, query.get("token"), step, detail)
        )
        return Response(status_code=200, headers=NO_STORE)

    async def setting(self, request: Request) -> Response:
        """GET cloudprnt-setting.json: which versions of the protocol are spoken here.

        Raises:
            UnauthorizedError: no printer has this secret, or user name and password.
        """
        await self._printer_of(request)
        user, password = _named(request)
        mac = mac_of(request.query_params.get("mac"))
        answer = setting_answer()
        if self._broker is not None and mac is not None:
            with self._gate.admit():
                # A printer with another printer's MAC address goes on polling.
                kept = self._stars.keep(parse_user(user), mac, self._mode)
                if await self._gate.within_deadline(kept):
                    polls = self._mode == "trigger"
                    answer = broker_answer(*self._broker, user, password, polls=polls)
        return json_answer(answer)

    async def _polled(self, printer: Channel, media: list[str], poll: Poll) -> dict[str, object]:
        job = await self._jobs.reported(printer, poll)
        return poll_answer(job, [] if job is None else self._media(job, media))

    async def _fetched(
        self,
        printer: Channel,
        media: list[str],
        token: str | None,
        wanted: str | None,
        codepages: str,
    ) -> Response:
        job = await self._jobs.wanted(printer, token)
        if job is None:
            return _GONE
        can = self._media(job, media)
        media_type = wanted.partition(";")[0].strip().lower() if wanted else can[0]
        if media_type not in self._media(job, []):
            return Response(status_code=415, headers=NO_STORE)
        job = await self._jobs.take(printer, job)
        if job is None:
            return _GONE
        if media_type == PNG:
            # Drawing takes milliseconds that other requests need not wait for.
            body: bytes | None = await to_thread.run_sync(png_of, lines_to_print(job), job.columns)
        else:
            body = text_body(job, media_type, codepages)
        headers = NO_STORE | {"content-type": media_type}
        return Response(body, headers=headers)

    def _media(self, job: Job, named: list[str]) -> list[str]:
        return media_of(job, named, has_font=has_font())

    async def _printer_of(self, request: Request) -> tuple[Channel, list[str]]:
        """The printer, by Basic authentication if there is any, or else by the path's secret."""
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
    if not dot or len(secret) > _MAX_SECRET:
        raise UnauthorizedError("no printer has this secret")
    return user, password
