"""The protections from the elements of `poison`, and the patches that remove them."""

from __future__ import annotations

from typing import Final

from tests.chaos.unprotected.delivery import FOREIGN_SKIPPED
from tests.chaos.unprotected.patches import Protection
from tests.chaos.unprotected.tree import Patch

SET_ASIDE: Final = Protection(
    "nothing that cannot be handled is set aside: no row by the relay, no device's report by Core, "
    "no record by an event server or by Core; and an epoch is any text",
    (
        *FOREIGN_SKIPPED.patches,
        Patch(
            "core_api/relay/cycle.py",
            "    held.refused[rows[0].id] = reason\n    return True\n",
            "    return False\n",
        ),
        Patch(
            "core_api/relay/cycle.py",
            "        if message.size <= EVENT_RECORD_BYTES:\n            return message, None\n",
            "        return message, None\n",
        ),
        Patch(
            "core_api/receipts/devices.py",
            "            if len(batch) == 1:\n",
            "            if batch:\n                raise\n            if False:\n",
        ),
        # Without the check of its form, an invalid epoch reaches the batch of reports.
        Patch(
            "core_api/sync/request.py",
            "    if text and not is_epoch(text):\n",
            "    if False:\n",
        ),
        Patch(
            "core_api/receipts/from_kafka.py",
            "            unread += 1\n            continue\n",
            "            raise\n",
        ),
        Patch(
            "event_server/kafka/revocations.py",
            '            self._say_once("revocation_malformed", str(error))\n            return\n',
            "            raise\n",
        ),
        Patch(
            "core_api/webhooks/messages.py",
            "    except msgspec.DecodeError:\n"
            '        return _gap(channel, row.seq - 1, row.seq, "unreadable", page)\n',
            "    except msgspec.DecodeError:\n        raise\n",
        ),
        Patch(
            "event_server/sockets/talk.py",
            '            self.counts["malformed"] += 1\n            return\n',
            "            raise\n",
        ),
    ),
)

DEVICE_MESSAGES: Final = Protection(
    "a device's message that cannot be read, or must be refused, is no dead letter but a failure",
    (
        Patch(
            "core_api/ingest/device_applier.py",
            "            await self._bury(record, UNREADABLE, error.reason, str(error))\n"
            "            return None\n",
            "            raise\n",
        ),
        Patch(
            "core_api/ingest/device_applier.py",
            "        except DeviceMessageError as error:\n"
            "            reason, detail = error.reason, str(error)\n"
            "        except CoreError",
            "        except DeviceMessageError:\n            raise\n        except CoreError",
        ),
    ),
)

UNPRINTABLE_ORDERS: Final = Protection(
    "an order that cannot be laid out fails its printer's round",
    (
        Patch(
            "core_api/printing/planning.py",
            "        except Exception as error:\n",
            "        except msgspec.DecodeError as error:\n",
        ),
    ),
)

DAMAGED_JOBS: Final = Protection(
    "a damaged print job fails what reads or counts the jobs of its printer",
    (
        Patch(
            "core_api/printing/service.py",
            "        except (msgspec.DecodeError, UnicodeEncodeError) as error:\n",
            "        except (msgspec.DecodeError, UnicodeEncodeError) as error:\n"
            "            raise\n",
        ),
        Patch(
            "core_api/printing/statements.py",
            "CASE WHEN d.value IS JSON OBJECT\n"
            "          THEN (d.value::jsonb)->>'state' IS DISTINCT FROM 'done' ELSE true END\n",
            "(d.value::jsonb)->>'state' <> 'done'\n",
        ),
    ),
)

PRINTERS_APART: Final = Protection(
    "a printer whose jobs cannot be made fails the round of all",
    (
        Patch(
            "core_api/printing/making.py",
            "        except Exception:\n",
            "        except ZeroDivisionError:\n",
        ),
    ),
)

PHONES_APART: Final = Protection(
    "phones are told one after the other",
    (
        Patch(
            "core_api/push/sender.py",
            "        await self._tasks.fill(self._take, self._send)\n",
            "        for due in await self._take(1, False):\n"
            "            try:\n"
            "                await self._send(due)\n"
            "            except Exception as error:\n"
            "                self._failed(due, error)\n",
        ),
    ),
)

PHONES_COUNTED: Final = Protection(
    "a phone that cannot be told is not counted",
    (
        Patch(
            "core_api/push/sender.py",
            "        self._metrics.bugs.inc()\n",
            "",
        ),
    ),
)
