"""`make restore-drill`: lose the database, restore it to a point in time, and check the clients."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from deploy.kafka.server import KafkaServer, ensure_libs
from deploy.local.broker import EmbeddedBroker
from tests.drills.restore import Drill


def main() -> int:
    """Run the drill. Returns 0 if nothing was wrong; 1 otherwise."""
    parser = argparse.ArgumentParser(prog="make restore-drill", description=__doc__)
    parser.add_argument("--orders", type=int, default=200, help="how many in each of three parts")
    parser.add_argument("--embedded", action="store_true", help="with the embedded broker")
    parser.add_argument("--build", type=Path, default=Path("build"), help="jars and the report")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="yabam-drill-"))
    kafka: KafkaServer | EmbeddedBroker
    if options.embedded:
        kafka = EmbeddedBroker(folder)
    else:
        kafka = KafkaServer(folder / "kafka", ensure_libs(options.build / "kafka", print))
    try:
        kafka.start()
        report = asyncio.run(Drill(folder, kafka, options.orders).run())
    finally:
        kafka.stop()
    text = "\n".join(report.lines())
    (options.build / "restore-drill.txt").write_text(text + "\n")
    print(text)
    if report.wrong:
        print(f"Logs: {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
