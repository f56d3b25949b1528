"""Subscribers from files and into files, looked at, tagged, forgotten."""

import csv
import gzip
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from pushctl import inbox
from pushctl.errors import InputError, NotFoundError, UsageError
from pushctl.inbox import Writer
from pushctl.jobs import forget as forgetting
from pushctl.jobs import subscribers
from pushctl.jobs.subscribers import ImportReport
from pushctl.model import Subscription, SubscriptionState
from pushctl.rules import audience, tokens
from pushctl.rules.tokens import encode
from pushctl.store import Store
from tests import support
from tests.support import DAY, NOON
from tests.support import project as projects
from tests.support.posting import SECRET, Browser, Project, make_project, sign_alias
from tests.support.program import pushctl

EVERYONE = audience.parse("everyone")


@pytest.fixture
def project(tmp_path: Path, store: Store) -> Project:
    return make_project(tmp_path, store)


def person(number: int, **more: Any) -> dict[str, Any]:
    """One line of a file of subscribers."""
    keys = {"p256dh": encode(support.p256dh(number)), "auth": encode(support.auth(number))}
    return {"endpoint": support.endpoint(number), "keys": keys, "site": "shop", **more}


def load(project: Project, *lines: Any, name: str = "people.jsonl") -> ImportReport:
    path = project.config.folder / name
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n", "utf-8", newline="")
    return bring(project, path)


def bring(project: Project, path: Path, **options: Any) -> ImportReport:
    return subscribers.import_file(
        project.store, project.config, path, NOON, secret=SECRET, **options
    )


def all_of(project: Project) -> list[Subscription]:
    return project.store.subscriptions.page(0, 1000, NOON)


def flat(number: int, **more: str) -> dict[str, str]:
    keys = {"p256dh": encode(support.p256dh(number)), "auth": encode(support.auth(number))}
    return {"endpoint": support.endpoint(number), **keys, "site": "shop", **more}


def as_csv(*rows: dict[str, str], delimiter: str = ",") -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


# --- in: what is understood --------------------------------------------------------------


def test_json_lines_as_browsers_write_them(project: Project) -> None:
    report = load(
        project,
        person(1, expirationTime=None),
        person(2, tags=["Abandoned basket 1", "VIP"], alias="c7", language="pt_BR",
               timezone="Europe/Istanbul", country="tr", city="İzmir", browser="Firefox",
               os="Android", source="news", attributes={"plan": "gold", "visits": 3},
               subscribed_at="2025-11-22T08:00:00+02:00"),
        {"subscription": {k: v for k, v in person(3).items() if k != "site"}, "site": "blog"},
        flat(4),
    )  # fmt: skip
    one, two, three, four = all_of(project)
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
def test_csv_with_columns_in_any_order(project: Project, delimiter: str) -> None:
    row = flat(1, tags="A b|VIP", **{"attr.Plan": "gold", "Language": "tr"})
    report = load(project, as_csv(dict(reversed(row.items())), delimiter=delimiter))
    (one,) = all_of(project)
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
def test_tags_in_a_cell(project: Project, cell: str, tags: tuple[str, ...]) -> None:
    load(project, as_csv(flat(1, tags=cell)))
    assert all_of(project)[0].tags == tags


def test_an_export_of_onesignal(project: Project) -> None:
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
    path = project.config.folder / "onesignal.csv.gz"
    path.write_bytes(gzip.compress(as_csv(onesignal).encode()))
    report = bring(project, path, site="shop")
    (one,) = all_of(project)
    assert (report.added, report.ignored) == (1, ("session_count",))
    assert (one.alias, one.timezone, one.state) == ("c7", "Etc/GMT-2", "unsubscribed")
    assert (one.attributes, one.subscribed_at) == ({"plan": "gold"}, 1_735_787_045_000)


def test_a_spreadsheets_byte_order_mark_and_line_ends(project: Project) -> None:
    path = project.config.folder / "excel.csv"
    path.write_bytes(b"\xef\xbb\xbf" + as_csv(flat(1), flat(2)).replace("\n", "\r\n").encode())
    assert bring(project, path).added == 2


def test_gzip_is_known_by_its_content(project: Project) -> None:
    path = project.config.folder / "people"
    path.write_bytes(gzip.compress(json.dumps(person(1)).encode()))
    assert bring(project, path).added == 1


def test_an_empty_file_brings_nobody(project: Project) -> None:
    path = project.config.folder / "empty"
    path.write_bytes(b"")
    assert bring(project, path).lines == 0


