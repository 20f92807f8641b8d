"""A printer with Star CloudPRNT: version HTTP, and version MQTT as *Trigger POST*.

It is written only from the vendor's guide (Star CloudPRNT Protocol Guide 2.4.0: polling, job
request, confirmation, status codes; server setting information, topics of MQTT, `request-post`).

`python -m tests.star_printer URL FOLDER` polls forever, and writes each ticket into the folder.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from server_common.mqtt.broker import Broker
from server_common.mqtt.connection import BrokerConnection, Incoming

MAC = "00:11:62:1d:9a:b7"


@dataclass
class StarPrinter:
    """The printer.

    `supports` are the media types that it can print, the best first.
    """

    url: str
    """The CloudPRNT URL that was set in the printer."""
    http: httpx.AsyncClient
    supports: tuple[str, ...] = ("image/png", "text/plain")
    sends_token: bool = True
    """False: as older firmware, which does not know tokens."""
    basic: tuple[str, str] | None = None
    codepages: str = "utf-8"
    code: str = "200 OK"
    printing: bool = False
    papers: list[tuple[str, bytes]] = field(default_factory=list)
    """The printed tickets: media type and bytes."""
    last_token: str | None = None

    @property
    def is_online(self) -> bool:
        """Whether it can print: then its status code begins with 2."""
        return self.code.startswith("2")

    @property
    def _auth(self) -> Any:
        return self.basic or httpx.USE_CLIENT_DEFAULT

    async def setting(self) -> httpx.Response:
        """Ask for the server's settings; their URL has another last segment."""
        base, _, replaced = self.url.rpartition("/")
        return await self.http.get(
            f"{base}/cloudprnt-setting.json", params={"mac": MAC, "replaced_path": replaced},
            auth=self._auth,
        )  # fmt: skip

    async def poll(self) -> dict[str, Any]:
        """POST: send its status. Returns the server's answer."""
        body = {
            "status": "23 6 0 0 0 0 0 0 0 ",
            "printerMAC": MAC,
            "uniqueID": None,
            "statusCode": self.code.replace(" ", "%20"),
            "printingInProgress": self.printing,
            "clientAction": None,
        }
        response = await self.http.post(self.url, json=body, auth=self._auth)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer

    async def fetch(self, answer: dict[str, Any], media: str | None = None) -> httpx.Response:
        """GET: fetch the job that the server has announced, in `media` or in the best type."""
        chosen = media or next(one for one in self.supports if one in answer["mediaTypes"])
        params = {"type": chosen, "mac": MAC}
        self.last_token = answer.get("jobToken") if self.sends_token else None
        if self.last_token is not None:
            params["token"] = self.last_token
        return await self.http.get(
            self.url, params=params, headers={"x-star-accept-codepages": self.codepages},
            auth=self._auth,
        )  # fmt: skip

    async def confirm(self, code: str = "200 OK", token: str | None = None) -> httpx.Response:
        """DELETE: report whether the job was printed."""
        params = {"mac": MAC, "code": code}
        told = token or self.last_token
        if told is not None and self.sends_token:
            params["token"] = told
        return await self.http.delete(self.url, params=params, auth=self._auth)

    async def cycle(self) -> bool:
        """Poll once; print and confirm a job if there is one. Returns whether one was printed."""
        answer = await self.poll()
        if not answer["jobReady"] or not self.is_online:
            return False
        response = await self.fetch(answer)
        if response.status_code != 200:
            await self.confirm("520 Download error")
            return False
        self.papers.append((response.headers["content-type"], response.content))
        await self.confirm()
        return True


class TriggeredPrinter:
    """The printer as *Trigger POST*: messages over MQTT only tell it when to poll.

    It asks the server for the broker's address, connects by MQTT 3.1.1 without a will, subscribes
    to its own topic, polls after each message, and publishes nothing.

    Args:
        printer: polls over HTTP.
        ca_file: the certificate of the authority that signed the broker's.
    """

    def __init__(self, printer: StarPrinter, ca_file: str) -> None:
        self.printer = printer
        self.calls = 0
        self._ca_file = ca_file
        self._called = asyncio.Event()

    async def run(self) -> None:
        """Poll after each message until cancelled, or until the connection is lost."""
        setting = (await self.printer.setting()).json()
        assert "MQTT" in setting["serverSupportProtocol"], setting
        assert setting["settingForMQTT"]["useTriggerPOST"] is True
        where = setting["settingForMQTT"]["mqttConnectionSetting"]
        login = where["authenticationSetting"]
        assert where["useTls"] is True
        broker = Broker(
            where["hostName"], where["portNumber"], login["username"], login["password"],
            self._ca_file, "3.1.1",
        )  # fmt: skip
        connection = BrokerConnection(
            broker, login["clientId"], lambda message: self._hear(message)
        )
        self._connection = connection
        try:
            await connection.open()
            await connection.subscribe([f"star/cloudprnt/to-device/{MAC}/#"])
            lost = asyncio.create_task(connection.until_lost())
            try:
                while not lost.done():
                    called = asyncio.create_task(self._called.wait())
                    await asyncio.wait({called, lost}, return_when=asyncio.FIRST_COMPLETED)
                    called.cancel()
                    self._called.clear()
                    await self.printer.cycle()
            finally:
                lost.cancel()
                await asyncio.gather(lost, return_exceptions=True)
        finally:
            await connection.close()

    def _hear(self, message: Incoming) -> None:
        self._connection.acknowledge(message)
        assert message.topic == f"star/cloudprnt/to-device/{MAC}/request-post", message.topic
        assert json.loads(message.payload) == {"title": "request-post"}
        self.calls += 1
        self._called.set()


async def run(url: str, put: Callable[[bytes], None], every_s: float = 5.0) -> None:
    """Poll at fixed intervals, and at once after a printed job."""
    async with httpx.AsyncClient(timeout=30) as http:
        printer = StarPrinter(url, http)
        while True:
            if await printer.cycle():
                put(printer.papers.pop()[1])
            else:
                await asyncio.sleep(every_s)


def put_into(folder: Path) -> Callable[[bytes], None]:
    """A function that writes each ticket to a new file in the folder."""
    folder.mkdir(parents=True, exist_ok=True)

    def put(paper: bytes) -> None:
        path = folder / f"{len(list(folder.glob('*.png'))):04}.png"
        path.write_bytes(paper)
        print(path, flush=True)

    return put


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], put_into(Path(sys.argv[2]))))
