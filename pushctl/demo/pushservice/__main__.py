"""
The push service as a process: ``python -m pushctl.demo.pushservice --folder DIR``.

Prints one line of JSON with its ports and its CA, then serves until it is terminated.
"""

import argparse
import json
import signal
from dataclasses import asdict
from pathlib import Path
from threading import Event

from pushctl import output
from pushctl.demo.pushservice.servers import Ports
from pushctl.demo.pushservice.service import PushService


def main() -> None:
    given = _arguments().parse_args()
    script = json.loads(given.script.read_text()) if given.script else []
    ports = Ports(given.push_port, given.websocket_port, given.mcs_port, given.control_port)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with PushService(
        given.folder,
        ports=ports,
        script=script,
        seed=given.seed,
        checks=not given.no_checks,
        log=given.log,
        receipts=not given.no_receipts,
    ) as service:
        told = {
            **asdict(service.ports),
            "ca": str(service.ca.resolve()),
            "spki": service.spki,
            "hosts": service.loopback_hosts,
        }
        output.answer(json.dumps(told))
        stop.wait()


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("pushservice", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="for CA, secret and log")
    parser.add_argument("--script", type=Path, help="JSON file of faults")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-checks", action="store_true", help="201 to everything")
    parser.add_argument("--log", action="store_true", help="write sink.log")
    parser.add_argument("--no-receipts", action="store_true", help="keep no list of bodies")
    for door in ("push", "websocket", "mcs", "control"):
        parser.add_argument(f"--{door}-port", type=int, default=0)
    return parser


if __name__ == "__main__":
    main()
