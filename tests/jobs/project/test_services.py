"""systemd units: what they say, how safe they are, and that nobody's change is lost."""

import pwd
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pushctl import config as configs
from pushctl.errors import ConfigError, InputError
from pushctl.jobs.project import services, unit_files
from pushctl.jobs.project.services import Manager, State, Unit
from pushctl.jobs.project.unit_files import Part, Place
from tests.support import ROOT, project

# The server of docs/server.md.
SERVER = Place(
    project=Path("/srv/pushctl"),
    program=["/opt/pushctl/bin/pushctl"],
    account="pushctl",
    receiver_writes=[Path("/srv/pushctl/inbox")],
    hidden=[
        Path("/srv/pushctl/pushctl.db"),
        Path("/srv/pushctl/pushctl.db-wal"),
        Path("/srv/pushctl/keys/secret"),
        Path("/srv/pushctl/keys/email_secret"),
    ],
)
ODD = 'my "new" shop; 5% $off é\\'

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="there is no systemd-analyze here (Debian: apt install systemd)",
)


def plan(folder: Path, *parts: Part, place: Place = SERVER) -> list[Unit]:
    return services.plan(place, parts or list(Part), folder)


def get_service(place: Place, part: Part) -> str:
    (text,) = (
        text for name, text in unit_files.render(place, [part]).items() if "vice" in name
    )
    return text


def test_the_samples_are_what_the_command_writes() -> None:
    for name, text in unit_files.render(SERVER, list(Part)).items():
        part, ending = name.split("-")[1], name.rpartition(".")[2]
        assert (ROOT / f"sample/pushctl-{part}.{ending}").read_text() == text


@needs_systemd
@pytest.mark.parametrize(
    "place",
    [
        SERVER,
        replace(SERVER, listen=[("0.0.0.0", 443), ("10.0.0.7", 9750)], certificate=True),
        replace(SERVER, project=Path("/home/anna/shop")),
    ],
    ids=["behind a proxy", "on the web", "in a home"],
)
def test_every_unit_of_the_system_is_closed_in(place: Place, tmp_path: Path) -> None:
    files = [unit.file for unit in _written(tmp_path, place) if unit.file.suffix != ".timer"]
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=19", "--no-pager"]
    done = subprocess.run([*command, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr  # above 1.9 it fails
    assert done.stdout.count("Overall exposure level") == 3


@needs_systemd
def test_systemd_understands_units_of_any_path(tmp_path: Path) -> None:
    program, project = tmp_path / ODD / "bin" / "pushctl", tmp_path / ODD
    program.parent.mkdir(parents=True)
    program.symlink_to("/bin/true")
    place = replace(SERVER, project=project, program=[str(program)], account="root")
    files = [unit.file for unit in _written(tmp_path / "units", place)]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files], capture_output=True, text=True
    )
    ours = [line for line in done.stderr.splitlines() if "pushctl-" in line or ODD in line]
    assert (done.returncode, ours) == (0, [])


def _written(folder: Path, place: Place) -> list[Unit]:
    planned = services.plan(place, list(Part), folder)
    services.write(planned)
    return planned


def test_a_path_is_one_word_of_a_unit() -> None:
    text = get_service(replace(SERVER, project=Path(f"/srv/{ODD}")), Part.SWEEP)
    quoted = r'"/srv/my \"new\" shop; 5%% $$off é\\" sweep'
    assert f"ExecStart=/opt/pushctl/bin/pushctl --project {quoted}\n" in text
    assert r'ReadWritePaths="-/srv/my \"new\" shop; 5%% $off é\\"' in text
    with pytest.raises(InputError, match="control character"):
        unit_files.render(replace(SERVER, project=Path("/srv/a\nUser=root")), [Part.SWEEP])


def test_who_may_listen_and_who_may_call() -> None:
    receiver = get_service(SERVER, Part.RECEIVE)
    assert "SocketBindDeny=any\nSocketBindAllow=tcp:8750\nIPAddressDeny=any\n" in receiver
    assert "SystemCallFilter=~connect sendto sendmsg sendmmsg io_uring_setup\n" in receiver
    assert "InaccessiblePaths=-/srv/pushctl/keys/secret\n" in receiver
    for part in (Part.SWEEP, Part.WATCH):
        text = get_service(SERVER, part)
        assert "SocketBindDeny=any\n" in text and "SocketBindAllow" not in text
        assert "SystemCallFilter=~listen accept accept4 io_uring_setup\n" in text
    public = replace(SERVER, listen=[("0.0.0.0", 443), ("127.0.0.1", 9750)])
    text = get_service(public, Part.RECEIVE)
    assert "SocketBindAllow=tcp:443\nSocketBindAllow=tcp:9750\n" in text
    assert "IPAddressDeny" not in text
    assert "\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n" in text


