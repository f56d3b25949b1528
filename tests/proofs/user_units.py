"""
The units of `pushctl service install --user` run under a user's own systemd.

    ./run python -m tests.proofs.user_units

It needs root, to make namespaces, and a systemd on this machine. In a mount namespace of
its own another user's `systemd --user` gets a part of cgroup2. There the program installs and
starts its units: the receiver takes a visitor's subscription, the watch sends a campaign
that was planned for later, whatever is killed is started anew, and nothing stays behind.
"""

import argparse
import json
import os
import pwd
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from pushctl.demo.pushservice import PushService
from tests.support import ROOT, receiving, sending

# cgroup2 alone, a part of it for the user, and what says that systemd started this machine.
BOOT = """
set -e
mount --make-rprivate /
umount -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
part=/sys/fs/cgroup/pushctl-user-{uid}-$$
mkdir -p $part/init
chown -R {uid}:{gid} $part
echo $$ > $part/init/cgroup.procs
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/systemd/system /run/user/{uid}
chown {uid}:{gid} /run/user/{uid}
chmod 700 /run/user/{uid}
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME={home} XDG_RUNTIME_DIR=/run/user/{uid} \
    LANG=C.UTF-8 setpriv --reuid {uid} --regid {gid} --clear-groups --inh-caps=-all \
    {python} -B -m tests.proofs.user_units --inside
"""
# More than a sender of one process takes: the watch has to start others within its unit.
PEOPLE = 2_500
AGAIN = ("--everyone", "--again", "--template", "sale", "--yes", "--at", "in 1 minute")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--account", default="daemon", help="whose units they are")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        return judge(Path.home())
    account = pwd.getpwnam(given.account)
    with tempfile.TemporaryDirectory(prefix="pushctl-units-") as folder:
        os.chown(folder, account.pw_uid, account.pw_gid)
        script = BOOT.format(
            uid=account.pw_uid, gid=account.pw_gid, home=folder, python=sys.executable
        )
        spaces = ["--mount", "--pid", "--mount-proc", "--fork", "--kill-child"]
        return subprocess.run(
            ["unshare", *spaces, "sh", "-c", script], cwd=ROOT, check=False
        ).returncode


def judge(home: Path) -> int:
    """Do everything as the user; print what was found, return 1 where something is wrong."""
    manager = subprocess.Popen(
        ["/lib/systemd/systemd", "--user"], stdout=subprocess.DEVNULL, stderr=sys.stderr
    )
    try:
        wait_for(
            lambda: call("systemctl", "--user", "is-system-running") == "running",
            "systemd does not start here: it needs root, and a kernel with cgroup2",
        )
        with PushService(home / "push", checks=False) as service:
            found = walk(home, service)
    finally:
        manager.terminate()
        manager.wait()
    print(json.dumps(found))
    return 1 if found["faults"] else 0


def walk(home: Path, service: PushService) -> dict[str, Any]:
    """Install, use, kill and remove the units of a project in *home*."""
    folder, port = home / "project", receiving.free_port()
    field = sending.field(folder, service)
    sending.lead_to(folder, service)
    settings = folder / "pushctl.toml"
    listen = f'[receiver]\nlisten = "127.0.0.1:{port}"'
    settings.write_text(settings.read_text().replace("[receiver]", listen, 1))
    field.people(PEOPLE, now=sending.soon())
    field.store.close()
    faults: list[str] = []
    ask(folder, "service", "install", "--user")
    try:
        _use(folder, port, service, faults)
        states = list_states(folder)
        if set(states.values()) - {"active (running)", "active (waiting)", "inactive (dead)"}:
            faults.append(f"states: {states}")
        if "wrote" in (again := ask(folder, "service", "install", "--user")):
            faults.append(f"a second install wrote: {again}")
    finally:
        ask(folder, "service", "uninstall", "--user")
    left = [str(one) for one in (home / ".config/systemd/user").rglob("*pushctl*")]
    faults += [f"left behind: {one}" for one in left]
    return {"read": len(service.receipts()), "states": states, "faults": faults}


def _use(folder: Path, port: int, service: PushService, faults: list[str]) -> None:
    wait_for(lambda: answers(port), "the receiver does not answer")
    for number, killed in enumerate((False, True), 1):
        if killed:
            kill_all(folder)
            wait_for(lambda: answers(port), "the killed receiver does not answer again")
        ask(folder, "send", *AGAIN, "--name", f"campaign-{number}")
        try:
            wait_for(partial(_have_read, service, number * PEOPLE), "not all was read")
        except SystemExit as error:
            faults.append(f"campaign {number}: {error}: {len(service.receipts())} read")
            faults.append(ask(folder, "campaigns", "show", f"campaign-{number}"))
    counts = {one.endpoint: 0 for one in service.receipts()}
    for one in service.receipts():
        counts[one.endpoint] += 1
    if any(count > 2 for count in counts.values()):
        faults.append("somebody read a campaign twice")


def _have_read(service: PushService, count: int) -> bool:
    return len(service.receipts()) >= count


def list_states(folder: Path) -> dict[str, str]:
    rows = json.loads(ask(folder, "service", "status", "--user", "--json"))
    return {row["unit"]: row["active"] for row in rows}


def kill_all(folder: Path) -> None:
    """Kill what the units run; systemd has to start it anew."""
    names = [name for name in list_states(folder) if name.endswith(".service")]
    call("systemctl", "--user", "kill", "--signal=KILL", *names)


def ask(folder: Path, *words: str) -> str:
    program = Path(sys.executable).with_name("pushctl")
    return call(str(program), "--project", str(folder), *words, check=True)


def call(*words: str, check: bool = False) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    if check and done.returncode:
        raise SystemExit(f"{words} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout.strip()


def answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/pushctl.js", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], why: str, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise SystemExit(why)
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
