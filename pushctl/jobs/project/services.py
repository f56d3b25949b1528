"""Write, remove and describe the systemd units of a project (``unit_files`` has their text)."""

import os
import pwd
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pushctl import durable
from pushctl.config import Config
from pushctl.errors import ConfigError, NotFoundError, Problem
from pushctl.jobs.project import unit_files
from pushctl.jobs.project.unit_files import Part, Place

_SYSTEM_UNITS = Path("/etc/systemd/system")


class State(StrEnum):
    MISSING = "not installed"
    CURRENT = "as written"
    OLD = "out of date"
    CHANGED = "changed by hand"


@dataclass(frozen=True, slots=True)
class Unit:
    file: Path
    text: str  # as it should be
    state: State

    @property
    def is_started(self) -> bool:
        """Whether this one is enabled and started; a timer starts the sweep's service."""
        return self.file.suffix == ".timer" or f"-{Part.SWEEP}-" not in self.file.name


@dataclass(frozen=True, slots=True)
class Manager:
    """One systemd: the machine's, or a user's own."""

    user: bool

    @property
    def folder(self) -> Path:
        """Where an administrator's or a person's own units stand."""
        return find_user_folder() if self.user else _SYSTEM_UNITS

    def call(self, *words: str) -> str:
        """Run systemctl; return what it prints. Raises ConfigError where it fails."""
        command = ["systemctl", *(["--user"] if self.user else []), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ConfigError(
                f"`{' '.join(command)}` failed: {done.stderr.strip()}. See `systemctl status` "
                "and `journalctl -xe`."
            )
        return done.stdout

    def is_running(self) -> bool:
        if not self.user:
            return Path("/run/systemd/system").is_dir()
        return (Path(f"/run/user/{os.getuid()}") / "systemd/private").exists()


def find_user_folder() -> Path:
    return Path.home() / ".config" / "systemd" / "user"


def list_folders() -> list[Path]:
    """Return all folders where units of a project may stand."""
    return [_SYSTEM_UNITS, find_user_folder()]


def find_program() -> list[str]:
    """Return the command of this pushctl: services have no virtual environment."""
    beside = Path(sys.executable).with_name("pushctl")
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "pushctl"]


def locate(config: Config, account: str | None, listen: str | None = None) -> Place:
    """
    Return what units of the project need to know.

    *account* runs units of the system; None: the units are a user's own. *listen* is the
    address of a receiver beside that of receiver.listen, which has no metrics.
    """
    own = config.receiver
    logs = () if config.log.file is None else (config.log.file.parent,)
    second = listen is not None and listen != own.listen
    addresses = [listen] if second else [own.listen, own.metrics]
    return Place(
        project=config.folder,
        program=find_program(),
        account=account,
        listen=[_parse_address(each) for each in addresses if each],
        writes=_list_writes(config),
        receiver_writes=(config.inbox, *logs),
        reads=_list_reads(config),
        hidden=_list_secrets(config),
        certificate=own.certificate is not None,
        second=second,
        cluster_port=_find_cluster_port(config),
    )


def _list_writes(config: Config) -> list[Path]:
    """Return the folders of sweep and watch outside the project's, also behind its links."""
    from pushctl.jobs.reports import schedule  # at need: it loads what makes campaigns

    folder, database = config.folder, config.database
    found = [database.parent, database.resolve().parent, config.inbox, config.keys]
    found += [config.journal, config.status, folder / schedule.FOLDER]
    if config.log.file is not None:
        found.append(config.log.file.parent)
    if config.approval is not None:
        found.append(config.approval.folder)
    if config.metrics.textfile is not None:
        found.append(config.metrics.textfile.parent)
    return _list_outside(folder, found)


