"""
The same job for pushctl and its peers, side by side in one run.

    ./run python benchmarks/send.py [--messages 20000] [--repeat 5] [--json]

Every sender gets the same real subscriptions, a personalised message of about 200
bytes, and nginx with TLS and HTTP/2 on the same cores. pushctl does all its work (reads
the database, renders, commits each intent and each outcome); the peers only encrypt
and send. Speed of a shared machine drifts: read the ratios, not the rates.

Needs nginx with its echo module, node and npm (for the peer web-push).
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

# How many of the job's messages a slow peer sends: its rate doesn't depend on the
# number, and 18 messages a second would keep the run busy for hours.
SHARE = {("pywebpush_loop", 0.0): 0.1, ("pywebpush_loop", 0.05): 0.01}


def crypto_limit(seconds: int = 2) -> float:
    """
    Return messages a second that the cores' key agreements and key generations allow.

    L = 1 / (1/ecdh + 1/sign) over all cores: each message needs one key agreement
    and one key pair, which costs about as much as a signature.
    """
    cores = str(len(os.sched_getaffinity(0)))
    rates = {}
    for name in ("ecdhp256", "ecdsap256"):
        command = ["openssl", "speed", "-seconds", str(seconds), "-multi", cores, name]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        figures = re.findall(r"([\d.]+)", out.strip().splitlines()[-1].split(")")[-1])
        # "op/s" for ECDH stands last; "sign/s" for ECDSA stands last but one.
        rates[name] = float(figures[-1 if name == "ecdhp256" else -2])
    return 1 / (1 / rates["ecdhp256"] + 1 / rates["ecdsap256"])


def peer(name: str, job: Path, modules: Path) -> dict:
    """Run one peer in a process of its own; return its figures."""
    if name == "web_push_node":
        command = ["node", str(HERE / "web_push.mjs"), str(job)]
    else:
        command = [sys.executable, str(HERE / "peers.py"), name.removeprefix("pywebpush_")]
        command.append(str(job))
    details = json.loads(job.read_text())
    environment = os.environ | {"NODE_EXTRA_CA_CERTS": details["ca"], "SSL_CERT_FILE": ""}
    out = subprocess.run(command, capture_output=True, text=True, env=environment)
    if out.returncode:
        raise SystemExit(f"{name} failed:\n{out.stderr[-2000:]}")
    figures: dict = json.loads(out.stdout.strip().splitlines()[-1])
    if figures["failed"]:
        raise SystemExit(f"{name}: {figures['failed']} messages were not accepted")
    return figures


def measure(project: Project, delay: float, options: argparse.Namespace, modules: Path) -> dict:
    """Return the medians of every sender against a sink with *delay* seconds."""
    senders = ["pushctl", "pywebpush_async", "web_push_node", "pywebpush_loop"]
    if turbo_fault() is None:
        senders.append("pushctl_turbo")
    taken: dict[str, list[dict]] = {name: [] for name in senders}
    limits = []
    with Sink(delay) as sink:
        for _ in range(options.repeat):
            limits.append(crypto_limit())
            # Taking turns lets the machine's drift hit everybody alike.
            for name in random.sample(senders, len(senders)):
                before = sink.cpu_seconds()
                if name.startswith("pushctl"):
                    encoder = "turbo" if name.endswith("turbo") else "direct"
                    figures = project.send(sink, encoder)
                else:
                    count = int(options.messages * SHARE.get((name, delay), 1.0))
                    figures = peer(name, project.job(sink, count, modules), modules)
                figures["sink_cpu_seconds"] = sink.cpu_seconds() - before
                taken[name].append(figures)
                print(
                    f"{name:16} {figures['sent'] / figures['seconds']:9.0f}/s", file=sys.stderr
                )
    rates = {
        name: round(statistics.median(f["sent"] / f["seconds"] for f in runs), 1)
        for name, runs in taken.items()
    }
    rates["crypto_limit"] = round(statistics.median(limits), 1)
    cpu = {
        name: round(statistics.median(f["cpu_seconds"] / f["sent"] * 1e6 for f in runs), 1)
        for name, runs in taken.items()
    }
    return {"rates": rates, "cpu_microseconds": cpu}


def turbo_fault() -> str | None:
    """Return why the fast encoder can't be used here; where it can't, plain would be sent."""
    from pushctl.push import encoder

    return encoder.prove("turbo")


def ratios(rates: dict) -> dict:
    table = {}
    for ours in ("pushctl", "pushctl_turbo"):
        if ours not in rates:
            continue
        for other, rate in rates.items():
            if not other.startswith("pushctl"):
                table[f"{ours} / {other}"] = round(rates[ours] / rate, 2)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--delay", type=float, action="append", help="seconds; default 0, 0.05")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pushctl-bench-") as folder:
        modules = Path(folder) / "node"
        modules.mkdir()
        subprocess.run(
            ["npm", "install", "--silent", "--prefix", str(modules), "web-push@3.6.7"],
            check=True,
            stdout=sys.stderr,
        )
        project = Project(Path(folder), options.messages)
        results = {
            delay: measure(project, delay, options, modules)
            for delay in options.delay or [0.0, 0.05]
        }
    first = results[min(results)]
    report = {
        "rates": first["rates"],
        "ratios": ratios(first["rates"]),
        "cpu_microseconds": first["cpu_microseconds"],
        "by_delay": {
            f"{delay * 1000:.0f} ms": result | {"ratios": ratios(result["rates"])}
            for delay, result in results.items()
        },
        "circumstances": {
            "messages": options.messages,
            "repeat": options.repeat,
            "cores": len(os.sched_getaffinity(0)),
            "processor": processor(),
            "turbo": "here" if turbo_fault() is None else f"not here: {turbo_fault()}",
            "python": sys.version.split()[0],
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        },
    }
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        show(report)


def processor() -> str:
    text = Path("/proc/cpuinfo").read_text()
    match = re.search(r"model name\s*:\s*(.+)", text)
    return match[1] if match else "unknown"


def show(report: dict) -> None:
    if (turbo := report["circumstances"]["turbo"]) != "here":
        print(f"pushctl_turbo: {turbo}")
    for delay, result in report["by_delay"].items():
        print(f"\nlatency {delay}")
        for name, rate in result["rates"].items():
            cpu = result["cpu_microseconds"].get(name)
            print(f"  {name:18}{rate:>12,.0f} msg/s" + (f"{cpu:>10.1f} us CPU" if cpu else ""))
        for name, ratio in result["ratios"].items():
            print(f"  {name:36}{ratio:>8.2f}")


if __name__ == "__main__":
    main()
