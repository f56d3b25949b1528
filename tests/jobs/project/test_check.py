"""``pushctl check``: everything that is wrong, at once, each with its place and remedy."""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from pushctl.inbox import usage_files
from pushctl.jobs.campaigns import recurring
from pushctl.jobs.campaigns.draft import Draft
from pushctl.jobs.ingest import shares
from pushctl.jobs.project import check
from pushctl.rules.limits import MANY_BROWSERS
from pushctl.rules.units import DAY
from pushctl.store import Store
from pushctl.store.events import Event
from tests import support
from tests.support import project, sending
from tests.support.people import Human, settle
from tests.support.program import PROGRAM, on_terminal, pushctl


def findings(folder: Path, code: int = 3, **more: str) -> list[dict[str, Any]]:
    shown = pushctl("check", "--json", cwd=folder, **more)
    assert shown.code == code, shown.out + shown.err
    found: list[dict[str, Any]] = json.loads(shown.out)
    return found


def problems(folder: Path, **more: str) -> list[dict[str, Any]]:
    found = [each for each in findings(folder, **more) if each["level"] == "problem"]
    assert all(each["place"] and each["text"] and each["remedy"] for each in found)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return project.make(tmp_path)


def test_a_new_project_is_fine(folder: Path) -> None:
    found = findings(folder, 0)
    assert {each["level"] for each in found} <= {"fine", "note"}
    areas = [each["area"] for each in found]
    assert set(areas) >= {"settings", "contact", "keys", "templates", "segments", "triggers"}
    assert set(areas) >= {"database", "inbox", "disk", "encoder"}


def test_the_encoder_in_use_is_told_with_the_reason(folder: Path) -> None:
    project.add(folder, "")
    (found,) = (each for each in findings(folder, 0) if each["area"] == "encoder")
    assert found["place"] in ("turbo", "fast", "direct", "pywebpush") and found["text"]
    shown = findings(folder, 0, PUSHCTL_PUSH__ENCODER="fast")
    (found,) = (each for each in shown if each["area"] == "encoder")
    if found["place"] != "fast":
        assert "not fast: pip install 'pushctl[fast]' would bring it" in found["text"]


def test_a_series_whose_template_is_gone_is_named(tmp_path: Path) -> None:
    field = sending.field(tmp_path)
    draft = Draft(everyone=True, template="sale", every="day 09:00")
    recurring.add_series(field.store, field.config, draft, sending.soon())
    field.store.close()
    assert "campaigns" not in [each["area"] for each in findings(tmp_path, 0)]
    shutil.rmtree(tmp_path / "templates" / "sale")
    (found,) = problems(tmp_path)
    assert found["place"] == "series sale every day 09:00"
    assert "sale" in found["text"] and found["remedy"]


def test_people_of_a_site_that_was_renamed_are_counted(tmp_path: Path) -> None:
    field = sending.field(tmp_path)
    field.people(3)
    field.store.close()
    file = field.config.file
    file.write_text(file.read_text().replace("[sites.shop", "[sites.store"))
    (found,) = (each for each in findings(tmp_path, 0) if "'shop'" in each["text"])
    assert "which is called 'store' now" in found["text"]
    assert "site in ('shop', 'store')" in found["remedy"]
    file.write_text(file.read_text().replace("https://shop.example", "https://store.example"))
    (found,) = (each for each in findings(tmp_path, 0) if "'shop'" in each["text"])
    assert found["text"] == "3 active subscribers of the site 'shop', which is not there"
    assert found["level"] == "note" and "[sites.shop]" in found["remedy"]


def test_a_trial_that_was_left_on_is_named(folder: Path) -> None:
    assert not [each for each in findings(folder, 0) if each["area"] == "push"]
    project.add(folder, '[push.loopback.hosts]\n"a.example" = "127.0.0.1:443"')
    (found,) = (each for each in findings(folder, 0) if each["area"] == "push")
    assert "what is for 1 host goes to this machine" in found["text"]


