"""Reads devices' messages in its own process, which never answers, to be killed after a commit:
DATABASE BOOTSTRAP INBOUND OUTBOUND DEAD GROUP. It prints `committed` instead of an answer."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from core_api.ingest.device_answers import KafkaAnswers
from core_api.postgres.pool import open_pool
from server_common.devices.messages import Outbound
from tests.integration.core_api.device_reading import ingest_of


async def never(_self: KafkaAnswers, answers: Sequence[Outbound]) -> None:
    print("committed", *(one.n for one in answers), flush=True)
    await asyncio.Event().wait()


async def main(
    database: str, bootstrap: str, inbound: str, outbound: str, dead: str, group: str
) -> None:
    setattr(KafkaAnswers, "answer", never)  # noqa: B010 - no program does so
    pool = await open_pool(database, size=4, command_timeout_s=10, name="doomed")
    await ingest_of(pool, bootstrap, inbound, outbound, dead, group).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
