"""Keys that end: retired when nobody has them, given up when their file is lost."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pushctl import durable
from pushctl.errors import ConfigError, InputError
from pushctl.jobs.delivery.postbox import open_postbox
from pushctl.jobs.figures.columns import pages
from pushctl.jobs.project import keys, retire_keys
from pushctl.jobs.sweep import retired_keys, sweep
from pushctl.push import retired_keys as retired
from pushctl.push import vapid
from pushctl.push.key_register import Use
from pushctl.rules.limits import RETIRED_KEY_DAYS
from pushctl.rules.units import DAY
from tests.support import NOON, killed
from tests.support.posting import Browser, Project


def take_over(shop: Project) -> tuple[vapid.Key, vapid.Key]:
    """Make a new own key; return the earlier one and it."""
    (old,) = vapid.load(shop.config.keys).values()
    return old, vapid.write(shop.config.keys)


def move(shop: Project, number: int, key: vapid.Key) -> Browser:
    """Let the browser *number* visit again: its page subscribes it anew with *key*."""
    old, new = Browser(number, shop.key), Browser(number + 100, key.public)
    report = shop.drain(new.subscribe(at=NOON + 1, previous=old))
    assert dict(report.applied) == {"moved": 1}
    return new


def state_of(shop: Project, browser: Browser) -> str:
    found = shop.get(browser)
    assert found is not None
    return str(found.state)


def use_of(shop: Project, key: str) -> Use:
    return vapid.load_register(shop.config.keys).entries[key].use


def test_a_key_is_retired_once_nobody_has_it(inbox_project: Project) -> None:
    shop = inbox_project
    for number in (1, 2):
        shop.drain(Browser(number, shop.key).subscribe(at=NOON))
    old, new = take_over(shop)
    with pytest.raises(ConfigError, match=r"2 active subscribers have the key .*, last seen 2"):
        retire_keys.retire(shop.config, shop.store, old.id, NOON)
    move(shop, 1, new)
    with pytest.raises(ConfigError, match="1 active subscriber has the key"):
        retire_keys.retire(shop.config, shop.store, old.id, NOON)
    move(shop, 2, new)
    retire_keys.retire(shop.config, shop.store, old.id, NOON)
    assert use_of(shop, old.id) is Use.RETIRED
    folder = shop.config.keys
    assert not list(folder.glob(f"vapid-{old.id}.*"))
    assert (folder / "retired" / f"vapid-{old.id}.pem").stat().st_mode & 0o777 == 0o600
    assert (folder / "retired").stat().st_mode & 0o777 == 0o700
    (_, listed) = keys.list_keys(shop.config, {})
    assert (listed["id"], listed["use"], listed["until"]) == (
        old.id, "retired", NOON + RETIRED_KEY_DAYS * DAY,
    )  # fmt: skip
    assert list(retire_keys.find_notes(shop.config, shop.store)) == []
    assert list(keys.find_problems(shop.config, keys.count_lost(shop.config))) == []


def test_who_is_in_quarantine_still_has_the_key(inbox_project: Project) -> None:
    shop = inbox_project
    shop.drain(Browser(1, shop.key).subscribe(at=NOON))
    shop.store.connection.execute("UPDATE subscriptions SET state = 'quarantined'")
    old, _ = take_over(shop)
    with pytest.raises(ConfigError, match="1 in quarantine has the key"):
        retire_keys.retire(shop.config, shop.store, old.id, NOON)


def test_the_own_key_an_unknown_and_a_lost_one_are_not_retired(inbox_project: Project) -> None:
    shop = inbox_project
    old, new = take_over(shop)
    with pytest.raises(ConfigError, match="is the key of new subscribers"):
        retire_keys.retire(shop.config, shop.store, new.id, NOON)
    with pytest.raises(ConfigError, match="is the key of new subscribers"):
        vapid.retire(shop.config.keys, new.id, NOON)  # also where it became own meanwhile
    with pytest.raises(InputError, match="no key is called 'nothing0'"):
        retire_keys.retire(shop.config, shop.store, "nothing0", NOON)
    (shop.config.keys / f"vapid-{old.id}.pem").unlink()
    with pytest.raises(ConfigError, match=f"pushctl keys lost {old.id}"):
        retire_keys.retire(shop.config, shop.store, old.id, NOON)


def test_a_link_is_not_moved(inbox_project: Project) -> None:
    shop = inbox_project
    old, _ = take_over(shop)
    file = shop.config.keys / f"vapid-{old.id}.pem"
    safe = shutil.move(file, shop.config.folder / "safe.pem")
    file.symlink_to(safe)
    with pytest.raises(ConfigError, match="is a link"):
        retire_keys.retire(shop.config, shop.store, old.id, NOON)
    assert use_of(shop, old.id) is Use.EARLIER


def test_who_comes_late_with_a_retired_key_is_taken_and_reached(inbox_project: Project) -> None:
    shop = inbox_project
    old, new = take_over(shop)
    retire_keys.retire(shop.config, shop.store, old.id, NOON)
    late = Browser(1, shop.key)
    assert dict(shop.drain(late.subscribe(at=NOON)).applied) == {"subscribed": 1}
    assert state_of(shop, late) == "active" and old.id in vapid.load(shop.config.keys)
    (note,) = retire_keys.find_notes(shop.config, shop.store)
    assert "1 active subscriber has the key" in note[1] and "check --live" in note[2]
    # Not even after its 90 days is it taken from somebody.
    later = NOON + (RETIRED_KEY_DAYS + 1) * DAY
    assert list(retired_keys.remove(shop.config, shop.store, later)) == []
    assert old.id in vapid.load(shop.config.keys)
    move(shop, 1, new)
    assert list(retired_keys.remove(shop.config, shop.store, NOON + DAY)) == []
    assert old.id in vapid.load(shop.config.keys)  # not before
    assert list(retired_keys.remove(shop.config, shop.store, later)) == []
    assert list(vapid.load(shop.config.keys)) == [new.id]
    assert not list((shop.config.keys / "retired").iterdir())
    (_, listed) = keys.list_keys(shop.config, {})
    assert (listed["use"], listed["file"]) == ("retired, removed", None)


def test_who_comes_after_the_key_was_removed_waits_for_their_next_visit(
    inbox_project: Project,
) -> None:
    """A page kept by a cache, or a copy of sw/ that nobody brought up to date."""
    shop = inbox_project
    old, new = take_over(shop)
    retire_keys.retire(shop.config, shop.store, old.id, NOON)
    vapid.remove_retired(shop.config.keys, old.id)
    late = Browser(1, shop.key)
    report = shop.drain(late.subscribe(at=NOON, tags=["News"]))
    assert dict(report.applied) == {"subscribed, by a key that has ended": 1}
    assert state_of(shop, late) == "gone"
    again = shop.drain(late.subscribe(at=NOON + 1))
    assert dict(again.applied) == {"seen again, by a key that has ended": 1}
    assert state_of(shop, late) == "gone"
    found = shop.get(move(shop, 1, new))
    assert found is not None and found.state == "active" and found.tags == ("News",)
    # A key that was never ours is refused as before.
    stranger = Browser(5, vapid.read(vapid.create()).public)
    assert not shop.drain(stranger.subscribe(at=NOON)).applied


def test_a_retired_key_comes_back(inbox_project: Project) -> None:
    shop = inbox_project
    old, new = take_over(shop)
    retire_keys.retire(shop.config, shop.store, old.id, NOON)
    vapid.choose(shop.config.keys, old.id)
    assert (use_of(shop, old.id), use_of(shop, new.id)) == (Use.OWN, Use.EARLIER)
    assert vapid.load_own(shop.config.keys).id == old.id
    assert vapid.load_public(shop.config.keys) == old.public
    assert not list((shop.config.keys / "retired").iterdir())
    retire_keys.retire(shop.config, shop.store, new.id, NOON)
    vapid.keep(shop.config.keys, new.pem, Use.EARLIER)  # keys add
    assert use_of(shop, new.id) is Use.EARLIER
    assert (shop.config.keys / f"vapid-{new.id}.pem").exists()


Work = Callable[[Path, vapid.Key], object]


@pytest.mark.parametrize(
    ("begin", "work"),
    [
        (None, lambda folder, key: vapid.retire(folder, key.id, NOON)),
        (Use.RETIRED, lambda folder, key: vapid.choose(folder, key.id)),
        (Use.RETIRED, lambda folder, key: vapid.remove_retired(folder, key.id)),
    ],
    ids=["retire", "use", "remove"],
)
def test_a_kill_at_any_line_loses_no_key(tmp_path: Path, begin: Use | None, work: Work) -> None:
    # Whatever changes a file is a line of this: between two of them a kill is as before them.
    files = killed.files_of(durable)
    template = tmp_path / "template"
    old = vapid.write(template)
    new = vapid.write(template)
    if begin is not None:
        vapid.retire(template, old.id, NOON)
    removing = "remove_retired" in work.__code__.co_names
    whole = tmp_path / "whole"
    shutil.copytree(template, whole)
    points = killed.find_points(lambda: work(whole, old), files, [whole])
    for at in (*points.first, points.lines + 1):  # the last one ends by itself
        folder = tmp_path / str(at)
        shutil.copytree(template, folder)
        died = killed.run(lambda: work(folder, old), at, files)  # noqa: B023
        assert died == (at <= points.lines)
        there = vapid.load(folder)
        assert new.id in there and vapid.load_register(folder).own in there
        if not removing:
            assert there[old.id].pem == old.pem
            places = list(folder.rglob(f"vapid-{old.id}.pem"))
            assert len(places) == 1, places
        # A sweep ends the move, and the same command again does all of it.
        vapid.settle(folder)
        known = vapid.load_register(folder)
        assert retired.is_settled(folder, known)
        work(folder, old)
        assert vapid.load_register(folder).entries.keys() == {old.id, new.id}
        shutil.rmtree(folder)
    assert points.lines > 5


def test_a_full_disk_or_one_that_is_read_only_keeps_the_sweep_going(
    inbox_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = inbox_project
    old, _ = take_over(shop)
    retire_keys.retire(shop.config, shop.store, old.id, NOON)

    def fail(path: Path) -> None:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(durable, "remove", fail)
    later = NOON + (RETIRED_KEY_DAYS + 1) * DAY
    (said,) = retired_keys.remove(shop.config, shop.store, later)
    assert "can't be moved or removed: Read-only file system" in said
    assert old.id in vapid.load(shop.config.keys)


def lose(shop: Project, key: str) -> bytes:
    file = shop.config.keys / f"vapid-{key}.pem"
    pem = file.read_bytes()
    file.unlink()
    (shop.config.keys / f"vapid-{key}.pub").unlink()
    return pem


def test_a_lost_key_is_given_up_and_its_people_come_back_by_a_visit(
    inbox_project: Project,
) -> None:
    shop = inbox_project
    for number in (1, 2, 3):
        shop.drain(Browser(number, shop.key).subscribe(at=NOON, tags=["News"]))
    shop.drain(Browser(3, shop.key).post("/v1/unsubscribe", at=NOON))
    old, _ = take_over(shop)
    lose(shop, old.id)
    loss = retire_keys.foresee_loss(shop.config, shop.store, old.id)
    assert (loss.people, loss.needs_own) == (2, False)
    assert [(one.site, one.active, one.last_seen_at) for one in loss.holders] == [
        ("shop", 2, NOON)
    ]
    told: list[int] = []
    assert retire_keys.give_up(shop.config, shop.store, loss, NOON, told.append) == (None, [])
    assert sum(told) == 2 and use_of(shop, old.id) is Use.LOST
    states = [state_of(shop, Browser(number, shop.key)) for number in (1, 2, 3)]
    assert states == ["gone", "gone", "unsubscribed"]
    assert keys.count_lost(shop.config) == {}
    # Nobody is blamed for it: who is gone with a key has left no message.
    found, words = pages.load_changes(shop.store)
    kinds = [words[code] for code in found["kind"].tolist()]
    assert kinds.count("key_lost") == 2 and "gone" not in kinds
    # The page of a cache changes nothing; the next visit brings them back, with all theirs.
    shop.drain(Browser(1, shop.key).subscribe(at=NOON + 1))
    assert state_of(shop, Browser(1, shop.key)) == "gone"
    found = shop.get(move(shop, 1, vapid.load_own(shop.config.keys)))
    assert found is not None and found.state == "active" and found.tags == ("News",)
    assert retire_keys.give_up(shop.config, shop.store, loss, NOON, told.append) == (None, [])


def test_a_lost_own_key_gives_way_to_a_new_one_once(inbox_project: Project) -> None:
    shop = inbox_project
    shop.drain(Browser(1, shop.key).subscribe(at=NOON))
    (old,) = vapid.load(shop.config.keys).values()
    lose(shop, old.id)
    loss = retire_keys.foresee_loss(shop.config, shop.store, old.id)
    assert loss.needs_own
    with pytest.raises(KeyboardInterrupt):
        retire_keys.give_up(shop.config, shop.store, loss, NOON, interrupt)
    own = vapid.load_own(shop.config.keys).id
    assert own != old.id and use_of(shop, old.id) is Use.LOST
    again = retire_keys.foresee_loss(shop.config, shop.store, old.id)
    assert not again.needs_own
    made, _ = retire_keys.give_up(shop.config, shop.store, again, NOON, lambda count: None)
    assert made is None and vapid.load_own(shop.config.keys).id == own


def interrupt(count: int) -> None:
    raise KeyboardInterrupt


def test_a_lost_key_that_is_found_brings_its_people_back(inbox_project: Project) -> None:
    shop = inbox_project
    for number in (1, 2):
        shop.drain(Browser(number, shop.key).subscribe(at=NOON))
    old, _ = take_over(shop)
    pem = lose(shop, old.id)
    loss = retire_keys.foresee_loss(shop.config, shop.store, old.id)
    retire_keys.give_up(shop.config, shop.store, loss, NOON, lambda count: None)
    shop.store.connection.execute(  # one of them is gone for a reason of their own
        "UPDATE subscriptions SET state_at = state_at + 1 WHERE id = 2"
    )
    file = shop.config.keys / f"vapid-{old.id}.pem"
    file.touch(0o600)
    file.write_bytes(pem)
    (note,) = retire_keys.find_notes(shop.config, shop.store)
    assert "is back" in note[1] and note[2] == f"Run: pushctl keys add {file}"
    key, use = keys.add(shop.config, pem)
    assert (key.id, use) == (old.id, Use.EARLIER)
    assert retire_keys.take_up(shop.store, key.id, NOON) == 1
    assert state_of(shop, Browser(1, shop.key)) == "active"


def test_what_is_not_lost_is_not_given_up(inbox_project: Project) -> None:
    shop = inbox_project
    old, _ = take_over(shop)
    for name, said in (
        (old.id, "is not lost"),
        ("nothing0", "nobody has"),
        ("x", "nobody has"),
    ):
        with pytest.raises(InputError, match=said):
            retire_keys.foresee_loss(shop.config, shop.store, name)


def test_a_retired_key_still_signs_and_a_sweep_removes_it(inbox_project: Project) -> None:
    shop = inbox_project
    old, _ = take_over(shop)
    retire_keys.retire(shop.config, shop.store, old.id, NOON)
    assert open_postbox(shop.config, "1").keys[old.id] == old.pem
    later = NOON + (RETIRED_KEY_DAYS + 1) * DAY
    one = sweep._Sweep(shop.config, shop.store, later, sweep.Options())
    one._tidy()
    assert old.id not in vapid.load(shop.config.keys)
