"""
The same job for pushctl and its peers, side by side in one run.

    ./run python benchmarks/send.py [--messages 20000] [--repeat 5] [--json]
    ./run python benchmarks/send.py --messages 300000 --repeat 1 --delay 0 --without-peers

Every sender gets the same real subscriptions, a personalised message of about 200
bytes, and nginx with TLS and HTTP/2 on the same cores. pushctl does all its work (reads
the database, renders, commits each intent and each outcome); the peers only encrypt
and send. Speed of a shared machine drifts: read the ratios, not the rates. Rates are medians
of the rounds; CPU is the least of them, because other work on the machine only adds to it.

C is what OpenSSL's key agreement and key pair alone cost on one core, in CPU time, while
the other cores do the same; L = cores / C is the rate that they allow.

Needs nginx with its echo module; for the peers node, npm and pip.
"""

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.project import Project
from benchmarks.sink import Sink

HERE = Path(__file__).parent
ENCODERS = {"pushctl": "direct", "pushctl_fast": "fast", "pushctl_turbo": "turbo"}
GOALS = {"pushctl_fast": 1.8, "pushctl_turbo": 1.1}  # CPU a message at 300,000, in C
NPM = ("web-push@3.6.7", "webpush-webcrypto@1.0.5")
PYPI = "webpush-rs==0.1.4"
PEERS = {
    "pywebpush_async": (sys.executable, "peers.py", "async"),
    "pywebpush_loop": (sys.executable, "peers.py", "loop"),
    "webpush_rs": (sys.executable, "peers.py", "rust"),
    "web_push_node": ("node", "web_push.mjs", "web-push"),
    "webpush_webcrypto": ("node", "web_push.mjs", "webpush-webcrypto"),
}

# How many of the job's messages a slow peer sends: its rate doesn't depend on the
# number, and 18 messages a second would keep the run busy for hours.
SHARE = {("pywebpush_loop", 0.0): 0.1, ("pywebpush_loop", 0.05): 0.01}


def measure_limit(seconds: int = 2) -> float:
    """
    Return C: a message's key agreement and key pair alone, in seconds of one core's CPU.

    1/ecdh + 1/sign: a key pair costs about as much as a signature. On all cores at once,
    because two of them may be threads of one.
    """
    return sum(1 / _measure_rate(name, seconds) for name in ("ecdhp256", "ecdsap256"))


def _measure_rate(name: str, seconds: int) -> float:
    """Return operations a second of CPU time, the mean of all cores at once."""
    # Without -multi: that counts time on the clock, which others' work would stretch.
    command = ["openssl", "speed", "-seconds", str(seconds), name]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in os.sched_getaffinity(0)
    ]
    rates = []
    for each in running:
        out, fault = each.communicate()
        if each.returncode:
            raise SystemExit(f"{' '.join(command)}:\n{fault[-500:]}")
        figures = re.findall(r"([\d.]+)", out.strip().splitlines()[-1].split(")")[-1])
        # "op/s" for ECDH stands last; "sign/s" for ECDSA stands last but one.
        rates.append(float(figures[-1 if name == "ecdhp256" else -2]))
    return statistics.mean(rates)


def peer(name: str, job: Path, modules: Path) -> dict:
    """Run one peer in a process of its own; return its figures."""
    program, file, kind = PEERS[name]
    ca = json.loads(job.read_text())["ca"]
    environment = os.environ | {"NODE_EXTRA_CA_CERTS": ca, "SSL_CERT_FILE": ""}
    if name == "webpush_rs":  # OpenSSL's own variable is the only way to give it a CA
        environment |= {"SSL_CERT_FILE": ca, "PYTHONPATH": str(modules / "python")}
    command = [program, str(HERE / file), kind, str(job)]
    out = subprocess.run(command, capture_output=True, text=True, env=environment)
    if out.returncode:
        raise SystemExit(f"{name} failed:\n{out.stderr[-2000:]}")
    figures: dict = json.loads(out.stdout.strip().splitlines()[-1])
    if figures["failed"]:
        raise SystemExit(f"{name}: {figures['failed']} messages were not accepted")
    return figures


def measure(project: Project, delay: float, options: argparse.Namespace, modules: Path) -> dict:
    """Return the figures of every sender against a sink with *delay* seconds."""
    faults = find_faults()
    senders = [name for name, encoder in ENCODERS.items() if faults[encoder] is None]
    if not options.without_peers:
        senders += PEERS
    taken: dict[str, list[dict]] = {name: [] for name in senders}
    limits = []
    with Sink(delay) as sink:
        for _ in range(options.repeat):
            limits.append(measure_limit())
            # Taking turns lets the machine's drift hit everybody alike.
            for name in random.sample(senders, len(senders)):
                figures = send(name, project, sink, delay, options, modules)
                taken[name].append(figures)
                limits.append(measure_limit(1))
    limit = min(limits)
    ours = {name: runs for name, runs in taken.items() if name in ENCODERS}
    costs = {name: find_cost(runs, "cpu_seconds") for name, runs in taken.items()}
    rates = {name: find_rate(runs) for name, runs in taken.items()}
    return {
        "rates": rates | {"crypto_limit": round(len(os.sched_getaffinity(0)) / limit, 1)},
        "cpu_microseconds": costs | {"crypto_limit": round(limit * 1e6, 1)},
        "times_c": {name: round(cost / limit / 1e6, 2) for name, cost in costs.items()},
        "parent_microseconds": {
            name: find_cost(runs, "cpu_seconds_parent") for name, runs in ours.items()
        },
        "sink_microseconds": {
            name: find_cost(runs, "sink_cpu_seconds") for name, runs in taken.items()
        },
        "memory_mb": {
            name: [round(max(run[of] for run in runs)) for of in ("parent_mb", "worker_mb")]
            for name, runs in ours.items()
        },
    }