# --- in: what is refused -----------------------------------------------------------------


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
        ({"state": "dead"}, "state is none of"),
        ({"language": "<script>"}, "language is no language tag"),
        ({"timezone": "Mars/Base"}, "timezone is no time zone"),
        ({"timezone": "../../../etc/passwd"}, "timezone is no time zone"),
        ({"country": "Turkey"}, "country is no country code"),
        ({"city": "\x1b[31m"}, "city has control characters"),
        ({"alias": "x" * 256}, "alias has 256 characters"),
        ({"alias": {"a": 1}}, "alias is no text"),
        ({"alias_trusted": "maybe"}, "neither true nor false"),
        ({"tags": [""]}, "tags: one is empty"),
        ({"tags": [5]}, "tags is no list of texts"),
        ({"attributes": [1]}, "attributes is no object"),
        ({"attributes": "{"}, "attributes is no JSON object"),
        ({"attributes": {"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}}}, "levels deep"),
        ({"attributes": {"n": 2**60}}, "2^53"),
        ({"subscribed_at": "yesterday"}, "no time such as"),
        ({"subscribed_at": "2099-01-01"}, "not between 1970 and now"),
        ({"subscribed_at": "nan"}, "not between 1970 and now"),
    ],
)
def test_a_wrong_field_refuses_its_line_alone(
    project: Project, change: dict[str, Any], reason: str
) -> None:
    report = load(project, person(1) | change, person(2))
    assert (report.added, report.refused) == (1, 1)
    assert reason in next(iter(report.rejected))


@pytest.mark.parametrize(
    "line", ["{", "no json", "[1]", '{"endpoint": "\\ud800"}', "5", "null"]
)
def test_what_is_no_json_object_refuses_its_line_alone(project: Project, line: str) -> None:
    report = load(project, person(1), line, person(2))
    assert (report.added, report.refused) == (2, 1)


def test_refused_lines_stand_in_a_file_with_number_and_reason(project: Project) -> None:
    report = load(project, person(1), "rubbish", person(2) | {"country": "Turkey"})
    assert report.rejects == project.config.folder / "people.jsonl.rejects.jsonl"
    assert report.rejects.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in report.rejects.read_text().splitlines()]
    assert [line["line"] for line in lines] == [2, 3]
    assert lines[0]["original"] == "rubbish"
    assert lines[0]["reason"].startswith("no JSON")
    assert json.loads(lines[1]["original"])["country"] == "Turkey"


def test_the_rejects_of_an_earlier_run_are_removed(project: Project) -> None:
    rejects = load(project, person(1), "rubbish").rejects
    assert rejects is not None
    assert load(project, person(1)).rejects is None
    assert not rejects.exists()


def test_bad_csv_refuses_its_record_alone(project: Project) -> None:
    good, bad = as_csv(flat(1)), as_csv(flat(2)).splitlines()[1]
    report = load(project, good + bad + ',"extra"\n' + as_csv(flat(3)).splitlines()[1])
    assert (report.added, report.refused) == (2, 1)
    assert report.rejects is not None
    assert json.loads(report.rejects.read_text())["line"] == 3


def test_a_csv_cell_that_is_not_utf_8_is_named(project: Project) -> None:
    path = project.config.folder / "latin.csv"
    path.write_bytes(as_csv(flat(1, city="Köln"), flat(2)).encode("latin-1"))
    report = bring(project, path)
    assert (report.added, dict(report.rejected)) == (1, {"city is not in UTF-8": 1})


