"""``pushctl sw``: what pages load, how large it is, whether a copy is up to date."""

import base64
import gzip
import hashlib
import json
import re
from pathlib import Path

from pushctl import config as configs
from pushctl.push import vapid
from pushctl.receiver import scripts
from pushctl.rules.web.scripts import SCRIPTS
from tests.support import project
from tests.support.program import pushctl

RULE = '[[tag_rules]]\ntag = "Lamps"\nwhen = { page = "/lamps/*" }\n'


def test_sizes_and_integrity_are_those_of_what_is_served(tmp_path: Path) -> None:
    project.make(tmp_path)
    rows = json.loads(pushctl("sw", "--json", cwd=tmp_path).out)
    assert [row["file"] for row in rows] == list(SCRIPTS)
    config = configs.load(tmp_path / "pushctl.toml", {})
    served = scripts.prepare(config, vapid.load_public(config.keys))
    for row in rows:
        content = gzip.decompress(served[row["file"], "shop"].packed)
        digest = base64.b64encode(hashlib.sha384(content).digest()).decode()
        assert row["integrity"] == f"sha384-{digest}"
        assert row["bytes"] == len(content)
        assert row["gzip"] == len(served[row["file"], "shop"].packed)


def test_check_is_content_with_a_new_project_and_names_what_is_old(tmp_path: Path) -> None:
    project.make(tmp_path)
    assert pushctl("sw", "--check", cwd=tmp_path).code == 0
    script = tmp_path / "sw/pushctl-prompt.js"
    script.write_text(script.read_text("utf-8") + "// of an older release\n", "utf-8")
    found = pushctl("sw", "--check", "--csv", cwd=tmp_path)
    assert found.code == 3
    assert "pushctl-prompt.js" in found.err and "pushctl sw --write" in found.err
    assert found.out.startswith('"file",')


def test_write_brings_sw_up_to_date_and_adds_what_is_missing(tmp_path: Path) -> None:
    project.make(tmp_path)
    (tmp_path / "sw/pushctl-rules.js").unlink()
    project.add(tmp_path, RULE)
    written = pushctl("sw", "--write", "--check", cwd=tmp_path)
    assert written.code == 0
    assert "Lamps" in (tmp_path / "sw/pushctl-rules.js").read_text("utf-8")
    assert '"rules": true' in (tmp_path / "sw/pushctl.js").read_text("utf-8")


def test_a_brand_that_makes_the_scripts_too_large_is_said(tmp_path: Path) -> None:
    project.make(tmp_path)
    name = "".join(hashlib.sha512(bytes([each])).hexdigest() for each in range(12))
    file = tmp_path / "pushctl.toml"
    text = file.read_text("utf-8")
    file.write_text(text.replace('# name = "The shop"', f'name = "{name}"'), "utf-8")
    found = pushctl("sw", "--write", "--check", cwd=tmp_path)
    assert found.code == 3
    assert "sites.shop" in found.err and "7,168" in found.err


def test_several_sites_have_their_own(tmp_path: Path) -> None:
    sites = ("--site", "eg=https://eg.example", "--site", "tr=https://tr.example")
    project.make(tmp_path, *sites)
    rows = json.loads(pushctl("sw", "--json", cwd=tmp_path).out)
    assert {row["site"] for row in rows} == {"eg", "tr"}
    page = {row["integrity"] for row in rows if row["file"] == "pushctl.js"}
    assert len(page) == 2


def test_all_that_a_site_s_pages_load_is_that_site_s(tmp_path: Path) -> None:
    sites = ("--site", "eg=https://eg.example", "--site", "tr=https://tr.example")
    project.make(tmp_path, *sites)
    config = configs.load(tmp_path / "pushctl.toml", {})
    served = scripts.prepare(config, vapid.load_public(config.keys))
    loaded = [
        (site, *part.split("?"))
        for (_, site), file in served.items()
        for part in re.findall(r'(?:from|import) ?\(?"\./([^"]+)"', file.plain.decode())
    ]
    assert len(loaded) == 2 * 7
    for site, name, query in loaded:
        assert (name, site) in served
        assert query == f"site={site}"
