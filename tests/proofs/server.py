"""
From an empty Debian to a running server by docs/server.md alone, under a real systemd.

    ./run python -m tests.proofs.server [--release bookworm] [--mirror URL]

It needs root, debootstrap and ten minutes. It makes a fresh root, starts systemd there in
namespaces of its own, builds the Debian package and installs it, and runs the commands of
the page's chapters 1, 2, 3 and 5 as they stand. Three visitors with real keys have subscribed
at the receiver by then, with a push service on loopback; each has to read the campaign, and
one more that the watch's own unit sends. Then it asks from inside each unit's walls what can
be done there. The proxy (chapter 4) needs a public name and is left out.
"""

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import ROOT

CHAPTERS = ("1. Program and account", "2. The project", "3. The services", "5. The first")

# systemd has to be process 1, and its root a real one: in a chroot no process may make a
# user namespace.
BOOT = """
set -e
mount --make-rprivate /
mount --bind {root} {root}
mount -t proc proc {root}/proc
mount --rbind /sys {root}/sys
mount -t tmpfs tmpfs {root}/run
mount -t tmpfs tmpfs {root}/tmp
mount -t tmpfs -o mode=755 tmpfs {root}/sys/fs/cgroup
mount -t cgroup2 cgroup2 {root}/sys/fs/cgroup
mount --rbind /dev {root}/dev
cd {root}
mkdir -p old
pivot_root . old
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -c \
    'umount -l /old; exec /lib/systemd/systemd --system'
"""

VARIABLES = (
    "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive",
)  # fmt: skip

# What each part tries inside its own walls, and may (True) or may not do.
PROBE = r"""
import glob, json, os, socket, sys
def listen():
    with socket.socket() as s: s.bind(("127.0.0.1", 9999)); s.listen()
def connect(): socket.create_connection(("127.0.0.1", 8750), 2).close()
def send_datagram():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s: s.sendto(b"x", ("127.0.0.1", 9))
def read(pattern): return lambda: open(glob.glob("/srv/pushctl/" + pattern)[0], "rb").read(1)
def write(path):
    def attempt(): open(path, "wb").close(); os.unlink(path)
    return attempt
tried = {"connect": connect, "datagram": send_datagram, "listen elsewhere": listen,
  "read database": read("pushctl.db"), "read secret": read("keys/secret"),
  "read private key": read("keys/vapid-*.pem"), "write inbox": write("/srv/pushctl/inbox/x"),
  "write project": write("/srv/pushctl/x"), "write /etc": write("/etc/x")}
found = {}
for name, attempt in tried.items():
    try: attempt(); found[name] = True
    except OSError: found[name] = False
print("walls", json.dumps(found), flush=True)
"""
WALLS = {
    "receive": {"write inbox"},
    "sweep": {
        "connect", "datagram", "read database", "read secret", "read private key",
        "write inbox", "write project",
    },
}  # fmt: skip
WALLS["watch"] = WALLS["sweep"]
# Visitors and their push service, as the account that has the project. What they read is
# written as a line for each message.
VISITORS = r"""
import random, sys
from pathlib import Path
from pushctl.demo import people
from pushctl.demo.crowd import ReceiverClient
from pushctl.demo.pushservice import PushService
from pushctl.demo.story import _configure_loopback
project, key = Path("/srv/pushctl"), sys.argv[1]
with PushService(project / "push-service") as service, open("/srv/read/lines", "w") as lines:
    _configure_loopback(service, project / "pushctl.toml")
    client = ReceiverClient("http://127.0.0.1:8750", "https://shop.example")
    messages, persons = service.deliveries(), {}
    for person in people.make_people(3, random.Random(7)):
        person.endpoint = service.subscribe(person.service, key)
        persons[person.endpoint] = person
        client.post(person, *person.subscribe(key), signed=False)
    print("subscribed", file=lines, flush=True)
    while True:
        message = messages.get()
        person = persons[message.endpoint]
        title = person.decrypt(message.body)["title"]
        print("read", person.number, title, file=lines, flush=True)
"""

