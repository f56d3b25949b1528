"""
The text of systemd units for the receiver, the sweep and the watch of one project.

Units of the system are closed in as far as each part's work allows: the receiver takes
connections and opens none, sweep and watch open connections and take none. The manager of a
single user can't lay file systems or addresses apart, so units for it have the filters of
system calls alone.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path

from pushctl.errors import InputError


class Part(StrEnum):
    RECEIVE = "receive"
    SWEEP = "sweep"
    WATCH = "watch"


@dataclass(frozen=True, slots=True)
class Place:
    """Whose units these are; all paths are absolute."""

    project: Path
    program: Sequence[str]  # the command of this pushctl, an absolute path first
    account: str | None  # None: units for a user's own manager
    listen: Sequence[tuple[str, int]] = (("127.0.0.1", 8750),)  # the receiver's, then metrics
    writes: Sequence[Path] = ()  # what sweep and watch write besides the project's folder
    receiver_writes: Sequence[Path] = ()  # the inbox, a log
    reads: Sequence[Path] = ()  # what any part reads outside the project's folder
    hidden: Sequence[Path] = ()  # what the receiver must not read
    certificate: bool = False  # whether the receiver has one of its own
    second: bool = False  # whether the receiver is one beside that of receiver.listen
    # where workers of a cluster reach sweep and watch; 0: at any port, None: there is none
    cluster_port: int | None = None


def name_unit(part: Part, project: Path, port: int | None = None) -> str:
    """Return the name of a unit without its ending; *port* is that of a second receiver."""
    slug = re.sub(r"[^a-z0-9]+", "-", project.name.lower()).strip("-")[:40]
    mark = hashlib.sha256(os.fsencode(project)).hexdigest()[:6]
    words = (f"pushctl-{part}", slug, mark, str(port or ""))
    return "-".join(filter(None, words))


def render(place: Place, parts: Iterable[Part]) -> dict[str, str]:
    """Return the text of each unit of *parts*, by file name."""
    found = {}
    for part in parts:
        second = place.second and part is Part.RECEIVE
        name = name_unit(part, place.project, place.listen[0][1] if second else None)
        lines = _RENDERERS[part](place)
        found[f"{name}.service"] = seal("\n".join(lines) + "\n")
        if part is Part.SWEEP:
            found[f"{name}.timer"] = seal(_render_timer(place))
    return found


_MARK = re.compile(r"^# pushctl: ([0-9a-f]{16})\n", re.MULTILINE)
_HEAD = """\
# Written by `pushctl service install`. To change it, write a drop-in: systemctl edit.
# pushctl: {}
"""


def seal(text: str) -> str:
    """Return *text* below a line with its hash, by which a later change is found."""
    return _HEAD.format(_hash(text)) + text


def is_sealed(text: str) -> bool:
    """Return whether *text* is as ``seal`` made it."""
    found = _MARK.search(text)
    return found is not None and seal(text[found.end() :]) == text


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _render_receiver(place: Place) -> list[str]:
    listen, *_ = place.listen
    words = ["receive", "--listen", _join_address(*listen)]
    reload = ["ExecReload=/bin/kill -HUP $MAINPID"] if place.certificate else []
    return [
        *_render_head(place, "receiver", "network.target"),
        "[Service]",
        "Type=exec",
        *_render_account(place),
        f"ExecStart={_render_line(place, *words)}",
        *reload,
        "Restart=always",
        "RestartSec=1",
        # So that a full table of files is the receiver's own bound, not the manager's.
        "LimitNOFILE=524288",
        "",
        "# It answers whoever calls, and calls nobody.",
        "RestrictAddressFamilies=AF_INET AF_INET6",
        *_FILTERS,
        "SystemCallFilter=~connect sendto sendmsg sendmmsg io_uring_setup",
        "MemoryDenyWriteExecute=true",
        *(_render_receiver_walls(place) if place.account else ()),
        *_render_install(place),
    ]


def _render_receiver_walls(place: Place) -> list[str]:
    ports = sorted({port for _, port in place.listen})
    low = any(port < 1024 for port in ports)
    local = all(_is_loopback(host) for host, _ in place.listen)
    right = "CAP_NET_BIND_SERVICE" if low else ""
    return [
        "SocketBindDeny=any",
        *(f"SocketBindAllow=tcp:{port}" for port in ports),
        # Behind a proxy of this machine nobody else needs an answer.
        *(["IPAddressDeny=any", "IPAddressAllow=localhost"] if local else []),
        "",
        *_render_walls(place),
        f"AmbientCapabilities={right}",
        f"CapabilityBoundingSet={right}",
        *([] if low else ["PrivateUsers=true"]),
        "ProcSubset=pid",
        *_render_paths("ReadWritePaths", place.receiver_writes),
        *_render_paths("InaccessiblePaths", place.hidden),
    ]


def _render_sweep(place: Place) -> list[str]:
    return [
        *_render_head(place, "sweep", "network-online.target"),
        "[Service]",
        "Type=oneshot",
        *_render_account(place),
        f"ExecStart={_render_line(place, 'sweep')}",
        "# 75: another sweep is at work; the next one comes in a minute.",
        "SuccessExitStatus=75",
        "Nice=5",
        "",
        *_render_sender_walls(place),
    ]


def _render_watch(place: Place) -> list[str]:
    return [
        *_render_head(place, "watch", "network-online.target"),
        "[Service]",
        "Type=exec",
        *_render_account(place),
        f"ExecStart={_render_line(place, 'sweep', '--watch')}",
        "Restart=always",
        "RestartSec=5",
        "# It ends its own processes, which finish what they have begun.",
        "KillMode=mixed",
        "TimeoutStopSec=40",
        "",
        *_render_sender_walls(place),
        *_render_install(place),
    ]


def _render_sender_walls(place: Place) -> list[str]:
    if place.cluster_port is None:
        calls, ports = ["listen", "accept", "accept4"], ["SocketBindDeny=any"]
        about = "# It calls push services and webhooks, and takes no connection."
    else:
        allow = f"SocketBindAllow=tcp:{place.cluster_port}"
        calls, ports = [], ["SocketBindDeny=any", allow] if place.cluster_port else []
        about = "# It calls push services and webhooks; the cluster's workers call it."
    lines = [
        about,
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
        *_FILTERS,
        f"SystemCallFilter=~{' '.join([*calls, 'io_uring_setup'])}",
    ]
    if place.account:
        lines += [
            *ports,
            "",
            *_render_walls(place),
            "AmbientCapabilities=",
            "CapabilityBoundingSet=",
            *_render_paths("ReadWritePaths", (place.project, *place.writes)),
        ]
    return lines


# What the kernel filters for each process alone: it needs no right to ask for that.
_FILTERS = (
    "UMask=0077",
    "NoNewPrivileges=true",
    "LockPersonality=true",
    "RestrictNamespaces=true",
    "RestrictRealtime=true",
    "RestrictSUIDSGID=true",
    "SystemCallArchitectures=native",
    "SystemCallErrorNumber=EPERM",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged",
)


def _render_walls(place: Place) -> list[str]:
    """Return what only the system's manager can do, alike for all parts."""
    homes = (Path("/home"), Path("/root"), Path("/run/user"))
    written = (*place.writes, *place.receiver_writes)
    used = (place.project, Path(place.program[0]), *written, *place.reads)
    at_home = any(path.is_relative_to(home) for path in used for home in homes)
    return [
        "ProtectSystem=strict",
        f"ProtectHome={'read-only' if at_home else 'true'}",
        "PrivateTmp=true",
        "PrivateDevices=true",
        "DevicePolicy=closed",
        "PrivateMounts=true",
        "ProtectClock=true",
        "ProtectControlGroups=true",
        "ProtectHostname=true",
        "ProtectKernelLogs=true",
        "ProtectKernelModules=true",
        "ProtectKernelTunables=true",
        "ProtectProc=invisible",
        "KeyringMode=private",
        "RemoveIPC=true",
    ]


