"""pushctl sources: list them, set their secrets."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support import hooks as h
from tests.support import program, project
from tests.support.program import pushctl

TABLE = '[sources.woo]\nkind = "woocommerce"\nsite = "shop"\n'


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    made = project.make(tmp_path / "shop", "--receiver-url=https://push.shop.example")
    project.add(made, TABLE)
    return made


def give(shop: Path, secret: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*program.PROGRAM, "sources", "secret", "woo", *options],
        input=secret,
        capture_output=True,
        text=True,
        cwd=shop,
        env=program.environment(),
        timeout=60,
    )


def load(shop: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(
        pushctl("sources", "list", "--json", cwd=shop).out
    )
    return found


def test_a_secret_comes_by_stdin_and_is_never_shown(shop: Path) -> None:
    done = give(shop, "my own secret\n")
    assert done.returncode == 0, done.stderr
    assert "https://push.shop.example/hooks/woo" in done.stderr
    assert done.stdout == ""
    listed = pushctl("sources", "list", cwd=shop)
    assert "my own secret" not in listed.out + listed.err + done.stderr
    assert 'secret = "my own secret"' in (shop / "keys/sources.toml").read_text()
    assert load(shop) == [
        {
            "name": "woo",
            "kind": "woocommerce",
            "site": "shop",
            "url": "https://push.shop.example/hooks/woo",
            "secrets": 1,
            "until": None,
            "words": None,
        }
    ]


def test_a_new_one_keeps_the_former_one_for_a_time(shop: Path) -> None:
    give(shop, "first")
    done = give(shop, "second", "--keep=7d")
    assert "The former secret is valid until" in done.stderr
    assert load(shop)[0]["secrets"] == 2
    assert load(shop)[0]["until"] is not None


def test_a_secret_can_be_typed_unseen_or_made(shop: Path) -> None:
    command = (*program.PROGRAM, "sources", "secret", "woo")
    typed = program.on_terminal(command, answers=["typed secret"], cwd=shop)
    assert typed.code == 0, typed.out
    assert "typed secret" not in typed.out
    assert 'secret = "typed secret"' in (shop / "keys/sources.toml").read_text()
    made = pushctl("sources", "secret", "woo", "--generate", cwd=shop)
    assert len(made.out.strip()) == 43
    assert made.out.strip() in (shop / "keys/sources.toml").read_text()


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("secret", "wo"), 4, "no source is called 'wo'. Did you mean woo?"),
        (
            ("secret", "woo", "--word", "ins"),
            2,
            "has no secret 'ins'. It has one secret alone.",
        ),
        (("secret", "woo", "--keep", "long", "--generate"), 2, "no duration"),
        (("secret", "woo"), 2, "a secret is one line"),
    ],
)
def test_a_mistake_is_named(shop: Path, words: tuple[str, ...], code: int, text: str) -> None:
    done = pushctl("sources", *words, cwd=shop)
    assert (done.code, text in done.err) == (code, True), done.err


def test_check_names_a_source_that_refuses_everything(shop: Path) -> None:
    done = pushctl("check", cwd=shop)
    assert "Run: pushctl sources secret woo" in done.err + done.out
    give(shop, "now it has one")
    (shop / "keys/sources.toml").chmod(0o644)
    text = pushctl("check", cwd=shop).out
    assert "pushctl.toml: 1 source" in text
    assert f"chmod 600 {shop / 'keys/sources.toml'}" in text
    project_file = shop / "pushctl.toml"
    project_file.write_text(project_file.read_text().replace(TABLE, ""))
    assert "no source of pushctl.toml" in pushctl("check", cwd=shop).out


def test_an_empty_project_says_how_to_begin(tmp_path: Path) -> None:
    done = pushctl("sources", "list", cwd=project.make(tmp_path / "shop"))
    assert done.code == 0
    assert "docs/shops.md" in done.out + done.err


def test_a_delivery_can_be_tried_and_nothing_is_written(shop: Path) -> None:
    body = shop / "order.json"
    body.write_bytes(h.dump(h.WOO_ORDER))
    before = sorted(shop.rglob("*"))
    topic = "--header=X-WC-Webhook-Topic: order.updated"
    done = pushctl("sources", "try", "woo", "order.json", topic, cwd=shop)
    assert done.code == 0, done.err
    (order,) = json.loads(done.out)["orders"]
    assert (order["number"], order["total"]) == ("727", [2935, 2, "EUR"])
    assert order["codes"] == ["SA..."]  # codes are money
    assert not [canary for canary in h.CANARIES if canary in done.out.lower()]
    assert sorted(shop.rglob("*")) == before
    other = pushctl("sources", "try", "woo", "order.json", cwd=shop)
    assert (other.code, other.out) == (0, "")
    assert '--header "X-WC-Webhook-Topic: order.updated"' in other.err
    topic = "--header=x-wc-webhook-topic: coupon.created"
    foreign = pushctl("sources", "try", "woo", "order.json", topic, cwd=shop)
    assert "nothing that would be kept" in foreign.err


def test_a_mapping_is_tried_with_a_sample(shop: Path) -> None:
    project.add(shop, MAPPED)
    (shop / "sample.json").write_text('{"id": 7, "sum": 19.5, "note": "\\u202e\\u001b[31m"}')
    done = pushctl("sources", "try", "erp", "sample.json", cwd=shop)
    assert json.loads(done.out)["orders"][0]["number"] == "7"
    assert "sources.erp.orders.1.total finds nothing in it." in done.err
    (shop / "sample.json").write_text("<xml/>")
    bad = pushctl("sources", "try", "erp", "sample.json", cwd=shop)
    assert (bad.code, "it is not JSON" in bad.err) == (2, True)
    assert pushctl("sources", "try", "erp", "missing.json", cwd=shop).code == 2
    assert pushctl("sources", "try", "erp", "sample.json", "--header=x", cwd=shop).code == 2


MAPPED = """
[sources.erp]
kind = "mapped"
site = "shop"

[[sources.erp.orders]]
number = "id"
state = "'paid'"
total = "summ"
"""


def test_check_names_a_wrong_mapping(shop: Path) -> None:
    project.add(shop, MAPPED.replace('"summ"', '"sum["'))
    done = pushctl("check", cwd=shop)
    assert done.code == 3
    assert "sources.erp.orders.1.total: is no path" in done.out