def test_an_open_quotation_mark_does_not_swallow_the_file_unseen(project: Project) -> None:
    lines = as_csv(*(flat(n) for n in range(5))).splitlines()
    lines[2] = lines[2].replace("shop", '"shop')
    report = load(project, *lines)
    assert report.added == 1
    assert "quotation mark" in next(iter(report.rejected))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name,mail\na,b\n", "no column called endpoint, p256dh, auth"),
        ("endpoint,auth,auth,p256dh\n", "two columns mean auth"),
        ("endpoint,identifier,auth,p256dh\n", "two columns mean endpoint"),
        ("[{}]\n", "one JSON array"),
    ],
)
def test_a_file_of_another_form_is_refused_as_a_whole(
    project: Project, text: str, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        load(project, text)


def test_a_missing_file_and_a_broken_archive_are_told(project: Project) -> None:
    with pytest.raises(InputError, match="can't be read"):
        bring(project, project.config.folder / "none.csv")
    path = project.config.folder / "half.gz"
    path.write_bytes(
        gzip.compress(b"".join(json.dumps(person(n)).encode() + b"\n" for n in range(50)))[:-20]
    )
    with pytest.raises(InputError, match="archive ends before its time"):
        bring(project, path)


def test_a_site_and_a_key_that_do_not_exist_are_refused(project: Project) -> None:
    path = project.config.folder / "x"
    with pytest.raises(UsageError, match="no site"):
        bring(project, path, site="nowhere")
    with pytest.raises(UsageError, match="no VAPID key"):
        bring(project, path, key="elsewher")


# --- in: who is known already ------------------------------------------------------------


def test_importing_again_changes_nothing(project: Project) -> None:
    lines = [person(n, tags=["a", "b"], attributes={"n": n}) for n in range(5)]
    load(project, *lines)
    before = all_of(project)
    report = load(project, *lines)
    assert (report.added, report.updated) == (0, 5)
    assert all_of(project) == before


def test_what_a_file_does_not_tell_stays(project: Project) -> None:
    load(project, person(1, alias="c7", language="tr", tags=["a"], attributes={"x": 1, "y": 2}))
    load(project, person(1, language="en", tags=["b"], attributes={"y": 3}))
    (one,) = all_of(project)
    assert (one.alias, one.language, one.tags) == ("c7", "en", ("a", "b"))
    assert one.attributes == {"x": 1, "y": 3}


def test_a_known_endpoint_is_never_given_other_keys(project: Project) -> None:
    load(project, person(1))
    report = load(project, person(1) | {"keys": person(2)["keys"]}, person(3))
    assert dict(report.rejected) == {"the endpoint is known with other keys": 1}
    assert report.added == 1
    assert all_of(project)[0].auth == support.auth(1)


def test_nor_within_one_file(project: Project) -> None:
    report = load(project, person(1), person(1) | {"keys": person(2)["keys"]})
    assert (report.added, report.refused) == (1, 1)


def test_nor_moved_to_another_site(project: Project) -> None:
    load(project, person(1))
    report = load(project, person(1, site="blog"))
    assert dict(report.rejected) == {"the endpoint belongs to another site": 1}


def test_an_endpoint_twice_in_a_file_is_one_subscriber(project: Project) -> None:
    report = load(
        project, person(1, language="tr", tags=["a"]), person(1, language="en", tags=["b"])
    )
    (one,) = all_of(project)
    assert (report.added, report.updated) == (1, 1)
    assert (one.language, one.tags) == ("en", ("a", "b"))


@pytest.mark.parametrize(
    ("state", "after"), [("gone", "active"), ("unsubscribed", "unsubscribed")]
)
def test_who_was_gone_comes_back_who_left_does_not(
    project: Project, state: str, after: str
) -> None:
    load(project, person(1))
    project.store.subscriptions.mark([1], SubscriptionState(state), "test", NOON)
    load(project, person(1))
    assert all_of(project)[0].state == after


def test_who_was_forgotten_is_not_imported_again(project: Project) -> None:
    load(project, person(1), person(2))
    forget(project, "1")
    report = load(project, person(1), person(2))
    assert dict(report.rejected) == {"the person was forgotten": 1}
    assert len(all_of(project)) == 1


def test_an_import_beyond_one_batch(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscribers, "BATCH", 7)
    assert load(project, *(person(n % 50) for n in range(60))).added == 50
    assert len(all_of(project)) == 50


# --- out ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["json", "csv"])
def test_an_export_comes_back_as_it_was(project: Project, form: str, tmp_path: Path) -> None:
    load(
        project,
        person(
            1, alias="=cmd()", tags=["a|b", "-x"], attributes={"ü": [1, None, "=2"]}, city="@"
        ),
        person(2, state="unsubscribed", tags=["VIP"], language="ar", country="EG"),
        person(3, alias="label", alias_trusted=False),
    )
    lines = subscribers.export(project.store, EVERYONE, NOON, as_csv=form == "csv")
    path = tmp_path / "out"
    assert subscribers.write(path, lines) == 3 + (form == "csv")
    assert path.stat().st_mode & 0o777 == 0o600
    before = [_without_ids(one) for one in all_of(project)]

    (tmp_path / "elsewhere").mkdir()
    with Store(tmp_path / "elsewhere" / "pushctl.db", create=True) as other:
        elsewhere = Project(project.config, other, project.key)
        assert bring(elsewhere, path).refused == 0
        assert [_without_ids(one) for one in all_of(elsewhere)] == before


def _without_ids(one: Subscription) -> dict[str, Any]:
    kept = {name: getattr(one, name) for name in one.__slots__}
    return {name: value for name, value in kept.items() if name not in ("id", "public_id")}


def test_no_cell_of_a_csv_is_a_formula(project: Project) -> None:
    load(project, person(1, alias="=1+1", city="+A1", source="@x", tags=["-2+3"]))
    text = "\n".join(subscribers.export(project.store, EVERYONE, NOON, as_csv=True))
    _, row = csv.reader(io.StringIO(text))
    assert not [cell for cell in row if cell.startswith(("=", "+", "@", "-", "\t", "\r"))]


def test_an_export_without_keys_reaches_nobody(project: Project) -> None:
    load(project, person(1))
    for form in (True, False):
        lines = subscribers.export(project.store, EVERYONE, NOON, as_csv=form, keys=False)
        text = "\n".join(lines)
        for secret in (support.endpoint(1), person(1)["keys"]["p256dh"]):
            assert secret not in text


def test_an_export_of_some(project: Project) -> None:
    load(project, person(1, tags=["VIP"]), person(2))
    asked = audience.parse("tag('VIP')")
    assert len(list(subscribers.export(project.store, asked, NOON, as_csv=False))) == 1


# --- finding -----------------------------------------------------------------------------


def test_a_subscriber_is_found_by_id_prefix_number_and_alias(project: Project) -> None:
    load(project, person(1, alias="c7"), person(2))
    one = all_of(project)[0]
    for ref in (one.public_id, one.public_id[:6], str(one.id), "alias:c7"):
        assert project.store.subscriptions.get(ref, NOON) == one


@pytest.mark.parametrize(
    "ref", ["", "abc", "alias:", "alias:nobody", "99", "%", "______", "9" * 30]
)
def test_who_is_not_there_is_not_found(project: Project, ref: str) -> None:
    load(project, person(1))
    with pytest.raises(NotFoundError, match="no subscriber is called"):
        project.store.subscriptions.get(ref)


def test_an_alias_of_several_browsers_stands_for_all_and_for_no_single_one(
    project: Project,
) -> None:
    load(project, person(1, alias="c7"), person(2, alias="c7"))
    assert len(project.store.subscriptions.find("alias:c7")) == 2
    with pytest.raises(UsageError, match="stands for 2 subscribers"):
        project.store.subscriptions.get("alias:c7")


def test_a_prefix_of_two_ids_is_refused(project: Project) -> None:
    load(project, person(1), person(2))
    with project.store.write() as connection:
        connection.execute("UPDATE subscriptions SET public_id = 'abcdefgh' || id")
    with pytest.raises(UsageError, match="several subscribers' ids"):
        project.store.subscriptions.get("abcdef")


def test_marking_writes_what_changed_and_only_that(project: Project) -> None:
    load(project, person(1), person(2))
    mark = project.store.subscriptions.mark
    assert mark([1, 2], SubscriptionState.GONE, "410", NOON) == 2
    assert mark([1, 2], SubscriptionState.GONE, "404", NOON + 1) == 0
    assert mark([1], SubscriptionState.ACTIVE, "seen again", NOON + 2) == 1
    changes = [(one["kind"], one["reason"]) for one in project.store.subscriptions.changes(1)]
    assert changes == [("gone", "410"), ("revived", "seen again")]
    counts = project.store.subscriptions.counts_by_state()
    assert counts == {"active": 1, "gone": 1, "unsubscribed": 0, "quarantined": 0}


def test_growth_is_counted_by_the_days_of_the_wall_clock(project: Project) -> None:
    load(project, person(1, subscribed_at=NOON - DAY), person(2, subscribed_at=NOON))
    project.store.subscriptions.mark([1], SubscriptionState.GONE, "410", NOON)
    growth = project.store.subscriptions.growth(NOON - 7 * DAY, NOON + 1, offset=2 * 3_600_000)
    assert [(one.new, one.gone) for one in growth] == [(1, 0), (1, 1)]
    assert [one.day % DAY for one in growth] == [DAY - 2 * 3_600_000] * 2
    assert project.store.subscriptions.losses(0, NOON + 1) == [("gone", "410", 1)]


# --- forgetting --------------------------------------------------------------------------


def forget(project: Project, ref: str, *, dry_run: bool = False) -> forgetting.Forgotten:
    return forgetting.forget(
        project.store, project.config, SECRET, ref, NOON + 120_000, dry_run=dry_run
    )


def everything(project: Project) -> bytes:
    """All bytes that the project keeps of people: database, log, inbox, quarantine."""
    files = [*project.config.folder.glob("*.db*"), *project.config.inbox.rglob("*")]
    return b"".join(path.read_bytes() for path in files if path.is_file())


def settled(project: Project, writer: Writer) -> list[bytes]:
    """Two people with a history, one line of it in quarantine; return ann's secrets."""
    ann, bob = Browser(71, project.key), Browser(72, project.key)
    for one, name in ((ann, "ann-the-customer"), (bob, "bob-the-customer")):
        writer.append(
            [
                one.subscribe(attributes={"note": f"note of {name}"}, tags=["VIP"]),
                one.post("/v1/identify", alias=name, signature=sign_alias(name)),
                one.post(
                    "/v1/events", events=[{"name": "purchase", "properties": {"who": name}}]
                ),
                one.post("/v1/events", events=f"not a list, from {name}"),
            ]
        )
    project.drain()
    auth = support.auth(71)
    return [ann.endpoint.encode(), b"ann-the-customer", encode(auth).encode(), auth,
            support.p256dh(71)]  # fmt: skip


def test_nothing_of_a_forgotten_person_is_left_anywhere(project: Project) -> None:
    writer = Writer(project.config.inbox)  # lives on: its segment can't be removed
    secrets = settled(project, writer)
    before = everything(project)
    assert all(secret in before for secret in secrets)
    done = forget(project, "alias:ann-the-customer")
    assert (done.subscriptions, done.tags, done.events) == (1, 1, 2)
    assert (done.inbox_lines, done.quarantined_lines) == (4, 1)
    after = everything(project)
    assert [secret for secret in secrets if secret in after] == []
    assert b"bob-the-customer" in after
    assert Browser(72, project.key).endpoint.encode() in after


def test_a_rehearsal_of_forgetting_changes_nothing(project: Project) -> None:
    writer = Writer(project.config.inbox)
    settled(project, writer)
    people = all_of(project)
    done = forget(project, "alias:ann-the-customer", dry_run=True)
    assert (done.subscriptions, done.inbox_lines, done.quarantined_lines) == (1, 4, 1)
    assert all_of(project) == people


def test_the_inbox_goes_on_after_somebody_was_forgotten(project: Project) -> None:
    writer = Writer(project.config.inbox)
    settled(project, writer)
    forget(project, "alias:ann-the-customer")
    bob = Browser(72, project.key)
    writer.append([bob.post("/v1/tags", add=["later"])])
    assert dict(project.drain().applied) == {"tagged": 1}
    assert not any(
        isinstance(entry.item, inbox.BadLine) for entry in inbox.read(project.config.inbox, {})
    )


def test_campaigns_keep_their_figures_without_the_person(project: Project) -> None:
    load(project, person(1, alias="c7"), person(2))
    campaign = project.store.campaigns.create(
        name="spring", template="t", audience="alias = 'c7'", sources={}, options={}, now=NOON,
        expires_at=None,
    )  # fmt: skip
    project.store.deliveries.plan(campaign.id, [1, 2], now=NOON, expires_after=None)
    with project.store.write() as connection:
        connection.execute(
            "UPDATE deliveries SET status = 'accepted' WHERE subscription_id = 2"
        )
    browser = Browser(2, project.key)
    project.drain(browser.report(2, "shown", id="1"), browser.report(2, "clicked", id="2"))
    forget(project, "alias:c7")
    forget(project, "2")
    assert project.store.deliveries.counts(campaign.id) == {"accepted": 1, "skipped": 1}
    sql = "SELECT count(*), count(subscription_id) FROM deliveries"
    assert project.store.connection.execute(sql).fetchone() == (2, 0)
    sql = "SELECT count(*) FROM interactions"
    assert project.store.connection.execute(sql).fetchone() == (2,)
    assert "c7" not in project.store.campaigns.get("spring").audience


# --- the commands ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project made by init, with four subscribers and one refused line."""
    here = projects.make(tmp_path_factory.mktemp("shop"))
    lines = [person(n, tags=["VIP"] if n < 2 else ["News"], alias=f"c{n}") for n in range(4)]
    for line in lines:
        del line["site"]
    text = "\n".join([*map(json.dumps, lines), "rubbish"])
    (here / "people.jsonl").write_text(text)
    done = pushctl("subscribers", "import", "people.jsonl", "--json", cwd=here)
    assert done.code == 0
    assert json.loads(done.out)["added"] == 4
    assert "1 refused: no JSON" in done.err
    return here


def test_listing_and_showing(folder: Path) -> None:
    done = pushctl("subscribers", "list", "--tag", "vip", "--csv", cwd=folder)
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [row["alias"] for row in rows] == ["c0", "c1"]
    assert done.err == ""
    shown = pushctl("subscribers", "show", rows[0]["public_id"][:8], "--json", cwd=folder)
    one = json.loads(shown.out)
    assert (one["alias"], one["tags"]) == ("c0", ["VIP"])
    assert support.endpoint(0) not in shown.out
    assert one["push_service"].startswith("updates.push.services.mozilla.com/#")


def test_tagging_by_hand_and_the_list_of_tags(folder: Path) -> None:
    assert pushctl("subscribers", "tag", "Wholesale", "alias:c3", cwd=folder).code == 0
    assert pushctl("subscribers", "tag", "All", "--where", "everyone", cwd=folder).code == 0
    assert pushctl("subscribers", "untag", "all", "alias:c3", cwd=folder).code == 0
    done = pushctl("tags", "list", "--json", cwd=folder)
    counts = {row["name"]: row["active"] for row in json.loads(done.out)}
    assert counts == {"All": 3, "VIP": 2, "News": 2, "Wholesale": 1}


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["show", "nobody"], 4, "no subscriber is called"),
        (["tag", "x"], 2, "name subscribers, or an audience"),
        (["tag", "x", "alias:c1", "--where", "everyone"], 2, "name subscribers, or"),
        (["untag", "never was", "alias:c1"], 4, "there is no tag"),
        (["import", "none.csv"], 2, "can't be read"),
        (["import", "people.jsonl", "--site", "x"], 2, "no site is called"),
        (["list", "--where", "country ="], 2, "country ="),
        (["forget", "alias:c1"], 2, "--yes"),
        (["forget", "nobody", "--yes"], 4, "no subscriber"),
    ],
)
def test_mistakes_have_their_exit_codes(
    folder: Path, arguments: list[str], code: int, text: str
) -> None:
    done = pushctl("subscribers", *arguments, cwd=folder)
    assert (done.code, done.out) == (code, "")
    assert text in done.err
    assert "Traceback" not in done.err


