"""The shop as a process: ``python -m pushctl.demo.shop --port 8752 --receiver URL``."""

import argparse
import signal
from pathlib import Path
from threading import Event

from pushctl.demo.shop import Shop
from pushctl.demo.shop.server import serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m pushctl.demo.shop", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--receiver", required=True, help="the receiver's public address")
    parser.add_argument("--site", help="the site's name, where there are several")
    parser.add_argument("--feed", type=Path, help="the blog: a file served as /feed.xml")
    given = parser.parse_args()
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with serve(Shop(given.receiver, given.site, given.feed), given.port):
        stop.wait()


if __name__ == "__main__":
    main()
