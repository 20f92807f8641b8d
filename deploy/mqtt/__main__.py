"""`make mqtt`: run a real Mosquitto in the foreground until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from client_sdk.contract.errors import YabamError
from deploy.mqtt.server import MosquittoError, MosquittoServer


def main() -> int:
    """Run until Ctrl-C. Returns 0 after a clean stop, or 1 after one line with the error."""
    parser = argparse.ArgumentParser(prog="make mqtt", description=__doc__)
    parser.add_argument("--port", type=int, default=1883, help="its port without TLS")
    parser.add_argument("--tls-port", type=int, default=8883, help="its port with TLS")
    parser.add_argument("--data", type=Path, default=Path("var/mqtt"), help="folder of its data")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _run(MosquittoServer(options.data, options.port, options.tls_port))
    except YabamError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nMosquitto has stopped; its data is kept.")
    return 0


def _run(server: MosquittoServer) -> None:
    try:
        server.start()
        settings = "".join(f"  export {name}={value}\n" for name, value in server.settings.items())
        print(
            f"Mosquitto answers on port {server.port}, with TLS on {server.tls_port}. Set these\n"
            f"variables for the gateway and for the admin:\n\n{settings}\n"
            "Ctrl-C stops it.",
            flush=True,
        )
        server.process.finish()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        server.stop()
    raise MosquittoError("Mosquitto ended by itself")


if __name__ == "__main__":
    sys.exit(main())
