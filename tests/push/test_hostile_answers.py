"""
A push service that means harm: every answer is bounded in time, memory and reach.

The real transport in a process of its own, so that what it holds can be measured, against
the embedded service in another. The request's deadline is small here; what counts is that
it holds whatever the service does. Where a busy machine let it pass before the service had
said what it was to say, the case is tried again with a longer one.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pushctl.model import Letter
from pushctl.push import Postbox, chunk, send_chunk, vapid
from pushctl.rules.units import DAY
from tests.support import ROOT, auth, p256dh
from tests.support.pushservice import service_script
from tests.support.receiving import get
from tests.support.sending import MOZILLA

DEADLINES = (1.5, 6.0, 24.0)  # seconds for one request, all in all
SPARE = 3.0  # seconds that a busy machine may add; a drip lasts for fifty
MOST_MEMORY = 5.0  # MB
STRANGE = "push.example"  # the host whose certificate is for another name

ELSEWHERE = f"https://{MOZILLA}/wpush/v2/elsewhere"


class Case(NamedTuple):
    """What the service does, and what has to become of the letter."""

    act: dict[str, Any]
    answer: str
    reason: str
    retry_after: int | None = None


def answered(status: int, **headers: str) -> dict[str, Any]:
    return {"do": "answer", "status": status, "headers": headers}


CASES = {
    **{
        f"redirect-{status}": Case(
            answered(status, location=ELSEWHERE), "retry", f"{status} redirect"
        )
        for status in (301, 302, 303, 307, 308)
    },
    "silence": Case({"do": "silence"}, "in_doubt", "timeout"),
    # Where the status had come, it is known what the service made of the message.
    "drip": Case({"do": "drip", "interval": 0.05}, "accepted", "201"),
    "drip-gone": Case(
        {"do": "drip", "interval": 0.05, "status": 410}, "gone", "410 unsubscribed"
    ),
    "huge": Case(
        {"do": "huge", "size": 200_000_000, "status": 410}, "gone", "410 unsubscribed"
    ),
    "huge-accepted": Case({"do": "huge", "size": 200_000_000}, "accepted", "201"),
    "bomb": Case(
        {"do": "gzip", "size": 200_000_000, "status": 401}, "refused", "401 key refused"
    ),
    "early-close": Case({"do": "early_close", "status": 503}, "retry", "503 service fault"),
    "framing": Case({"do": "bad_framing", "status": 503}, "retry", "503 service fault"),
    "headers": Case({"do": "headers", "size": 2_000}, "", ""),
    "more-headers": Case({"do": "headers", "size": 100_000}, "", ""),
    "informational": Case({"do": "informational", "size": 9_000_000}, "in_doubt", ""),
    "reset-before": Case({"do": "reset_before"}, "in_doubt", ""),
    "reset-after": Case({"do": "reset_after"}, "in_doubt", "connection lost"),
    "reset-all": Case(
        {"do": "reset_after", "scope": "connection"}, "in_doubt", "connection lost"
    ),
    **{
        f"wait-{number}": Case(
            answered(429, **{"retry-after": junk}), "throttled", "429 too many requests", wait
        )
        for number, (junk, wait) in enumerate(
            [
                ("junk", 60_000),
                ("-1", 60_000),
                ("0x10", 60_000),
                ("1e9", 60_000),
                ("9" * 400, 60_000),
                ("999999999999", DAY),
                ("Fri, 99 Foo 2026 99:99:99 GMT", 60_000),
                ("Fri, 31 Dec 9999 23:59:59 GMT", DAY),
                ("Thu, 01 Jan 1970 00:00:00 GMT", 1_000),
            ]
        )
    },
    "wrong-tls": Case({"do": "wrong_tls"}, "retry", "not sent: certificate refused"),
}


def script() -> list[dict[str, Any]]:
    """Return all cases, each told by its path; the wrong certificate by its host."""
    return [
        case.act | ({"host": STRANGE} if name == "wrong-tls" else {"path": f"/{name}."})
        for name, case in CASES.items()
    ]


class Told(NamedTuple):
    """What the process that sent says of one case."""

    answer: str
    reason: str
    retry_after: int | None
    seconds: float
    deadline: float
    grown: float  # MB above what it held before, at the most


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The push service in a process of its own: what it throws must not slow down this one."""
    folder = tmp_path_factory.mktemp("service")
    file = service_script(folder / "script.json", script())
    command = [sys.executable, "-m", "pushctl.demo.pushservice", "--no-checks"]
    command += ["--folder", str(folder / "push"), "--script", str(file)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()


@pytest.fixture(scope="module", params=[2, 1], ids=["HTTP/2", "HTTP/1.1"])
def told(
    request: pytest.FixtureRequest,
    service: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Told]:
    """Have a fresh process send a letter to every case; return what it says."""
    wish = {
        "http": request.param,
        "folder": str(tmp_path_factory.mktemp("hostile")),
        "hosts": service["hosts"],
        "ca": service["ca"],
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.push.test_hostile_answers", json.dumps(wish)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return {name: Told(*values) for name, values in json.loads(done.stdout).items()}


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_answer_is_bounded_and_means_what_is_known(
    told: dict[str, Told], name: str
) -> None:
    case, found = CASES[name], told[name]
    assert found.seconds < found.deadline + SPARE
    assert found.grown < MOST_MEMORY
    if case.answer:
        assert found.answer == case.answer
        assert found.retry_after == case.retry_after
        assert case.reason in ("", found.reason)
    else:  # how many headers libcurl takes differs with HTTP's version
        assert found.answer in ("accepted", "in_doubt")


def test_no_redirect_was_followed(told: dict[str, Told], service: dict[str, Any]) -> None:
    paths = [
        one["path"] for one in get(service["control"], "/control/receipts").json()["receipts"]
    ]
    assert sum("/redirect-" in path for path in paths) >= 5
    assert not any("elsewhere" in path for path in paths)


# --- the process that sends ---------------------------------------------------------------


def main(wish: dict[str, Any]) -> dict[str, Told]:
    import pycurl

    key = vapid.read(vapid.create())
    box = Postbox(
        contact="mailto:push@shop.example",
        keys={key.id: key.pem},
        journal=Path(wish["folder"]) / "journal",
        run="1",
        allowed_hosts=(MOZILLA, STRANGE),
        loopback=wish["hosts"],
        loopback_ca=Path(wish["ca"]),
    )
    version = {1: pycurl.CURL_HTTP_VERSION_1_1, 2: pycurl.CURL_HTTP_VERSION_2TLS}[wish["http"]]
    assert send("warm", box, key.id, version, 30.0).answer == "accepted"
    found = {}
    for name, case in CASES.items():
        for deadline in DEADLINES:
            found[name] = send(name, box, key.id, version, deadline)
            if found[name].reason != "timeout" or case.answer in ("", found[name].answer):
                break
    return found


def send(name: str, box: Postbox, key: str, version: int, deadline: float) -> Told:
    """Send one letter over HTTP *version* to the service's case *name*."""
    import pycurl

    box = replace(box, timeout=deadline, run=name)
    transport = chunk.open_sender(box).transport
    transport.options = [
        (option, version if option == pycurl.HTTP_VERSION else value)
        for option, value in transport.options
    ]
    host = STRANGE if name == "wrong-tls" else MOZILLA
    endpoint = f"https://{host}/wpush/v2/{name}."
    letter = Letter(1, endpoint, p256dh(1), auth(1), key, b"{}", 60, "normal", None)
    held = forget_peak()
    began = time.perf_counter()
    (outcome,) = send_chunk([letter], box)
    seconds = time.perf_counter() - began
    grown = memory("VmHWM") - held
    return Told(outcome.answer, outcome.reason, outcome.retry_after, seconds, deadline, grown)


def memory(name: str) -> float:
    """Return what this process holds (VmRSS) or held at the most (VmHWM), in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1000
    raise KeyError(name)


def forget_peak() -> float:
    """Begin to measure VmHWM anew; return what is held now."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
