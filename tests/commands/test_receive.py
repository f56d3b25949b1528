"""``pushctl receive`` as a person starts it."""

import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

from pushctl.commands.receive import render_welcome
from pushctl.config import Config, Site
from pushctl.receiver.serve import parse_address
from tests.support import project, receiving
from tests.support.program import PROGRAM, environment, pushctl


def test_it_says_where_it_listens_and_what_belongs_on_the_page(tmp_path: Path) -> None:
    folder = project.make(tmp_path / "push")
    port = receiving.free_port()
    process = subprocess.Popen(
        [*PROGRAM, "receive", f"--listen=127.0.0.1:{port}"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 20
    answer = None
    while answer is None and time.monotonic() < deadline:
        try:
            answer = receiving.post(port, "/v1/subscribe", receiving.subscription(1))
        except OSError:
            time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert answer is not None and answer.status == 204, err
    assert process.returncode == 0
    assert out == ""
    assert f"Listening on 127.0.0.1:{port}" in err
    assert f"On the pages of {project.ORIGIN}:" in err
    assert "/pushctl.js" in err and "importScripts(" in err
    assert [record.path for record in receiving.records(folder)] == ["/v1/subscribe"]


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    folder = project.make(tmp_path / "push")
    for listen in ("8750", "localhost:", ":8750", "127.0.0.1:70000", "127.0.0.1:x"):
        run = pushctl("receive", f"--listen={listen}", cwd=folder)
        assert run.code == 3, run.err
        assert "is no address to listen on" in run.err


def test_an_ipv6_address_is_taken() -> None:
    assert parse_address("[::1]:8750") == ("::1", 8750)


def test_help_leads_with_an_example() -> None:
    run = pushctl("receive", "--help")
    assert run.code == 0
    assert "pushctl receive --listen 127.0.0.1:8750" in run.out


def test_a_receiver_that_has_no_public_address_says_so() -> None:
    site = Site("shop", "https://shop.example")
    config = Config(Path("pushctl.toml"), "mailto:me@shop.example", {"shop": site})
    assert "has no receiver.url" in render_welcome(config, "127.0.0.1:8750")
    told = replace(config, receiver=replace(config.receiver, url="https://push.shop.example"))
    assert "has no receiver.url" not in render_welcome(told, "127.0.0.1:8750")
    local = replace(config, sites={"shop": replace(site, origin="http://localhost:8000")})
    assert "has no receiver.url" not in render_welcome(local, "127.0.0.1:8750")


def test_it_says_that_it_listens_only_when_it_does(tmp_path: Path) -> None:
    folder = project.make(tmp_path)
    for listen in ("nonsense", "127.0.0.1:99999", "192.0.2.1:8750"):
        shown = pushctl("receive", f"--listen={listen}", cwd=folder)
        assert shown.code == 3 and "Listening" not in shown.err, shown.err