# Debian 12's systemd is built without the part that bounds ports.
DEPENDS_ON_SYSTEMD = {("receive", "listen elsewhere")}


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--release", default="bookworm")
    options.add_argument("--mirror", help="default: the first of this machine's")
    options.add_argument("--package", type=Path, help="a package that is built already")
    given = options.parse_args()
    refuse_busy_port()
    with tempfile.TemporaryDirectory(prefix="pushctl-server-") as folder:
        root = Path(folder) / "root"
        package = given.package or build(Path(folder))
        say("making a fresh root")
        include = "systemd,systemd-sysv,adduser,python3"
        make = ["debootstrap", "--variant=minbase", f"--include={include}"]
        run([*make, given.release, str(root), given.mirror or find_mirror()])
        (root / "root" / "pushctl_0.1.0_amd64.deb").write_bytes(package.read_bytes())
        with boot(root) as inside:
            walk(inside)
            result = judge(inside)
    print(json.dumps(result))
    return 1 if result["faults"] else 0


def refuse_busy_port() -> None:
    """Raise SystemExit where the receiver could not listen: the ports inside are ours."""
    try:
        socket.create_server(("127.0.0.1", 8750)).close()
    except OSError as error:
        raise SystemExit(
            f"127.0.0.1:8750 can't be had: {error.strerror}. The page's receiver needs it: end "
            "what listens there, then run this again."
        ) from None


def build(folder: Path) -> Path:
    say("building the package")
    run([sys.executable, str(ROOT / "sample/debian/build.py"), str(folder / "dist")])
    return next((folder / "dist").glob("*.deb"))


def find_mirror() -> str:
    found = run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian"]
    ).split()
    # Of security there is a mirror of its own.
    return next(address for address in found if "security" not in address)


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


