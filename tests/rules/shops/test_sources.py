"""[sources.NAME]: what is a source, and every fault of one."""

from typing import Any

import pytest

from pushctl.rules.shops import sources
from pushctl.rules.shops.sources import KINDS, Secrets


def faults(**tables: Any) -> list[str]:
    _, found = sources.parse_all(tables, ["shop", "blog"])
    return [f"{'.'.join(each.path)} {each.text} / {each.remedy}" for each in found]


def test_a_source_has_a_path_of_its_own() -> None:
    table = {"kind": "woocommerce", "site": "shop", "alias": "customer_id"}
    found, wrong = sources.parse_all({"woo": table}, ["shop"])
    assert wrong == []
    assert found["woo"].path == "/hooks/woo"
    assert found["woo"].options.alias == "customer_id"
    assert found["woo"].options.email is True


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({}, "kind is missing"),
        ({"kind": "woocommerce"}, "site is missing"),
        (
            {"kind": "woocommerse", "site": "shop"},
            "no kind of source / Did you mean woocommerce",
        ),
        ({"kind": "woocommerce", "site": "shp"}, "has 'shp' / Did you mean shop?"),
        ({"kind": "woocommerce", "site": "shop", "mail": 1}, "there is no such setting"),
        ({"kind": "woocommerce", "site": "shop", "email": 1}, "not true or false"),
        ({"kind": "woocommerce", "site": "shop", "alias": "id"}, "alias is 'id'"),
        ({"kind": 7, "site": "shop"}, "is 7, not a text"),
        (7, "is no table"),
    ],
)
def test_every_fault_has_its_place(table: Any, expected: str) -> None:
    assert expected in " | ".join(faults(woo=table))


def test_names_are_parts_of_addresses_and_of_orders() -> None:
    table = {"kind": "woocommerce", "site": "shop"}
    for name in ("Woo", "a/b", "a b", "page", "api", ""):
        assert len(faults(**{name: table})) == 1, name


def test_all_faults_are_found_at_once() -> None:
    assert len(faults(a={"site": "x"}, b={"kind": "woocommerce", "site": "y", "z": 1})) == 3


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_can_be_loaded(name: str) -> None:
    kind = sources.load_kind(name)
    assert callable(kind.verify)
    assert callable(kind.read)


def test_secrets_for_other_uses_sign_nothing() -> None:
    made = Secrets.of([b"one", b"two"], {"buy-link": b"three"})
    assert list(made) == [b"one", b"two"]
    assert made.words == {"buy-link": b"three"}
    assert not Secrets.of([], {"buy-link": b"three"})
