"""What sweeps publish for Prometheus: valid, bounded, of nobody, and never in a sweep's way."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import lark
import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as open_exposition
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_open,
)
from prometheus_client.parser import text_string_to_metric_families

from pushctl import config as configs
from pushctl import exposition
from pushctl.demo.pushservice import PushService
from pushctl.jobs.project import cron
from pushctl.jobs.sweep import metrics
from pushctl.model import CampaignStatus
from pushctl.store import clocks
from tests.support import ROOT, project, receiving, sending
from tests.support.program import Run, pushctl
from tests.support.sending import Field

HOSTILE = 'Sale "50%"\\ \u202e{evil="1"}'


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """Three people had a message; some campaigns wait, one has somebody's text as its name."""
    home = tmp_path_factory.mktemp("metrics")
    with PushService(home / "service", checks=False) as service:
        made = sending.field(home / "project", service)
        folder = made.config.folder
        sending.lead_to(folder, service)
        (home / "textfile").mkdir()
        text = '[metrics]\ntextfile = "../textfile/pushctl.prom"\ncampaigns = 3'
        project.add(folder, text)
        made.people(3)
        words = ("send", "--everyone", "--template", "sale", "--yes", "--name")
        assert pushctl(*words, "first", cwd=folder).code == 0
        for number in range(6):
            one = made.freeze(sending.soon(), name=f"{HOSTILE} {number}{'x' * 90}")
            status = CampaignStatus.PAUSED if number else CampaignStatus.RUNNING
            made.store.campaigns.change_status(one.id, status, sending.soon())
        yield made
        made.store.close()


@pytest.fixture(autouse=True)
def no_cron(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cron, "read_crontab_if_any", str)


def sweep(field: Field) -> Run:
    return pushctl("sweep", cwd=field.config.folder)


def textfile(field: Field) -> Path:
    return field.config.folder.parent / "textfile" / "pushctl.prom"