class Inside:
    """The machine that runs in *root*."""

    def __init__(self, pid: int) -> None:
        self._enter = ["nsenter", "-t", str(pid), "-m", "-p", "-r", "-w", "-u", "-i", "-C"]

    def run(self, script: str, check: bool = True) -> str:
        command = [*self._enter, "env", "-i", *VARIABLES, "sh", "-eu", "-c", script]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL
        )
        if check and done.returncode:
            raise SystemExit(f"{script}\nfailed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout + done.stderr


@contextmanager
def boot(root: Path) -> Iterator[Inside]:
    """Start systemd in *root* in namespaces of its own; end all of it afterwards."""
    say("starting systemd")
    spaces = ["--pid", "--mount", "--cgroup", "--uts", "--ipc", "--fork", "--kill-child"]
    machine = subprocess.Popen(
        ["unshare", *spaces, "sh", "-c", BOOT.format(root=root)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield Inside(_find_init(machine))
    finally:
        os.killpg(machine.pid, signal.SIGKILL)
        machine.wait()


def _find_init(machine: "subprocess.Popen[bytes]") -> int:
    """Return systemd's own pid, once it runs and has done what it does at a start."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        tasks = Path(f"/proc/{machine.pid}/task/{machine.pid}")
        children = (tasks / "children").read_text().split()
        if children and "systemd" in Path(f"/proc/{children[0]}/comm").read_text():
            state = Inside(int(children[0])).run(
                "systemctl is-system-running --wait", check=False
            )
            if state.strip() in ("running", "degraded"):
                return int(children[0])
        time.sleep(1)
    raise SystemExit("systemd did not start here: it needs root, and a kernel with cgroup2")


def walk(inside: Inside) -> None:
    """Run the commands of the page, as they stand."""
    page = (ROOT / "docs/server.md").read_text("utf-8")
    for chapter in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        if not chapter.startswith(CHAPTERS):
            continue
        for block in re.findall(r"```sh\n(.*?)```", chapter, re.DOTALL):
            say(chapter.partition("\n")[0])
            if chapter.startswith("5."):
                let_subscribe(inside)
                # At a terminal, because `send` asks; "y" answers.
                inside.run(f"cat >/srv/chapter <<'END'\nset -eu\n{block}\nEND")
                typed = "runuser -u pushctl -- script -qec 'sh /srv/chapter' /dev/null"
                block = f"cd /srv/pushctl\nyes | head -n 9 | {typed}"
            text = "apt-get update -qq\n" * chapter.startswith("1.")
            told = inside.run(
                text + "cd /root\n" + block.replace("apt install", "apt install -qy")
            )
            print(told[-1500:], file=sys.stderr)


def let_subscribe(inside: Inside) -> None:
    """Have three visitors subscribe, as they would from the shop's pages."""
    say("visitors subscribe")
    inside.run(f"""
cat > /srv/visitors.py <<'VISITORS'
{VISITORS}
VISITORS
install -d -o pushctl /srv/read
key=$(pushctl --project /srv/pushctl keys show --json |
    python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["public"])')
systemd-run -q --uid=pushctl --unit=visitors /opt/pushctl/bin/python /srv/visitors.py "$key"
for second in $(seq 60); do
    grep -q subscribed /srv/read/lines 2>/dev/null && exit 0
    sleep 1
done
journalctl -u visitors -u 'pushctl-receive-*' --no-pager
exit 1
""")


def judge_messages(inside: Inside) -> tuple[dict[str, int], list[str]]:
    """Return how often each title was read, and who did not read each campaign once."""
    faults = []
    inside.run(
        "cd /srv/pushctl; runuser -u pushctl -- pushctl send --everyone --again --yes"
        " --template welcome --at 'in 1 minute' --name later"
    )
    say("the watch's own unit sends")
    for _ in range(90):
        read = [it for it in inside.run("cat /srv/read/lines").splitlines() if "read" in it]
        if len(read) >= 6:
            break
        time.sleep(2)
    by_person = Counter(line.split()[1] for line in read)
    if by_person != {"0": 2, "1": 2, "2": 2}:
        units = (
            "journalctl -u 'pushctl-*' --no-pager -n 40; pushctl --project /srv/pushctl stats"
        )
        faults.append(f"read: {read}; {inside.run(units)}")
    return dict(Counter(line.split(maxsplit=2)[2] for line in read)), faults


def judge(inside: Inside) -> dict[str, object]:
    titles, faults = judge_messages(inside)
    status = json.loads(inside.run("pushctl --project /srv/pushctl service status --json"))
    states = {row["unit"].split("-")[1] + row["unit"][-8:]: row["active"] for row in status}
    for row in status:
        if row["file"] != "as written" or row["active"].startswith("failed"):
            faults.append(f"{row['unit']}: {row}")
    code = "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8750/pushctl.js"
    page = inside.run(f"apt-get install -qy curl >/dev/null 2>&1; {code}")
    if not page.endswith("200"):
        faults.append(f"the receiver answered {page}")
    walls = {part: ask_walls(inside, part) for part in WALLS}
    for part, found in walls.items():
        for name, can in found.items():
            expected = name in WALLS[part]
            if can != expected and (part, name) not in DEPENDS_ON_SYSTEMD:
                faults.append(f"{part} can {'' if can else 'not '}{name}")
    scores = inside.run(
        "for unit in /etc/systemd/system/pushctl-*.service; do systemd-analyze security"
        " --offline=true --no-pager $unit | grep -o 'level for .*: [0-9.]*'; done"
    )
    owned = inside.run("find /srv/pushctl ! -user pushctl").strip()
    if owned:
        faults.append(f"not the account's: {owned}")
    again = inside.run("pushctl --project /srv/pushctl service install")
    if "wrote" in again:
        faults.append(f"a second install wrote: {again}")
    inside.run("pushctl --project /srv/pushctl service uninstall; apt-get purge -qy pushctl")
    left = inside.run("ls /etc/systemd/system | grep pushctl; ls -d /opt/pushctl", check=False)
    if "pushctl" in left.replace("No such file", "").replace("'/opt/pushctl'", ""):
        faults.append(f"left behind: {left}")
    return {
        "read": titles,
        "states": states,
        "scores": re.findall(r"pushctl-(\w+)-.*: ([0-9.]+)", scores),
        "walls": walls,
        "project_kept": "pushctl.db" in inside.run("ls /srv/pushctl"),
        "faults": faults,
    }


def ask_walls(inside: Inside, part: str) -> dict[str, bool]:
    """Run the probe in the place of a unit's program, with all else as it is."""
    script = f"""
cat > /srv/probe.py <<'PROBE'
{PROBE}
PROBE
mkdir -p /run/systemd/system
sed -e 's|^ExecStart=.*|ExecStart=/usr/bin/python3 /srv/probe.py|' \\
    -e 's/^Type=.*/Type=oneshot/' -e '/^Restart/d' \\
    /etc/systemd/system/pushctl-{part}-*.service \\
    > /run/systemd/system/walls-{part}.service
systemctl daemon-reload
systemctl start walls-{part}
journalctl -u walls-{part} --no-pager -o cat | grep ^walls
"""
    found: dict[str, bool] = json.loads(
        inside.run(script).partition("walls ")[2].split("\n")[0]
    )
    return found


if __name__ == "__main__":
    sys.exit(main())