def _list_reads(config: Config) -> list[Path]:
    """
    Return what lies outside the project: what settings name, and where links lead to.

    Python itself, too: a virtual environment in /opt may have one of somebody's home.
    """
    own, cluster = config.receiver, config.cluster
    files = [
        config.file, config.templates, own.certificate, own.certificate_key, own.geoip,
        cluster.ca, cluster.certificate, cluster.certificate_key, config.figures.rates,
        config.push.loopback.ca,
    ]  # fmt: skip
    programs = [step.exec for trigger in config.triggers.values() for step in trigger.steps]
    programs += [alert.exec for alert in config.alerts]
    named = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable)]
    named += [file for file in files if file is not None]
    named += [config.folder / words[0] for words in programs if words]
    return _list_outside(config.folder, named)


def _list_outside(folder: Path, paths: Iterable[Path]) -> list[Path]:
    """Return those of *paths* that lie outside *folder*, and where links lead to outside it."""
    real = folder.resolve()
    found = [path for path in paths if not path.is_relative_to(folder)]
    found += [it for path in paths if not (it := path.resolve()).is_relative_to(real)]
    return list(dict.fromkeys(found))


def _find_cluster_port(config: Config) -> int | None:
    if config.cluster.scheduler is None:
        return None
    return _parse_address(config.cluster.listen)[1] if config.cluster.listen else 0


def locate_installed(config: Config, folder: Path, user: bool) -> list[Place]:
    """Return a place for what stands in *folder*: the project's own, then second receivers."""
    account = None if user else _read_account(config, folder)
    name = unit_files.name_unit(Part.RECEIVE, config.folder)
    places = [locate(config, account)]
    for file in sorted(folder.glob(f"{name}-*.service")):
        if found := re.search(r" --listen (\S+)", file.read_text("utf-8", "replace")):
            places.append(locate(config, account, found[1].rstrip('"')))
    return places


def _read_account(config: Config, folder: Path) -> str:
    """Return the account of the units that are there, else the owner of the project."""
    for part in Part:
        file = folder / f"{unit_files.name_unit(part, config.folder)}.service"
        with suppress(OSError):
            found = re.search(r"^User=(\S+)$", file.read_text("utf-8", "replace"), re.M)
            if found:
                return found[1]
    owner = config.folder.stat().st_uid
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return str(owner)


def _list_secrets(config: Config) -> list[Path]:
    """Return what the receiver has no need of: people, and keys that sign and send."""
    # SQLite writes its log beside the database itself, wherever a link to that stands.
    databases = dict.fromkeys((config.database, config.database.resolve()))
    names = [each.with_name(f"{each.name}{end}") for each in databases for end in ("", "-wal")]
    private = sorted(config.keys.glob("vapid-*.pem"))
    return [*names, config.keys / "secret", config.keys / "email_secret", *private]


def _parse_address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def choose_account(config: Config, given: str | None) -> str:
    """
    Return the account that runs units of the system: *given*, else the folder's owner.

    Raises ConfigError for root, and for one that is not there or can't run this program.
    """
    owner = config.folder.stat().st_uid
    try:
        found = pwd.getpwnam(given) if given else pwd.getpwuid(owner)
    except KeyError:
        raise ConfigError(
            f"there is no account {given or owner}. Make one: adduser --system --group pushctl"
        ) from None
    if found.pw_uid == 0:
        raise ConfigError(
            f"{config.folder} belongs to root, and pushctl needs none of its rights. Make an "
            "account (adduser --system --group pushctl), give it the folder (chown -R "
            f"pushctl: {config.folder}), or name another one with --account."
        )
    check_reach(found)
    return found.pw_name


def check_reach(account: pwd.struct_passwd) -> None:
    """Raise ConfigError where *account* can't reach this program or its Python."""
    # An environment in /opt may have the Python of somebody's home, as uv makes them.
    for program in (Path(find_program()[0]), Path(sys.executable)):
        for folder in program.resolve().parents:
            found = folder.stat()
            mine = found.st_uid == account.pw_uid or found.st_gid == account.pw_gid
            if not found.st_mode & 0o001 and not mine:
                raise ConfigError(
                    f"{account.pw_name} can't run {program}: {folder} is closed to others. "
                    "Install pushctl and its Python where all may read them, e.g. in "
                    "/opt/pushctl (docs/server.md)."
                )


