"""`make kafka`: run a real Apache Kafka in the foreground until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from client_sdk.contract.errors import YabamError
from deploy.kafka.class_archive import ensure_class_archive
from deploy.kafka.server import KafkaServer, KafkaServerError, ensure_libs


def main() -> int:
    """Run until Ctrl-C. Returns 0 after a clean stop, or 1 after one line with the error."""
    parser = argparse.ArgumentParser(prog="make kafka", description=__doc__)
    parser.add_argument("--port", type=int, default=9092)
    parser.add_argument("--data", type=Path, default=Path("var/kafka"), help="folder of its data")
    parser.add_argument("--build", type=Path, default=Path("build/kafka"), help="folder of jars")
    parser.add_argument("--prepare", action="store_true", help="only make later starts faster")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        libs = ensure_libs(options.build, _say)
        if options.prepare:
            ensure_class_archive(libs, _say)
        else:
            _run(KafkaServer(options.data, libs, options.port))
    except YabamError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nKafka has stopped; its data is kept.")
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


def _run(server: KafkaServer) -> None:
    print("Starting Apache Kafka …", flush=True)
    try:
        server.start()
        print(
            f"Apache Kafka answers at {server.bootstrap}. Use it in another terminal:\n\n"
            f"  make run KAFKA={server.bootstrap}\n\nCtrl-C stops it.",
            flush=True,
        )
        server.process.finish()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        server.stop()
    raise KafkaServerError("Kafka ended by itself")


if __name__ == "__main__":
    sys.exit(main())