def test_problems_of_every_area_are_told_together(folder: Path) -> None:
    project.add(
        folder,
        """
vip = "tag('VIP"

[sites.other]
origin = "other.example"

[triggers.basket]
on = "cart_updated"
audience = "segment('nobody')"
sites = ["elsewhere"]
steps = [{ after = "3m", template = "not_written" }]
""",
    )
    (folder / "keys/secret").unlink()
    (folder / "keys").chmod(0o755)
    (folder / "pushctl.db").write_bytes(b"no database" * 100)
    broken = folder / "templates/broken"
    broken.mkdir(parents=True)
    (broken / "message.toml").write_text("icon = \n")
    (broken / "en.toml").write_text('title = "{{ 1"\nbody = "x"\n')
    found = problems(folder)
    areas = {each["area"] for each in found}
    assert areas >= {"settings", "keys", "templates", "segments", "triggers", "database"}
    texts = "\n".join(f"{each['place']}: {each['text']} {each['remedy']}" for each in found)
    for part in (
        "pushctl.toml:",
        "sites.other.origin",
        "not_written",
        "[sites.elsewhere]",
        "segments.vip",
        "chmod 700",
        "backup",
        "templates/broken",
    ):
        assert part in texts, part


def test_an_audience_with_a_campaign_that_nobody_knows_is_named(folder: Path) -> None:
    file = folder / "pushctl.toml"
    text = file.read_text()
    assert text.count("[segments]") == 1
    file.write_text(text.replace("[segments]", "[segments]\nlike = \"clicked('sale', 30d)\""))
    project.add(folder, """[triggers.basket]
on = "cart_updated"
audience = "not sent('basket/1') and not segment('like')"
steps = [{ after = "3m", template = "welcome" }]
""")  # fmt: skip
    found = [each for each in problems(folder) if each["area"] == "audiences"]
    assert [each["place"].partition(": ")[2] for each in found] == [
        "segments.like",
        "triggers.basket.audience",
    ]
    assert all("no campaign is called 'sale'" in each["text"] for each in found)
    assert all(each["place"].startswith("pushctl.toml:") for each in found)


def test_what_is_wrong_with_a_trigger_is_told_with_its_line(folder: Path) -> None:
    file = folder / "pushctl.toml"
    code = folder / "templates" / "code"
    code.mkdir()
    (code / "message.toml").write_text('url = "/"\n')
    (code / "en.toml").write_text('title = "Save"\nbody = "With {{ promo }}"\n')
    before = len(file.read_text().splitlines()) + 1  # project.add begins a new one
    project.add(
        folder,
        """[triggers.basket]
on        = "cart_update"
audience  = "tag('VIP"
sites     = ["shopp"]
steps = [  # { not one
  { after = "3m", template = "welcom" },
  { after = "1h", template = "code" }, { template = "nothing" },
]
""",
    )
    found = {
        (each["place"].removeprefix("pushctl.toml:"), each["level"]): each
        for each in findings(folder)
        if each["area"] == "triggers"
    }
    at = {
        place.partition(": triggers.basket.")[2]: int(place.partition(":")[0]) - before
        for place, _ in found
    }
    assert at == {
        "on": 2, "audience": 3, "sites": 4, "steps.1.template": 6, "steps.2.template": 7,
        "steps.3.template": 7,
    }  # fmt: skip
    remedies = " ".join(each["remedy"] for each in found.values())
    assert "Did you mean welcome?" in remedies
    assert 'Add promo = "CODE"' in remedies
    assert "Did you mean cart_updated?" in remedies
    assert "templates/nothing/" in remedies


def test_the_line_of_a_step_is_its_own(folder: Path) -> None:
    project.add(
        folder,
        """[triggers.basket]
on = "cart_updated"
steps = [
  { after = "3m", template = "welcome", when = { value = ">= {5" } },
  { after = [{ below = 5, after = "1m" },
             { after = "1d" }], template = "welcome" },
  { after = "soon", template = "welcome" },
]
""",
    )
    text = (folder / "pushctl.toml").read_text().splitlines()
    line = 1 + text.index('  { after = "soon", template = "welcome" },')
    assert f"pushctl.toml:{line}: triggers.basket.steps.3.after" in {
        each["place"] for each in problems(folder)
    }


def test_a_person_sees_marks_places_and_remedies(folder: Path) -> None:
    (folder / "keys").chmod(0o755)
    shown = on_terminal([*PROGRAM, "check"], cwd=folder, NO_COLOR="1")
    assert shown.code == 3
    words = " ".join(shown.out.split())  # a long path stands on a line of its own
    assert "✗ keys" in words and f"chmod 700 {folder / 'keys'}" in words
    assert "✓ settings" in shown.out
    assert shown.out.rstrip().endswith("1 problem found.")


def test_a_file_that_is_no_toml_is_one_problem(folder: Path) -> None:
    (folder / "pushctl.toml").write_text("[[[")
    (found,) = problems(folder)
    assert found["area"] == "settings" and "line 1" in found["text"]


