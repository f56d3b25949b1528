"""jobs.subscribers, in: what files may hold, what is refused, who is known already."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from pushctl.errors import InputError, UsageError
from pushctl.jobs.subscribers import files, imports
from pushctl.model import SubscriptionState
from pushctl.rules.tokens import encode
from pushctl.store.public_ids import make_public_ids
from tests import support
from tests.support import NOON
from tests.support.files import all_of, as_csv, bring, flat, load, person
from tests.support.posting import Project

# --- in: what is understood ----------------------------------------------------------------


def test_json_lines_as_browsers_write_them(inbox_project: Project) -> None:
    report = load(
        inbox_project,
        person(1, expirationTime=None),
        person(2, tags=["Abandoned basket 1", "VIP"], alias="c7", language="pt_BR",
               timezone="Europe/Istanbul", country="tr", city="İzmir", browser="Firefox",
               os="Android", source="news", attributes={"plan": "gold", "visits": 3},
               subscribed_at="2025-11-22T08:00:00+02:00"),
        {"subscription": {k: v for k, v in person(3).items() if k != "site"}, "site": "blog"},
        flat(4),
    )  # fmt: skip
    one, two, three, four = all_of(inbox_project)
    assert (report.lines, report.added, report.refused) == (4, 4, 0)
    assert (one.endpoint, one.p256dh, one.auth) == (
        support.endpoint(1), support.p256dh(1), support.auth(1),
    )  # fmt: skip
    assert (two.tags, two.alias, two.alias_trusted) == (
        ("Abandoned basket 1", "VIP"),
        "c7",
        True,
    )
    assert (two.language, two.timezone, two.country) == ("pt-BR", "Europe/Istanbul", "TR")
    assert (two.city, two.browser, two.os, two.source) == (
        "İzmir",
        "Firefox",
        "Android",
        "news",
    )
    assert two.attributes == {"plan": "gold", "visits": 3}
    assert two.subscribed_at == 1_763_791_200_000
    assert (three.site, four.site) == ("blog", "shop")
    assert one.subscribed_at == one.last_seen_at == NOON
    assert len({each.public_id for each in (one, two, three, four)}) == 4


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_with_columns_in_any_order(inbox_project: Project, delimiter: str) -> None:
    row = flat(1, tags="A b|VIP", **{"attr.Plan": "gold", "Language": "tr"})
    report = load(inbox_project, as_csv(dict(reversed(row.items())), delimiter=delimiter))
    (one,) = all_of(inbox_project)
    assert report.added == 1
    assert (one.tags, one.attributes, one.language) == (("A b", "VIP"), {"Plan": "gold"}, "tr")


@pytest.mark.parametrize(
    ("cell", "tags"),
    [
        ("one", ("one",)),
        ("one, two", ("one", "two")),
        ("a, b;c", ("a, b", "c")),
        ("a;b|c", ("a;b", "c")),
        ('["a|b", "c"]', ("a|b", "c")),
        ("", ()),
    ],
)
def test_tags_in_a_cell(inbox_project: Project, cell: str, tags: tuple[str, ...]) -> None:
    load(inbox_project, as_csv(flat(1, tags=cell)))
    assert all_of(inbox_project)[0].tags == tags


def test_an_export_of_onesignal(inbox_project: Project) -> None:
    row = flat(1)
    onesignal = {
        "identifier": row["endpoint"],
        "web_p256": row["p256dh"],
        "web_auth": row["auth"],
        "external_user_id": "c7",
        "timezone": "7200",
        "tags": '{"plan": "gold"}',
        "created_at": "2025-01-02 03:04:05 UTC",
        "invalid_identifier": "t",
        "session_count": "5",
    }
    path = inbox_project.config.folder / "onesignal.csv.gz"
    path.write_bytes(gzip.compress(as_csv(onesignal).encode()))
    report = bring(inbox_project, path, site="shop")
    (one,) = all_of(inbox_project)
    assert (report.added, report.ignored) == (1, ("session_count",))
    assert (one.alias, one.timezone, one.state) == ("c7", "Etc/GMT-2", "unsubscribed")
    assert (one.attributes, one.subscribed_at) == ({"plan": "gold"}, 1_735_787_045_000)


def test_a_spreadsheets_byte_order_mark_and_line_ends(inbox_project: Project) -> None:
    path = inbox_project.config.folder / "excel.csv"
    path.write_bytes(b"\xef\xbb\xbf" + as_csv(flat(1), flat(2)).replace("\n", "\r\n").encode())
    assert bring(inbox_project, path).added == 2


def test_gzip_is_known_by_its_content(inbox_project: Project) -> None:
    path = inbox_project.config.folder / "people"
    path.write_bytes(gzip.compress(json.dumps(person(1)).encode()))
    assert bring(inbox_project, path).added == 1


def test_an_empty_file_brings_nobody(inbox_project: Project) -> None:
    path = inbox_project.config.folder / "empty"
    path.write_bytes(b"")
    assert bring(inbox_project, path).lines == 0


# --- in: what is refused -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"endpoint": "https://evil.example/x"}, "not among the allowed push hosts"),
        ({"endpoint": "https://fcm.googleapis.com@evil.example/x"}, "no plain https URL"),
        ({"endpoint": None}, "endpoint is missing"),
        ({"endpoint": 5}, "endpoint is missing"),
        ({"keys": {"auth": "A" * 22}}, "p256dh is missing"),
        ({"keys": {"p256dh": "AAAA", "auth": "A" * 22}}, "p256dh has 3 bytes"),
        ({"keys": {"p256dh": encode(support.p256dh(1)), "auth": "AAAA"}}, "auth has 3 bytes"),
        ({"keys": {"p256dh": encode(b"\x04" + bytes(64)), "auth": "A" * 22}}, "on the curve"),
        ({"site": "nowhere"}, "site is none of those"),
        ({"site": None}, "site is missing"),
        ({"key_id": "elsewher"}, "not in the keys folder"),
    ],
)
def test_a_wrong_needed_field_refuses_its_line_alone(
    inbox_project: Project, change: dict[str, Any], reason: str
) -> None:
    report = load(inbox_project, person(1) | change, person(2))
    assert (report.added, report.refused) == (1, 1)
    assert reason in next(iter(report.rejected))


@pytest.mark.parametrize(
    "line", ["{", "no json", "[1]", '{"endpoint": "\\ud800"}', "5", "null"]
)
def test_what_is_no_json_object_refuses_its_line_alone(
    inbox_project: Project, line: str
) -> None:
    report = load(inbox_project, person(1), line, person(2))
    assert (report.added, report.refused) == (2, 1)


def test_a_record_of_several_lines_is_known_by_its_first(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(b'endpoint,p256dh,auth\n"a\nb",c,d\n\n"\xe4\n",x\ne,f,g\n')
    with path.open("rb") as file:
        found = [(line.number, line.raw) for line in files.read(file, "people.csv").lines]
    assert found == [(2, '"a\nb",c,d\n'), (5, '"\\xe4\n",x\n'), (7, "e,f,g\n")]


def test_refused_lines_stand_in_a_file_with_number_and_reason(inbox_project: Project) -> None:
    report = load(inbox_project, person(1), "rubbish", person(2) | {"site": "Turkey"})
    assert report.rejects == inbox_project.config.folder / "people.jsonl.rejects.jsonl"
    assert report.rejects.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in report.rejects.read_text().splitlines()]
    assert [line["line"] for line in lines] == [2, 3]
    assert lines[0]["original"] == "rubbish"
    assert lines[0]["reason"].startswith("no JSON")
    assert json.loads(lines[1]["original"])["site"] == "Turkey"


def test_the_rejects_of_an_earlier_run_are_removed(inbox_project: Project) -> None:
    rejects = load(inbox_project, person(1), "rubbish").rejects
    assert rejects is not None
    assert load(inbox_project, person(1)).rejects is None
    assert not rejects.exists()


def test_bad_csv_refuses_its_record_alone(inbox_project: Project) -> None:
    good, bad = as_csv(flat(1)), as_csv(flat(2)).splitlines()[1]
    report = load(inbox_project, good + bad + ',"extra"\n' + as_csv(flat(3)).splitlines()[1])
    assert (report.added, report.refused) == (2, 1)
    assert report.rejects is not None
    assert json.loads(report.rejects.read_text())["line"] == 3


def test_an_open_quotation_mark_does_not_swallow_the_file_unseen(
    inbox_project: Project,
) -> None:
    lines = as_csv(*(flat(n) for n in range(5))).splitlines()
    lines[2] = lines[2].replace("shop", '"shop')
    report = load(inbox_project, *lines)
    assert report.added == 1
    assert "quotation mark" in next(iter(report.rejected))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name,mail\na,b\n", "no column called endpoint, p256dh, auth"),
        ("endpoint,auth,auth,p256dh\n", "two columns are called auth"),
        ("endpoint,p256dh\n", "no column called auth"),
    ],
)
def test_a_file_of_another_form_is_refused_as_a_whole(
    inbox_project: Project, text: str, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        load(inbox_project, text)


def test_a_missing_file_and_a_broken_archive_are_told(inbox_project: Project) -> None:
    with pytest.raises(InputError, match="can't be read"):
        bring(inbox_project, inbox_project.config.folder / "none.csv")
    path = inbox_project.config.folder / "half.gz"
    path.write_bytes(
        gzip.compress(b"".join(json.dumps(person(n)).encode() + b"\n" for n in range(50)))[:-20]
    )
    with pytest.raises(InputError, match="archive ends before its time"):
        bring(inbox_project, path)


def test_a_site_and_a_key_that_do_not_exist_are_refused(inbox_project: Project) -> None:
    path = inbox_project.config.folder / "x"
    path.touch()
    with pytest.raises(UsageError, match="no site"):
        bring(inbox_project, path, site="nowhere")
    with pytest.raises(UsageError, match="no VAPID key"):
        bring(inbox_project, path, key="elsewher")


# --- in: who is known already --------------------------------------------------------------


def test_importing_again_changes_nothing(inbox_project: Project) -> None:
    lines = [person(n, tags=["a", "b"], attributes={"n": n}) for n in range(5)]
    load(inbox_project, *lines)
    before = all_of(inbox_project)
    report = load(inbox_project, *lines)
    assert (report.added, report.updated) == (0, 5)
    assert all_of(inbox_project) == before


def test_what_a_file_does_not_tell_stays(inbox_project: Project) -> None:
    load(
        inbox_project,
        person(1, alias="c7", language="tr", tags=["a"], attributes={"x": 1, "y": 2}),
    )
    load(inbox_project, person(1, language="en", tags=["b"], attributes={"y": 3}))
    (one,) = all_of(inbox_project)
    assert (one.alias, one.language, one.tags) == ("c7", "en", ("a", "b"))
    assert one.attributes == {"x": 1, "y": 3}


def test_a_known_endpoint_is_never_given_other_keys(inbox_project: Project) -> None:
    load(inbox_project, person(1))
    report = load(inbox_project, person(1) | {"keys": person(2)["keys"]}, person(3))
    assert dict(report.rejected) == {"the endpoint is known with other keys": 1}
    assert report.added == 1
    assert all_of(inbox_project)[0].auth == support.auth(1)


def test_nor_within_one_file(inbox_project: Project) -> None:
    report = load(inbox_project, person(1), person(1) | {"keys": person(2)["keys"]})
    assert (report.added, report.refused) == (1, 1)


def test_nor_moved_to_another_site(inbox_project: Project) -> None:
    load(inbox_project, person(1))
    report = load(inbox_project, person(1, site="blog"))
    assert dict(report.rejected) == {"the endpoint belongs to another site": 1}


def test_an_endpoint_twice_in_a_file_is_one_subscriber(inbox_project: Project) -> None:
    report = load(
        inbox_project,
        person(1, language="tr", tags=["a"]),
        person(1, language="en", tags=["b"]),
    )
    (one,) = all_of(inbox_project)
    assert (report.added, report.updated) == (1, 1)
    assert (one.language, one.tags) == ("en", ("a", "b"))


@pytest.mark.parametrize(
    ("state", "after"), [("gone", "active"), ("unsubscribed", "unsubscribed")]
)
def test_who_was_gone_comes_back_who_left_does_not(
    inbox_project: Project, state: str, after: str
) -> None:
    load(inbox_project, person(1))
    inbox_project.store.subscriptions.mark([1], SubscriptionState(state), "test", NOON)
    load(inbox_project, person(1))
    assert all_of(inbox_project)[0].state == after


def test_an_import_beyond_one_batch(
    inbox_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "BATCH", 7)
    assert load(inbox_project, *(person(n % 50) for n in range(60))).added == 50
    assert len(all_of(inbox_project)) == 50


def test_public_ids_of_a_batch_stand_side_by_side_in_their_index() -> None:
    """Each at a place of its own would have a page of a large index written."""
    batches = [make_public_ids(3_000) for _ in range(20)]
    every = [name for batch in batches for name in batch]
    assert len(set(every)) == len(every)
    assert {len(name) for name in every} == {22}
    assert not any(name.startswith("-") for name in every)
    assert all(len({name[:4] for name in batch}) == 1 for batch in batches)
    assert len({batch[0][:4] for batch in batches}) == len(batches)
    assert make_public_ids(0) == []