def _render_head(place: Place, what: str, after: str) -> list[str]:
    # A user's manager knows no targets of the network.
    wants = [f"Wants={after}"] if after == "network-online.target" else []
    network = [*wants, f"After={after}"] if place.account else []
    described = _escape(str(place.project))
    return ["[Unit]", f"Description=pushctl {what} of {described}", *network, ""]


def _render_account(place: Place) -> list[str]:
    return [f"User={place.account}"] if place.account else []


def _render_install(place: Place) -> list[str]:
    target = "multi-user.target" if place.account else "default.target"
    return ["", "[Install]", f"WantedBy={target}"]


def _render_timer(place: Place) -> str:
    return f"""\
[Unit]
Description=pushctl sweep of {_escape(str(place.project))}, every minute

[Timer]
OnCalendar=*-*-* *:*:00
AccuracySec=1s
Persistent=true

[Install]
WantedBy=timers.target
"""


_RENDERERS = {
    Part.RECEIVE: _render_receiver,
    Part.SWEEP: _render_sweep,
    Part.WATCH: _render_watch,
}


def _render_line(place: Place, *words: str) -> str:
    every = [*place.program, "--project", str(place.project), *words]
    if re.search(r"[\"'\\$]", every[0]):
        # systemd takes no such program; as a word after the first it may be any.
        every.insert(0, "/usr/bin/env")
    return " ".join(_quote(word).replace("$", "$$") for word in every)


def _render_paths(name: str, paths: Iterable[Path]) -> list[str]:
    # "-": a path that is not there yet must not keep the unit from starting.
    return [f"{name}={_quote(f'-{path}')}" for path in dict.fromkeys(paths)]


def _quote(word: str) -> str:
    """Return *word* as one word of a unit (systemd.syntax(7), "Quoting")."""
    plain = _escape(word).replace('"', '\\"')
    return f'"{plain}"' if plain != word or re.search(r"[\s';]", word) else word


def _escape(text: str) -> str:
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise InputError("a path with a control character in it can't stand in a unit")
    try:
        text = os.fsencode(text).decode("utf-8")
    except UnicodeDecodeError:
        raise InputError("a path that is no UTF-8 can't stand in a unit") from None
    # systemd.unit(5): "%" begins a specifier.
    return text.replace("\\", "\\\\").replace("%", "%%")


def _join_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