def test_a_variable_that_sets_nothing_is_a_problem(folder: Path) -> None:
    (found,) = problems(folder, PUSHCTL_CONTATC="x")
    assert found["place"] == "PUSHCTL_CONTATC" and "PUSHCTL_CONTACT" in found["remedy"]


@pytest.mark.parametrize("name", ["keys/secret", "pushctl.db"])
def test_a_secret_that_others_may_read_is_a_problem(folder: Path, name: str) -> None:
    (folder / name).chmod(0o644)
    (found,) = problems(folder)
    assert found["remedy"] == f"Run: chmod 600 {folder / name}"


def test_a_damaged_key_is_named(folder: Path) -> None:
    (key,) = (folder / "keys").glob("*.pem")
    key.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    assert str(key) in problems(folder)[0]["text"]


def test_subscribers_of_a_lost_key_are_counted(folder: Path) -> None:
    from pushctl.store import Store

    with Store(folder / "pushctl.db") as store, store.write() as connection:
        connection.execute(
            """
            INSERT INTO subscriptions (public_id, site_id, endpoint_hash, endpoint, p256dh,
                   auth, key_id, state_at, subscribed_at, last_seen_at)
            VALUES ('x', 1, x'00', 'https://a.example/', ?, ?, 'lostlost', 0, 0, 0)
            """,
            (support.p256dh(), support.auth()),
        )
    (found,) = problems(folder)
    assert "1 active subscriber came with the key lostlost" in found["text"]
    assert "vapid-lostlost.pem" in found["remedy"]


def test_a_lost_secret_for_hashes_is_named_where_it_is_needed(folder: Path) -> None:
    (folder / "keys/email_secret").unlink()
    assert not any("email" in one["place"] for one in findings(folder, 0))
    with Store(folder / "pushctl.db") as store:
        (one,) = settle(store, [Human()])
        store.matches.set_email_hash(one, "ab" * 32)
    found = next(one for one in problems(folder) if one["place"].endswith("email_secret"))
    assert "1 subscriber" in found["text"]


def test_scripts_with_another_key_are_stale(folder: Path) -> None:
    (key,) = (folder / "keys").glob("*.pem")
    key.unlink()
    pushctl("init", cwd=folder)
    found = [each for each in findings(folder, 0) if each["area"] == "scripts"]
    assert {each["level"] for each in found} == {"note"}, "most sites don't serve this copy"
    assert {each["remedy"] for each in found} == {
        "If your web site serves this copy: run `pushctl keys fill`, and upload sw/."
    }


@pytest.mark.parametrize("name", ["inbox", "keys", "pushctl.db"])
def test_what_is_missing_is_a_problem_and_no_bug(folder: Path, name: str) -> None:
    path = folder / name
    path.rename(folder / "elsewhere")
    assert any(name in each["place"] + each["text"] for each in problems(folder))
    (folder / "elsewhere").rename(path)


def test_a_full_disk_is_a_problem(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "MIN_FREE_TO_CHECK_BYTES", 10**18)
    found = check.run(folder / "pushctl.toml", {})
    (disk,) = (each for each in found if each.area == "disk")
    assert disk.level is check.Level.PROBLEM


def test_check_changes_nothing(folder: Path) -> None:
    def state() -> dict[Path, bytes]:
        return {
            each: each.read_bytes()
            for each in folder.rglob("*")
            if each.is_file() and not each.name.endswith(("-wal", "-shm"))
        }

    before = state()
    pushctl("check", cwd=folder)
    assert state() == before