def plan(place: Place, parts: Sequence[Part], folder: Path) -> list[Unit]:
    """Return each unit of *parts* and how its file in *folder* compares with it."""
    texts = unit_files.render(place, parts)
    return [
        Unit(folder / name, text, _judge(folder / name, text)) for name, text in texts.items()
    ]


def _judge(file: Path, text: str) -> State:
    try:
        found = file.read_text("utf-8", "replace")
    except FileNotFoundError:
        return State.MISSING
    if found == text:
        return State.CURRENT
    return State.OLD if unit_files.is_sealed(found) else State.CHANGED


def write(planned: Sequence[Unit], even_changed: bool = False) -> list[Path]:
    """
    Write what is missing or out of date; return those files.

    Raises ConfigError, and writes nothing, where one was changed by hand; *even_changed*
    takes it all the same.
    """
    _refuse_changed(planned, even_changed)
    stale = [unit for unit in planned if unit.state is not State.CURRENT]
    for unit in stale:
        unit.file.parent.mkdir(parents=True, exist_ok=True)
        durable.replace(unit.file, unit.text.encode(), 0o644)
    return [unit.file for unit in stale]


def uninstall(
    manager: Manager | None, planned: Sequence[Unit], even_changed: bool = False
) -> list[Path]:
    """
    Stop the units that are there, remove them and return their files.

    *manager* is None where it does not run. ConfigError as in ``write``.
    """
    _refuse_changed(planned, even_changed)
    there = [unit.file for unit in planned if unit.state is not State.MISSING]
    if manager is not None and there:
        manager.call("disable", "--now", *(file.name for file in there))
    for file in there:
        # `systemctl disable` can't remove these links once the unit is gone.
        for link in file.parent.glob(f"*.wants/{file.name}"):
            link.unlink()
        file.unlink()
    if manager is not None:
        manager.call("daemon-reload")
    return there


def _refuse_changed(planned: Sequence[Unit], even_changed: bool) -> None:
    changed = [unit.file for unit in planned if unit.state is State.CHANGED]
    if changed and not even_changed:
        remedy = "Move your change into a drop-in (systemctl edit), or give --even-changed."
        raise ConfigError(
            "These units were changed by hand, or are not ours:",
            [Problem(str(file), State.CHANGED.value, remedy) for file in changed],
        )


def start(manager: Manager, planned: Sequence[Unit], written: Sequence[Path]) -> list[str]:
    """Enable and start the units; restart those *written* anew. Return their names."""
    manager.call("daemon-reload")
    names = [unit.file.name for unit in planned if unit.is_started]
    manager.call("enable", *names)
    again = [unit.file.name for unit in planned if unit.is_started and unit.file in written]
    # What runs already and was not written anew stays as it is.
    if again:
        manager.call("restart", *again)
    manager.call("start", *names)
    return names


def describe(manager: Manager, planned: Sequence[Unit]) -> Iterator[dict[str, str]]:
    """Yield each unit's name, how its file stands, and what systemd says of it."""
    running = manager.is_running()
    for unit in planned:
        active = ""
        if running and unit.state is not State.MISSING:
            shown = manager.call("show", "--property=ActiveState,SubState", unit.file.name)
            values = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
            active = f"{values.get('ActiveState', '')} ({values.get('SubState', '')})"
        yield {"unit": unit.file.name, "file": unit.state.value, "active": active}


def check_rights(folder: Path) -> None:
    """Raise ConfigError where this person may not write units of the system."""
    if folder == _SYSTEM_UNITS and os.geteuid() != 0:
        raise ConfigError(
            f"only root can write to {folder}. Run it as root (sudo), or give --user for "
            "units of your own account."
        )


def check_any(planned: Sequence[Unit]) -> None:
    """Raise NotFoundError where none of the units is there."""
    if all(unit.state is State.MISSING for unit in planned):
        raise NotFoundError("no unit of this project is installed there")
