"""The protections of devices and printers, and the patches that remove them."""

from __future__ import annotations

from typing import Final

from tests.chaos.unprotected.patches import CLIENT_TAKES_GAPS, Protection
from tests.chaos.unprotected.tree import Patch

_MARKS_UNHEEDED: Final = Patch(
    "client_sdk/mqtt/marks.py", "SILENT_S: Final = 15.0", "SILENT_S: Final = 1e9"
)

LOSS_NOTICED: Final = Protection(
    "a program over MQTT does not begin anew when its connection is lost, nor without marks",
    (
        Patch(
            "client_sdk/mqtt/connection.py",
            "                for following in tuple(self._followings):\n"
            '                    following.lose(self.trouble or "the connection was closed")\n',
            "",
        ),
        _MARKS_UNHEEDED,
    ),
)

POLLS_IN_SILENCE: Final = Protection(
    "a program over MQTT takes a silent broker for one that has nothing to say",
    (
        Patch("client_sdk/mqtt/connection.py", "_KEEPALIVE_S: Final = 5", "_KEEPALIVE_S = 100"),
        _MARKS_UNHEEDED,
    ),
)

COMPARED: Final = Protection(
    "the broker's admin compares users and rights once only",
    (
        Patch(
            "core_api/broker_admin/admin.py",
            "                await self._compare(control)\n",
            "                if not self._users:\n"
            "                    await self._compare(control)\n",
        ),
    ),
)

COMMIT_AFTER_PUBACK: Final = Protection(
    "the gateway commits its offsets 1.5 s before it publishes; programs let gaps pass",
    (
        Patch(
            "event_server/mqtt_gateway/record_publisher.py",
            "        sent = self._outlet.send(what, publication)\n"
            "        self._progress.add(held)\n"
            "        sent.add_done_callback(partial(self._acknowledged, tp, held, "
            "publication.topic))\n",
            "        asyncio.get_running_loop().call_later(\n"
            "            1.5, lambda: self._outlet.is_open and "
            "self._outlet.send(what, publication)\n"
            "        )\n",
        ),
        CLIENT_TAKES_GAPS,
    ),
)

GATEWAYS_TAKE_OVER: Final = Protection(
    "Kafka waits five minutes for a gateway that says nothing",
    (
        Patch(
            "event_server/mqtt_gateway/rules/membership.py",
            "SESSION_TIMEOUT_S: Final = 10.0",
            "SESSION_TIMEOUT_S: Final = 300.0",
        ),
    ),
)

GATEWAY_COMES_BACK: Final = Protection(
    "a gateway whose connection to the broker is lost does not begin anew once it has worked",
    (
        Patch(
            "event_server/mqtt_gateway/down.py",
            "            await asyncio.sleep(backoff.failed())\n",
            "            pause = 1e9 if self._clock() - began > 5.0 else backoff.failed()\n"
            "            await asyncio.sleep(pause)\n",
        ),
    ),
)

JOURNAL: Final = Protection(
    "the printer's agent does not look into its journal",
    (
        Patch("client_sdk/printer/agent.py", "        self._journal.end_what_was_left()\n", ""),
        Patch(
            "client_sdk/printer/agent.py",
            "        name = _name_of(job)\n        entry = self._journal.find(name, attempt)\n",
            "        return None\n        name = _name_of(job)\n"
            "        entry = self._journal.find(name, attempt)\n",
        ),
        Patch(
            "client_sdk/printer/journal.py",
            "INSERT INTO attempt (job, attempt)",
            "INSERT OR IGNORE INTO attempt (job, attempt)",
        ),
    ),
)

AGENTS_TAKE_OVER: Final = Protection(
    "Core gives a printer to no other agent, however long the first is silent",
    (Patch("core_api/printing/statements.py", "HELD_S: Final = ", "HELD_S: Final = 100 * "),),
)

SHORT_LEASE: Final = (
    Patch("core_api/printing/statements.py", "HELD_S: Final = 60.0", "HELD_S: Final = 24.0"),
    Patch("client_sdk/printer/agent.py", "HOLD_EVERY_S: Final = 20.0", "HOLD_EVERY_S: Final = 8.0"),
)
"""An agent holds a printer for 24 s instead of 60, and renews that every 8 s instead of 20."""

PRINTERS_WORD: Final = Protection(
    "a ticket counts as printed when its connection broke",
    (
        Patch(
            "client_sdk/printer/printing.py",
            "        return await _print(connection, ticket, tell, clock)\n"
            "    except PrinterError as error:\n"
            '        return Word("doubt", str(error))\n',
            "        return await _print(connection, ticket, tell, clock)\n"
            "    except PrinterError as error:\n"
            '        return Word("done", str(error))\n',
        ),
    ),
)

CHECKED_AT_THE_DOOR: Final = Protection(
    "the gateway takes what devices say as it is",
    (
        Patch(
            "event_server/mqtt_gateway/rules/incoming.py",
            "    payload_of(place.kind, payload)\n",
            "",
        ),
    ),
)