def send(
    name: str,
    project: Project,
    sink: Sink,
    delay: float,
    options: argparse.Namespace,
    modules: Path,
) -> dict:
    """Let one sender do the job once; return its figures."""
    before = sink.cpu_seconds()
    if name in ENCODERS:
        figures = project.send(sink, ENCODERS[name])
        if figures["failed"] or figures["sent"] != options.messages:
            raise SystemExit(f"{name}: not all were accepted: {figures['counts']}")
    else:
        count = int(options.messages * SHARE.get((name, delay), 1.0))
        figures = peer(name, project.job(sink, count, modules), modules)
    figures["sink_cpu_seconds"] = sink.cpu_seconds() - before
    rate, cpu = figures["sent"] / figures["seconds"], figures["cpu_seconds"] / figures["sent"]
    print(f"{name:18}{rate:9.0f}/s {cpu * 1e6:7.1f} us CPU", file=sys.stderr, flush=True)
    return figures


def find_rate(runs: list[dict]) -> float:
    """Return messages a second, the median of *runs*."""
    return round(statistics.median(run["sent"] / run["seconds"] for run in runs), 1)


def find_cost(runs: list[dict], of: str) -> float:
    """Return microseconds a message, the least of *runs*."""
    return round(min(run[of] / run["sent"] for run in runs) * 1e6, 1)


def find_faults() -> dict[str, str | None]:
    """Return why each encoder can't be used here; where it can't, a slower would send."""
    from pushctl.push import encoder

    return {name: encoder.prove(name) for name in ENCODERS.values()}


def ratios(rates: dict) -> dict:
    table = {}
    for ours in ENCODERS:
        if ours not in rates:
            continue
        for other, rate in rates.items():
            if other not in ENCODERS:
                table[f"{ours} / {other}"] = round(rates[ours] / rate, 2)
    return table


def install_peers(modules: Path) -> None:
    modules.mkdir()
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    for command in (
        ["npm", "install", "--silent", "--prefix", str(modules), *NPM],
        [*pip, "--target", str(modules / "python"), PYPI],
    ):
        subprocess.run(command, check=True, stdout=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--delay", type=float, action="append", help="seconds; default 0, 0.05")
    parser.add_argument("--without-peers", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pushctl-bench-") as folder:
        modules = Path(folder) / "peers"
        if not options.without_peers:
            install_peers(modules)
        project = Project(Path(folder), options.messages)
        results = {
            delay: measure(project, delay, options, modules)
            for delay in options.delay or [0.0, 0.05]
        }
    report = make_report(results, options)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        show(report)


def make_report(results: dict[float, dict], options: argparse.Namespace) -> dict:
    first = results[min(results)]
    faults = find_faults()
    return first | {
        "ratios": ratios(first["rates"]),
        "by_delay": {
            f"{delay * 1000:.0f} ms": result | {"ratios": ratios(result["rates"])}
            for delay, result in results.items()
        },
        "circumstances": {
            "messages": options.messages,
            "repeat": options.repeat,
            "cores": len(os.sched_getaffinity(0)),
            "processor": processor(),
            "load": round(os.getloadavg()[0], 1),
            **{name: faults[name] or "here" for name in ("turbo", "fast")},
            "python": sys.version.split()[0],
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        },
    }


def processor() -> str:
    text = Path("/proc/cpuinfo").read_text()
    match = re.search(r"model name\s*:\s*(.+)", text)
    return match[1] if match else "unknown"


def show(report: dict) -> None:
    for name, fault in find_faults().items():
        if fault is not None:
            print(f"not measured: {name}: {fault}")
    for delay, result in report["by_delay"].items():
        print(f"\nlatency {delay}")
        for name, rate in result["rates"].items():
            line = f"  {name:18}{rate:>12,.0f} msg/s"
            line += f"{result['cpu_microseconds'][name]:>10.1f} us CPU"
            if (times := result["times_c"].get(name)) is not None:
                goal = f"; goal at 300,000: {GOALS[name]}" if name in GOALS else ""
                line += f"{times:>8.2f} C{goal}"
            if (parent := result["parent_microseconds"].get(name)) is not None:
                line += f"; {parent:.1f} us of it in the parent"
            print(line)
        for name, ratio in result["ratios"].items():
            print(f"  {name:40}{ratio:>8.2f}")


if __name__ == "__main__":
    main()