def test_what_strangers_shares_have_cost_is_said(folder: Path) -> None:
    now = time.time_ns() // 1_000_000
    usage = usage_files.Usage(now // DAY, used_up=2, refused=70)
    usage_files.save(folder / "inbox/usage-8750.json", usage, 0)
    with Store(folder / "pushctl.db") as store:
        shares.record_left_out(store, {"new tags beyond the share of one address": 3}, now)
    found = [each for each in findings(folder, 0) if each["area"] == "shares"]
    assert [each["level"] for each in found] == ["note", "note"]
    assert found[0]["text"] == (
        "today 70 requests of unproved subscribers got 429: 2 addresses sent 10 MB"
    )
    assert "unproved.inbox_mb" in found[0]["remedy"]
    assert found[1]["text"].startswith(
        "today 3 requests brought new tags beyond the share of one address"
    )
    usage.forwarded = True
    usage_files.save(folder / "inbox/usage-8750.json", usage, 0)
    found = [each for each in findings(folder, 0) if each["area"] == "shares"]
    assert "receiver.trusted_proxies" in found[0]["remedy"]
    usage.day -= 1
    usage_files.save(folder / "inbox/usage-8750.json", usage, 0)
    assert len([each for each in findings(folder, 0) if each["area"] == "shares"]) == 1


@pytest.mark.parametrize("name", ["vapid-*.pem", "secret"])
def test_one_key_that_others_can_read_is_one_problem(folder: Path, name: str) -> None:
    (file,) = (folder / "keys").glob(name)
    file.chmod(0o644)
    (found,) = problems(folder)
    assert str(file) in found["remedy"]


def test_one_malformed_database_is_one_problem(folder: Path) -> None:
    (folder / "pushctl.db").write_bytes(b"no database" * 1000)
    (found,) = problems(folder)
    assert found["area"] == "database"


def test_what_others_could_change_is_named(folder: Path) -> None:
    (folder / "templates").chmod(0o777)
    next((folder / "templates").iterdir()).chmod(0o702)
    (folder / "pushctl.toml").chmod(0o666)
    folder.chmod(0o757)
    found = [each for each in problems(folder) if each["area"] == "rights"]
    assert [each["place"] for each in found] == [
        str(folder), str(folder / "pushctl.toml"), str(folder / "templates"),
    ]  # fmt: skip
    assert "and 1 more" in found[-1]["text"]
    assert f"chmod -R go-w {folder}/templates" in found[-1]["remedy"]


def test_a_group_of_ones_own_is_nobody_else(folder: Path, monkeypatch: Any) -> None:
    folder.chmod(0o770)
    assert not [each for each in findings(folder, 0) if each["area"] == "rights"][1:]
    os.chown(folder, os.getuid(), 54_321)
    (found,) = (each for each in problems(folder) if each["area"] == "rights")
    assert "mode 770" in found["text"]


def test_settings_with_a_secret_address_are_for_their_owner(folder: Path) -> None:
    project.add(folder, '[sweep]\nping_url = "https://ping.example/0b1c"')
    (folder / "pushctl.toml").chmod(0o644)
    _, note = (each for each in findings(folder, 0) if each["area"] == "rights")
    assert (note["level"], "can be read by others" in note["text"]) == ("note", True)
    (folder / "pushctl.toml").chmod(0o600)
    (_,) = (each for each in findings(folder, 0) if each["area"] == "rights")


def test_a_feed_with_a_password_makes_the_settings_secret(folder: Path) -> None:
    feed = 'feed = { en = "https://shop.example/feed.xml", tr = "https://me:pw@shop.example/" }'
    project.add(folder, f'[triggers.news]\n{feed}\nsteps = [{{ template = "welcome" }}]')
    (folder / "pushctl.toml").chmod(0o644)
    _, note = (each for each in findings(folder, 0) if each["area"] == "rights")
    assert "can be read by others" in note["text"]


def test_an_alias_of_very_many_browsers_is_said(folder: Path) -> None:
    with Store(folder / "pushctl.db") as store:
        store.sites.sync({"shop": "https://shop.example"})
        guests = [Human(fields={"alias": "guest"}) for _ in range(MANY_BROWSERS)]
        claims = [Human(fields={"alias": "me"}, signed=False) for _ in range(MANY_BROWSERS)]
        settle(store, [*guests, *claims, Human(fields={"alias": "ann"})])
    found = [each for each in findings(folder) if each["area"] == "aliases"]
    assert [(each["level"], each["text"]) for each in found] == [
        ("note", "100 browsers of shop share the signed alias 'guest'")
    ]


def test_baskets_that_lead_to_an_unknown_checkout_are_said(folder: Path) -> None:
    with Store(folder / "pushctl.db") as store:
        store.sites.sync({"shop": "https://shop.example"})
        (one,) = settle(store, [Human()])
        links = [
            "https://shop.example/c",
            "/c",
            "https://pay.example/1",
            "https://pay.example/2",
        ]
        store.events.add(
            Event(one, "cart_updated", 1, 1, {"url": url}, url) for url in [*links, "https://["]
        )
    (found,) = (each for each in findings(folder) if "picked up" in each["text"])
    assert found["text"].startswith("2 baskets") and found["level"] == "note"
    assert found["remedy"].endswith('checkout_origins = ["https://pay.example"]')