def test_a_file_without_one_right_line_is_a_failure(folder: Path) -> None:
    (folder / "rubbish.jsonl").write_text("{}\n{}\n")
    done = pushctl("subscribers", "import", "rubbish.jsonl", cwd=folder)
    assert done.code == 2
    assert "not one line could be taken" in done.err


def test_exporting_and_forgetting(folder: Path) -> None:
    done = pushctl("subscribers", "export", "-o", "all.jsonl", cwd=folder)
    assert "4 subscribers written to all.jsonl" in done.err
    assert os.stat(folder / "all.jsonl").st_mode & 0o777 == 0o600
    rehearsed = pushctl("subscribers", "forget", "alias:c2", "--dry-run", "--json", cwd=folder)
    assert json.loads(rehearsed.out)["subscriptions"] == 1
    assert pushctl("subscribers", "forget", "alias:c2", "--yes", cwd=folder).code == 0
    piped = pushctl("subscribers", "export", "--csv", cwd=folder)
    assert len(list(csv.DictReader(io.StringIO(piped.out)))) == 3
    again = pushctl("subscribers", "import", "all.jsonl", "--json", cwd=folder)
    assert json.loads(again.out)["refused"] == 1


def test_an_empty_inbox_is_told_on_stderr(folder: Path) -> None:
    done = pushctl("import", cwd=folder)
    assert (done.code, done.out, done.err) == (0, "", "Nothing was waiting.\n")


def test_reading_from_a_pipe(folder: Path) -> None:
    import subprocess
    import sys

    line = person(9)
    del line["site"]
    done = subprocess.run(
        [sys.executable, "-m", "pushctl", "subscribers", "import", "-", "--json"],
        input=gzip.compress(json.dumps(line).encode()),
        capture_output=True,
        cwd=folder,
        check=True,
    )
    assert json.loads(done.stdout)["added"] == 1


def test_an_endpoint_never_reaches_a_message(folder: Path) -> None:
    secret = support.endpoint(123456)
    bad = {"endpoint": secret, "keys": {"p256dh": "AAAA", "auth": "BBBB"}}
    (folder / "bad.jsonl").write_text(json.dumps(bad))
    done = pushctl("subscribers", "import", "bad.jsonl", cwd=folder)
    assert done.code == 2
    assert secret not in done.out + done.err
    assert tokens.endpoint_hash(secret).hex() not in done.out + done.err