def test_workers_of_a_cluster_may_call_sweep_and_watch(tmp_path: Path) -> None:
    for settings, port in (("", 0), ('listen = "127.0.0.1:9786"', 9786)):
        file = project.make(tmp_path / str(port)) / "pushctl.toml"
        cluster = f'[cluster]\nscheduler = "tcp://127.0.0.1:8786"\n{settings}'
        file.write_text(f"{file.read_text()}\n{cluster}\n")
        place = services.locate(configs.load(file, {}), "pushctl")
        text = get_service(place, Part.WATCH)
        assert "SystemCallFilter=~io_uring_setup\n" in text
        assert ("SocketBindDeny=any\n" in text) == bool(port)
        assert (f"SocketBindAllow=tcp:{port}\n" in text) == bool(port)
        assert "connect" in get_service(place, Part.RECEIVE)


def test_a_users_manager_gets_only_what_it_can_do() -> None:
    """Without root it fails on all that lays namespaces or takes rights away."""
    for part in Part:
        text = get_service(replace(SERVER, account=None), part)
        for word in ("User=", "Private", "Protect", "Capabilit", "IPAddress", "SocketBind"):
            assert word not in text.replace("ExecStart", ""), (part, word)
        assert "NoNewPrivileges=true\n" in text


def test_a_second_run_writes_nothing_and_a_change_by_hand_stays(tmp_path: Path) -> None:
    first = services.write(plan(tmp_path))
    assert len(first) == 4
    assert services.write(plan(tmp_path)) == []
    # A new release has other lines: its files take the place of what is unchanged.
    newer = replace(SERVER, listen=[("127.0.0.1", 9000)])
    assert {unit.state for unit in plan(tmp_path, Part.RECEIVE, place=newer)} == {State.OLD}
    assert services.write(plan(tmp_path, place=newer)) == first[:1]

    first[2].write_text(first[2].read_text() + "RandomizedDelaySec=5\n")
    changed = first[2].read_text()
    with pytest.raises(ConfigError) as refused:
        services.write(plan(tmp_path))
    assert [one.place for one in refused.value.problems] == [str(first[2])]
    assert "9000" in first[0].read_text(), "nothing was written"
    with pytest.raises(ConfigError):
        services.uninstall(None, plan(tmp_path))
    assert first[2].read_text() == changed
    assert len(services.write(plan(tmp_path), even_changed=True)) == 2
    assert "RandomizedDelaySec" not in first[2].read_text()


def test_uninstalling_takes_the_links_too(tmp_path: Path) -> None:
    written = services.write(plan(tmp_path))
    wants = tmp_path / "timers.target.wants"
    wants.mkdir()
    (wants / written[2].name).symlink_to(written[2])
    (tmp_path / "another.service").write_text("[Service]\n")
    assert services.uninstall(None, plan(tmp_path)) == written
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "another.service", "timers.target.wants",
    ]  # fmt: skip
    assert list(wants.iterdir()) == []


