"""How long a revoked token is still valid: on the other Core, and on its open stream.

    python -m tests.bench.revocation [--rounds 40]

Runs two Cores, a relay and an event server with a PostgreSQL and an Apache Kafka. Each round makes
a token, opens a stream with it, revokes it at one Core, and asks the other Core until it refuses.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

import httpx
import jwt

from client_sdk.contract.sse import SseParser
from deploy.kafka.server import KafkaServer, ensure_libs
from deploy.local.stack import free_ports
from tests.bench.sync.report import machine
from tests.drilled_postgres import DrilledPostgres
from tests.integration.core_api.conftest import KAFKA_BUILD
from tests.integration.core_service import bearer, new_store, token
from tests.parts import migrated_database
from tests.security.installation import installed

_ASK_EVERY_S: Final = 0.02


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.revocation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    folder = Path(tempfile.mkdtemp(prefix="yabam-revocation-"))
    folder.chmod(0o711)
    postgres = DrilledPostgres(folder / "postgres")
    postgres.start()
    try:
        database = asyncio.run(migrated_database(postgres))
        kafka = KafkaServer(folder / "kafka", ensure_libs(KAFKA_BUILD, print))
        with installed(database, folder, broker=kafka) as stack:
            port = free_ports().core
            second = stack.add_command(
                "core-second", ["core"], port, {"YABAM_CORE_PORT": str(port)}
            )
            second.start()
            second.wait_ready(60)
            asyncio.run(_measure(stack.core_url, f"http://127.0.0.1:{port}", rounds))
    finally:
        postgres.stop_at_once()
        shutil.rmtree(folder, ignore_errors=True)


async def _measure(first: str, second: str, rounds: int) -> None:
    refused, ended = [], []
    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        for _ in range(rounds):
            one, other = await _round(http, first, second)
            refused.append(one)
            ended.append(other)
    print(
        f"{machine()}\n\n| seconds after the revocation | median | longest |\n| --- | ---: | ---: |"
    )
    for name, took in (("the other Core refuses", refused), ("the stream has ended", ended)):
        print(f"| {name} | {statistics.median(took):.1f} | {max(took):.1f} |")


async def _round(http: httpx.AsyncClient, first: str, second: str) -> tuple[float, float]:
    """How long the other Core still answered, and how long the stream continued."""
    store = new_store()
    who = token("owner", store)
    path, headers = f"/v1/sync?channel=store:{store}", bearer(who)
    grant = (await http.get(f"{first}{path}", headers=headers)).json()["stream"]
    where = {"ticket": grant["ticket"]}
    async with http.stream("GET", grant["url"], params=where) as stream:
        parts = stream.aiter_bytes()
        await anext(parts)
        named = jwt.decode(who, options={"verify_signature": False})["jti"]
        answer = await http.post(
            f"{second}/v1/revocations",
            json={"kind": "token", "name": named},
            headers=bearer(token("ops")),
        )
        answer.raise_for_status()
        began = time.monotonic()

        async def until_refused() -> float:
            while (await http.get(f"{first}{path}", headers=headers)).status_code != 401:  # noqa: ASYNC110
                await asyncio.sleep(_ASK_EVERY_S)
            return time.monotonic() - began

        async def until_ended() -> float:
            parser = SseParser()
            async for part in parts:
                if any(
                    event.type == "bye" and '"expired"' in event.data for event in parser.feed(part)
                ):
                    break
            else:
                raise RuntimeError("the stream ended without being told why")
            return time.monotonic() - began

        refused, ended = await asyncio.gather(until_refused(), until_ended())
    return refused, ended


if __name__ == "__main__":
    main()