class Parsed:
    """The text of a file, as Prometheus' own parsers read it, in both formats."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))
        registry = CollectorRegistry()
        registry.register(self)  # type: ignore[arg-type]
        again = open_exposition.generate_latest(registry).decode()
        # The stricter one: names, units, counters that end in _total, escapes, # EOF.
        assert len(list(parse_open(again))) == len(self.families)
        self.samples = {
            (each.name, *sorted(each.labels.values())): each.value
            for family in self.families
            for each in family.samples
        }

    def collect(self) -> list[Metric]:
        return self.families


def read(field: Field) -> Parsed:
    return Parsed(textfile(field).read_text("utf-8"))


def test_a_sweep_writes_figures_that_prometheus_can_read(field: Field) -> None:
    before = time.time()
    assert sweep(field).code == 0
    found = read(field)
    assert found.samples["pushctl_sweep_last_success_timestamp_seconds",] >= before - 1
    assert found.samples["pushctl_sweep_last_exit_code",] == 0
    assert found.samples["pushctl_runs_ended_total", "done", "send"] == 1
    assert found.samples["pushctl_runs_started_total", "sweep"] >= 1
    assert found.samples["pushctl_messages_total", "accepted"] >= 3
    assert found.samples["pushctl_campaigns", "paused"] == 5
    assert found.samples["pushctl_queue_overdue",] == 0
    assert found.samples["pushctl_sweep_stage_duration_seconds", "drain"] >= 0
    for family in found.families:
        assert family.documentation and family.type in ("counter", "gauge"), family.name
        assert family.name.startswith("pushctl_")
    assert textfile(field).stat().st_mode & 0o777 == 0o644
    assert [each.name for each in textfile(field).parent.iterdir()] == ["pushctl.prom"]


def test_a_unit_that_closes_its_files_keeps_none_from_node_exporter(tmp_path: Path) -> None:
    file = tmp_path / "pushctl.prom"
    before = os.umask(0o077)
    try:
        exposition.write(file, f"{exposition.LAST_SUCCESS} 0\n")
        exposition.renew(file, 1.0)
    finally:
        os.umask(before)
    assert file.read_text() == f"{exposition.LAST_SUCCESS} 1.000\n"
    assert file.stat().st_mode & 0o777 == 0o644


def test_labels_name_no_person_and_few_campaigns_with_harmless_names(field: Field) -> None:
    sweep(field)
    text = textfile(field).read_text("utf-8")
    for endpoint, person in field.store.connection.execute(
        "SELECT endpoint, public_id FROM subscriptions"
    ):
        assert endpoint not in text and person not in text
    found = read(field)
    named = [key for key in found.samples if key[0] == "pushctl_campaign_info"]
    assert len(named) == 3, "[metrics] campaigns"
    for _, number, name in named:
        assert number.isdecimal()
        assert name.startswith('Sale "50%"\\ \ufffd{evil="1"}') and len(name) == 64
    for key in found.samples:
        assert not key[0].startswith("pushctl_campaign_messages") or len(key) == 3
    assert "\u202e" not in text


def test_many_campaigns_and_stages_stay_within_bounds(field: Field) -> None:
    config = configs.load(field.config.file, {"PUSHCTL_METRICS__CAMPAIGNS": "0"})
    text = exposition.render(metrics.collect(config, field.store, sending.soon()))
    assert "campaign_info" not in text and "pushctl_campaigns{" in text
    assert len(text) < 20_000


def test_a_sweep_without_work_renews_the_time_alone(field: Field) -> None:
    for _ in range(3):
        sweep(field)
    before = read(field).samples
    runs = field.store.runs.load_totals()
    began = time.time()
    idle = pushctl("sweep", cwd=field.config.folder, anew=True)
    assert (idle.code, idle.out, idle.err) == (0, "", "")
    assert field.store.runs.load_totals() == runs, "it had no work"
    after = read(field).samples
    key = ("pushctl_sweep_last_success_timestamp_seconds",)
    assert after.pop(key) >= began - 1 > 0
    before.pop(key)
    assert after == before


def test_a_failed_sweep_says_so_and_its_time_stays(field: Field) -> None:
    sweep(field)
    before = read(field).samples
    file = field.config.folder / "pushctl.db.generation"
    kept = file.read_text()
    file.write_text("999999")
    try:
        whole = ("sweep", "--max-seconds", "60")  # also where there is nothing to do
        assert pushctl(*whole, cwd=field.config.folder).code == 3
    finally:
        file.write_text(kept)
    after = read(field).samples
    key = ("pushctl_sweep_last_success_timestamp_seconds",)
    assert after[key] == before[key]
    assert after["pushctl_sweep_last_exit_code",] == 3
    failed = ("pushctl_runs_ended_total", "failed", "sweep")
    assert after[failed] == before.get(failed, 0) + 1


def test_a_folder_that_takes_no_file_fails_no_sweep_and_check_says_so(field: Field) -> None:
    folder, aside = textfile(field).parent, textfile(field).parent.with_name("aside")
    folder.rename(aside)
    try:
        assert sweep(field).code == 0
        last = clocks.read_last_sweep(clocks.name_lock(field.config.database))
        assert last is not None
        checked = pushctl("check", cwd=field.config.folder)
        assert "pushctl.prom: no sweep has written it" in checked.out
    finally:
        aside.rename(folder)


def test_another_ending_is_refused(field: Field) -> None:
    run = pushctl("check", cwd=field.config.folder, PUSHCTL_METRICS__TEXTFILE="x.txt")
    assert run.code == 3 and ".prom" in run.out


def test_the_receiver_shows_what_sweeps_published(tmp_path: Path, field: Field) -> None:
    port = receiving.free_port()
    with receiving.running(tmp_path, metrics=f"127.0.0.1:{port}"):
        status = tmp_path / "status"
        answer = receiving.get(port, "/metrics").body.decode()
        assert "pushctl_sweep_figures_readable 0.0" in answer
        status.mkdir(exist_ok=True)
        config = configs.load(field.config.file, {})
        text = exposition.render(metrics.collect(config, field.store, sending.soon()))
        exposition.write(status / exposition.NAME, text)
        found = Parsed(receiving.get(port, "/metrics").body.decode())
        assert found.samples["pushctl_sweep_figures_readable",] == 1
        assert found.samples["pushctl_campaigns", "paused"] == 5
        assert ("pushctl_connections_open",) in found.samples
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        strict = receiving.request(port, "GET", "/metrics", None, accept)
        assert strict.body.decode().endswith("# EOF\n")
        assert list(parse_open(strict.body.decode()))
        (status / exposition.NAME).write_text("pushctl_broken{ 1\n")
        answer = receiving.get(port, "/metrics").body.decode()
        assert "pushctl_sweep_figures_readable 0.0" in answer
        assert "pushctl_connections_open" in answer


# The part of PromQL that docs/monitoring.md uses.
PROMQL = lark.Lark(r"""
    ?start: compare
    ?compare: sum (("<" | ">" | "==" | "!=") sum)?
    ?sum: product (("+" | "-") product)*
    ?product: atom (("*" | "/") atom)*
    ?atom: NUMBER | call | selector | "(" compare ")"
    call: FUNCTION "(" [compare ("," compare)*] ")"
    selector: METRIC ["{" matcher ("," matcher)* "}"] [RANGE]
    matcher: LABEL ("=" | "!=" | "=~") STRING
    FUNCTION.2: /(time|absent|increase|rate|sum|max)(?=\()/
    METRIC: /[a-z_:][a-z0-9_:]*/
    LABEL: /[a-z_][a-z0-9_]*/
    RANGE: /\[[0-9]+[smhd]\]/
    STRING: /"[^"]*"/
    NUMBER: /[0-9]+(\.[0-9]+)?/
    %ignore /\s+/