def test_systemd_is_told_what_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a systemctl of our own, which notes how it is called."""
    notes, program = tmp_path / "notes", tmp_path / "systemctl"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> "{notes}"\n'
        '[ "$1" = show ] && printf "ActiveState=active\\nSubState=running\\n"\nexit 0\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(Manager, "is_running", lambda _: True)
    manager, folder = Manager(user=False), tmp_path / "units"
    planned = plan(folder, Part.SWEEP)
    service, timer = (unit.file.name for unit in planned)
    services.start(manager, planned, services.write(planned))
    assert notes.read_text().splitlines() == [
        "daemon-reload", f"enable {timer}", f"restart {timer}", f"start {timer}",
    ]  # fmt: skip
    notes.unlink()
    services.start(manager, plan(folder, Part.SWEEP), [])
    assert f"restart {timer}" not in notes.read_text(), "what runs is left alone"
    states = list(services.describe(manager, plan(folder, Part.SWEEP)))
    assert states[0] == {"unit": service, "file": "as written", "active": "active (running)"}
    notes.unlink()
    services.uninstall(manager, plan(folder, Part.SWEEP))
    assert notes.read_text().splitlines() == [
        f"disable --now {service} {timer}", "daemon-reload",
    ]  # fmt: skip
    program.write_text("#!/bin/sh\necho no bus >&2\nexit 1\n")
    with pytest.raises(ConfigError, match=r"systemctl daemon-reload` failed: no bus"):
        manager.call("daemon-reload")


def test_the_place_follows_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "shop" / "pushctl.toml"
    (file.parent / "keys").mkdir(parents=True)
    (file.parent / "keys" / "vapid-abc.pem").touch()
    file.write_text('contact = "mailto:a@b.example"\n[sites.a]\norigin = "https://b.example"\n')
    plain = configs.load(file, {})
    config = replace(
        plain,
        database=tmp_path / "data" / "push.db",
        receiver=replace(plain.receiver, listen="[::1]:8751", metrics="127.0.0.1:9750"),
    )
    place = services.locate(config, "anna")
    assert place.listen == [("::1", 8751), ("127.0.0.1", 9750)]
    assert place.writes == [tmp_path / "data"]
    assert config.database in place.hidden
    assert set(config.keys.glob("vapid-*.pem")) <= set(place.hidden)
    second = services.locate(config, "anna", "127.0.0.1:8752")
    assert second.listen == [("127.0.0.1", 8752)] and second.second
    (one, two) = (next(iter(unit_files.render(it, [Part.RECEIVE]))) for it in (place, second))
    assert two == one.replace(".service", "-8752.service")
    services.write([*plan(tmp_path, place=place), *plan(tmp_path, Part.RECEIVE, place=second)])
    assert services.locate_installed(config, tmp_path, user=False) == [place, second]


SITE = 'contact = "mailto:a@b.example"\n[sites.a]\norigin = "https://b.example"\n'


def test_all_that_sweeps_write_elsewhere_is_open_to_them(tmp_path: Path) -> None:
    shop, data = tmp_path / "shop", tmp_path / "data"
    for folder in (shop, data / "inbox", data / "db", data / "reports"):
        folder.mkdir(parents=True)
    for link, to in {"inbox": "inbox", "reports": "reports", "pushctl.db": "db/p.db"}.items():
        (shop / link).symlink_to(data / to)
    file = shop / "pushctl.toml"
    file.write_text(
        f'journal = "{data}/journal"\n{SITE}[metrics]\ntextfile = "{data}/node/pushctl.prom"\n'
    )
    place = services.locate(configs.load(file, {}), "anna")
    names = ("inbox", "db", "reports", "journal", "node")
    assert set(place.writes) == {data / name for name in names}
    text = get_service(place, Part.SWEEP)
    assert all(f"ReadWritePaths=-{data / name}\n" in text for name in names)
    assert set(place.hidden) >= {data / "db" / "p.db", data / "db" / "p.db-wal"}


@pytest.mark.parametrize("where", ["templates", "geoip", "python", "a link", "nowhere"])
def test_what_is_read_in_a_home_is_not_hidden(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Path("/home/anna")
    monkeypatch.setattr("sys.executable", "/opt/pushctl/bin/python3")
    for name in ("prefix", "base_prefix"):
        monkeypatch.setattr(f"sys.{name}", "/opt/pushctl")
    if where == "python":
        monkeypatch.setattr("sys.base_prefix", str(home / ".local/share/uv/python/3.13"))
    settings = {
        "templates": f'templates = "{home}/texts"\n{SITE}',
        "geoip": f'{SITE}[receiver]\ngeoip = "{home}/city.mmdb"\n',
    }
    file = tmp_path / "shop" / "pushctl.toml"
    file.parent.mkdir()
    file.write_text(settings.get(where, SITE))
    if where == "a link":
        (file.parent / "templates").symlink_to(home / "texts")
    place = services.locate(configs.load(file, {}), "anna")
    shown = "true" if where == "nowhere" else "read-only"
    for part in Part:
        assert f"ProtectHome={shown}\n" in get_service(place, part)


def test_an_account_must_reach_the_python_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As uv's Python in root's home, from a virtual environment that is open to all."""
    closed = tmp_path / "root" / "python3"
    closed.parent.mkdir(mode=0o700)
    closed.touch()
    python = tmp_path / "venv" / "python3"
    python.parent.mkdir()
    python.symlink_to(closed)
    account = pwd.getpwnam("nobody")
    monkeypatch.setattr("sys.executable", str(python))
    monkeypatch.setattr(services, "find_program", lambda: ["/bin/sh"])
    with pytest.raises(ConfigError, match=r"can't run .*python3: .*root is closed to others"):
        services.check_reach(account)
