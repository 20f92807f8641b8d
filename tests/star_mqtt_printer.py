"""A Star printer with CloudPRNT's version MQTT, *Full MQTT*: it gets its jobs over MQTT.

It is written only from the vendor's text and sample, which docs/devices.md names: MQTT 3.1.1, QoS
1, a will, a status when it changes or is asked for, and the ten newest tokens remembered.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections import deque
from typing import Any

from server_common.mqtt.broker import Broker
from server_common.mqtt.connection import BrokerConnection, Incoming, Will
from tests.star_printer import MAC, StarPrinter

TOKENS_REMEMBERED = 10
DUPLICATE = "540 Duplicate job"
"""The guide says that there is a code for this. It does not say which, so this one is assumed."""


class FullMqttPrinter:
    """The printer.

    Args:
        printer: asks for its settings over HTTP, and has its papers and its status.
        ca_file: the certificate of the authority that signed the broker's.
        names: its answer about its media types; None: it does not answer questions.
    """

    def __init__(
        self, printer: StarPrinter, ca_file: str, names: str | None = "image/png; text/plain"
    ) -> None:
        self.printer = printer
        self.names = names
        self.refused = 0
        """How many jobs it has refused, as it had their tokens already."""
        self.loses_results = 0
        """So many results are not published."""
        self.trouble_at_next_job: str | None = None
        """Its status from the next job on, which it does not print; None: unchanged."""
        self.says_results = 1
        """How often it publishes each result."""
        self.heard: list[Incoming] = []
        """The messages that it has received."""
        self._ca_file = ca_file
        self._tokens: deque[str] = deque(maxlen=TOKENS_REMEMBERED)
        self._heard: asyncio.Queue[Incoming] = asyncio.Queue()
        self._connection: BrokerConnection | None = None

    async def run(self) -> None:
        """Print jobs until cancelled, or until the connection is lost."""
        answer = (await self.printer.setting()).raise_for_status()
        setting = answer.json()["settingForMQTT"]
        assert setting["useTriggerPOST"] is False
        where = setting["mqttConnectionSetting"]
        login = where["authenticationSetting"]
        assert where["useTls"] is True
        broker = Broker(
            where["hostName"], where["portNumber"], login["username"], login["password"],
            self._ca_file, "3.1.1",
        )  # fmt: skip
        will = Will(_up("client-will"), _will(is_cut=True), retain=False)
        connection = BrokerConnection(broker, login["clientId"], self._heard.put_nowait, will=will)
        try:
            await connection.open()
            await connection.subscribe([f"star/cloudprnt/to-device/{MAC}/#"])
            self._connection = connection
            lost = asyncio.create_task(connection.until_lost())
            try:
                while not lost.done():
                    hears = asyncio.create_task(self._heard.get())
                    await asyncio.wait({hears, lost}, return_when=asyncio.FIRST_COMPLETED)
                    if hears.done():
                        await self._obey(connection, hears.result())
                    hears.cancel()
            finally:
                # A printer that is switched off publishes this itself.
                connection.publish(_up("client-will"), _will(is_cut=False), qos=0)
                lost.cancel()
                await asyncio.gather(lost, return_exceptions=True)
        finally:
            self._connection = None
            await connection.close()

    async def becomes(self, code: str) -> None:
        """Change its status, and publish it."""
        self.printer.code = code
        if self._connection is not None:
            await self._say_how_it_is(self._connection)

    def lose_connection(self) -> None:
        """Lose the connection, so that the broker publishes the will."""
        assert self._connection is not None
        self._connection._fail(ConnectionResetError("cut"))

    def switch_off_and_on(self) -> None:
        """Lose the connection and forget all tokens, as after a power failure."""
        self._tokens.clear()
        self.lose_connection()

    async def says_again(self, token: str) -> None:
        """Publish the result of this job again."""
        assert self._connection is not None
        await self._tell_result(self._connection, token, self.printer.code)

    async def _obey(self, connection: BrokerConnection, message: Incoming) -> None:
        self.heard.append(message)
        told = json.loads(message.payload)
        method = told["title"]
        assert message.topic == f"star/cloudprnt/to-device/{MAC}/{method}", message.topic
        connection.acknowledge(message)
        if method == "request-client-status":
            await self._say_how_it_is(connection)
        elif method == "order-client-action":
            if self.names is not None:
                results = [self._answer(one["request"]) for one in told["clientAction"]]
                await self._say_how_it_is(connection, clientAction=results)
        else:
            assert method == "print-job", method
            await self._print(connection, told)

    def _answer(self, request: str) -> dict[str, Any]:
        assert request == "Encodings", request
        return {"request": request, "result": self.names}

    async def _print(self, connection: BrokerConnection, job: dict[str, Any]) -> None:
        token = job["jobToken"]
        assert job["jobType"] == "raw"
        (media,) = job["mediaTypes"]
        if token in self._tokens:
            self.refused += 1
            await self._tell_result(connection, token, DUPLICATE)
            return
        self._tokens.append(token)
        if self.trouble_at_next_job is not None:
            self.printer.code, self.trouble_at_next_job = self.trouble_at_next_job, None
        if not self.printer.is_online:
            await self._tell_result(connection, token, self.printer.code)
        elif media not in self.printer.supports:
            await self._tell_result(connection, token, "510 Incompatible media type")
        else:
            data = job["printData"]
            paper = data.encode() if media.startswith("text/") else b64decode(data, validate=True)
            self.printer.printing = True
            await self._say_how_it_is(connection)
            self.printer.papers.append((media, paper))
            await self._tell_result(connection, token, self.printer.code)
            self.printer.printing = False
            await self._say_how_it_is(connection)

    async def _tell_result(self, connection: BrokerConnection, token: str, code: str) -> None:
        if self.loses_results:
            self.loses_results -= 1
            return
        for _ in range(self.says_results):
            await self._say(
                connection, "print-result", jobToken=token, printSucceeded=code.startswith("2"),
                statusCode=code.replace(" ", "%20"),
            )  # fmt: skip

    async def _say_how_it_is(self, connection: BrokerConnection, **more: Any) -> None:
        await self._say(
            connection, "client-status", statusCode=self.printer.code.replace(" ", "%20"),
            printingInProgress=self.printer.printing, **more,
        )  # fmt: skip

    async def _say(self, connection: BrokerConnection, title: str, **fields: Any) -> None:
        payload = {"title": title, "printerMAC": MAC, **fields}
        await connection.publish(_up(title), json.dumps(payload).encode())


def _will(*, is_cut: bool) -> bytes:
    said = {"title": "client-will", "printerMAC": MAC, "unintentionalDisconnection": is_cut}
    return json.dumps(said).encode()


def _up(word: str) -> str:
    return f"star/cloudprnt/to-server/{MAC}/{word}"