""")
# Of the page and not of this project's figures: no backup was made here.
ELSEWHERE = {("command", "backup"), ("state", "dead")}


@pytest.fixture(scope="module")
def families(field: Field) -> dict[str, list[exposition.Family]]:
    """All that sweeps publish, by the name that a sample has."""
    number = field.store.runs.start("sweep", sending.soon())
    field.store.runs.finish(number, sending.soon(), 77, {}, stages={"drain": 0.1})
    number = field.store.runs.start("sweep", sending.soon())
    field.store.runs.finish(number, sending.soon(), 3, {}, stages={"drain": 0.1})
    found: dict[str, list[exposition.Family]] = {}
    for one in metrics.collect(field.config, field.store, sending.soon()):
        found.setdefault(one.name, []).append(one)
    return found


def test_the_page_names_each_metric_with_its_type_and_labels(
    families: dict[str, list[exposition.Family]],
) -> None:
    page = (ROOT / "docs/monitoring.md").read_text("utf-8")
    rows = re.findall(r"^\| `(pushctl_\w+)` \| (\w+)(?:, ([\w ]+))? \|", page, re.MULTILINE)
    told = {
        name: (kind, set(labels.replace(" and ", " ").split())) for name, kind, labels in rows
    }
    only_receiver = told.pop("pushctl_sweep_figures_readable")
    assert only_receiver == ("gauge", set())
    assert told.keys() == families.keys()
    for name, (kind, labels) in told.items():
        for family in families[name]:
            assert family.kind == kind
            assert (kind == "counter") == name.endswith("_total")
            for given, _ in family.samples:
                assert given.keys() == labels, name


def test_the_pages_rules_are_rules_about_metrics_that_there_are(
    families: dict[str, list[exposition.Family]],
) -> None:
    page = (ROOT / "docs/monitoring.md").read_text("utf-8")
    (text,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (group,) = yaml.safe_load(text)["groups"]
    assert len(group["rules"]) == len({rule["alert"] for rule in group["rules"]}) > 10
    known = {
        (label, value)
        for each in families.values()
        for family in each
        for labels, _ in family.samples
        for label, value in labels.items()
    }
    receivers = {"pushctl_disk_full"}
    for rule in group["rules"]:
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"[0-9]+[mh]", rule.get("for", "1m"))
        assert rule["annotations"]["summary"].endswith(".")
        tree = PROMQL.parse(rule["expr"])
        names = {str(it) for it in tree.scan_values(lambda it: it and it.type == "METRIC")}
        assert names and names <= families.keys() | receivers, names
        for matcher in tree.find_data("matcher"):
            label, value = (str(it) for it in matcher.children)
            assert (label, value.strip('"')) in known | ELSEWHERE, (label, value)
