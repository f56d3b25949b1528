"""Prices and stock: who wanted it is told, once, and only what is true."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl import cli
from pushctl.jobs.ingest import products
from pushctl.store import Store
from pushctl.store.events import Event
from tests.support import MINUTE, NOON, project, sending
from tests.support.sending import Field
from tests.support.shop import decide_all

NOW = "2026-04-28T10:00:00+02:00"  # NOON of the tests

PRICES = """
[triggers.price]
on = "price_dropped"
where = { drop = ">= 0.1" }
steps = [{ template = "sale" }]
"""


@pytest.fixture
def field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Field]:
    folder = tmp_path / "project"
    made = sending.field(folder)
    project.add(folder, PRICES)
    monkeypatch.setenv("PUSHCTL_PROJECT", str(folder))
    monkeypatch.setenv("PUSHCTL_NOW", NOW)
    yield made
    made.store.close()


def run(*words: str) -> int:
    return cli.run(list(words))


def happens(field: Field, person: int, name: str, at: int = NOON, **properties: object) -> None:
    key = f"{person}:{name}:{at}:{properties}"
    field.store.events.add([Event(person, name, at, at, properties, key)])


def fill(store: Store, person: int, at: int, price: float = 80) -> None:
    items = [{"id": "lamp", "name": "Lamp", "price": price}]
    store.events.add(
        [Event(person, "cart_updated", at, at, {"items": items}, f"{person}:{at}")]
    )


def decide(field: Field, at: int = NOON) -> None:
    from pushctl import config as configs

    config = configs.load(field.config.folder / "pushctl.toml", {})
    decide_all(config, field.store, at)


def told(field: Field, person: int) -> list[Event]:
    names = (products.DROPPED, products.BACK)
    return [event for event in field.store.events.list_newest(person) if event.name in names]


def imported(tmp_path: Path, *texts: str) -> None:
    """Import one list after the other."""
    file = tmp_path / "products"
    for text in texts:
        file.write_text(text)
        assert run("catalogue", "import", str(file)) == 0


def test_a_lower_price_is_told_to_who_looked_at_it(field: Field, tmp_path: Path) -> None:
    ann, bob, eve = field.people(3)
    for person, product in ((ann, "lamp"), (bob, "chair")):
        field.store.events.add(
            [Event(person, "product_viewed", NOON, NOON, {"id": product}, f"v{person}")]
        )
    fill(field.store, eve, NOON)
    decide(field)
    file = tmp_path / "products.csv"
    file.write_text("id,name,price,available,url\nlamp,Lamp,80,true,https://evil.example/\n")
    assert run("catalogue", "import", str(file)) == 0
    file.write_text('{"id": "lamp", "name": "Lamp", "price": 60}\n')
    assert run("catalogue", "import", str(file)) == 0
    told = {
        person: [
            e for e in field.store.events.list_newest(person) if e.name == products.DROPPED
        ]
        for person in (ann, bob, eve)
    }
    assert [len(events) for events in told.values()] == [1, 0, 1]
    assert told[ann][0].properties == {
        "id": "lamp", "name": "Lamp", "price": 60.0, "was": 80.0, "drop": 0.25
    }  # fmt: skip
    decide(field, NOON + MINUTE)
    assert [enrolment.trigger for enrolment in field.store.enrolments.list_all(ann)] == [
        "price"
    ]


def test_what_was_gone_and_is_back_is_told(field: Field, tmp_path: Path) -> None:
    (ann,) = field.people(1)
    fill(field.store, ann, NOON)
    decide(field)
    file = tmp_path / "products.jsonl"
    for available in ("false", "true", "true"):
        file.write_text(f'{{"id": "lamp", "available": {available}}}\n')
        assert run("catalogue", "import", str(file)) == 0
    names = [event.name for event in field.store.events.list_newest(ann)]
    assert names.count(products.BACK) == 1


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{nonsense}", "line 1"),
        ('{"name": "no id"}', "line 1"),
        ("id,price\nlamp,cheap\n", "line 2"),
        ("id,available\nlamp,perhaps\n", "line 2"),
    ],
)
def test_a_product_list_that_cannot_be_meant(
    field: Field, tmp_path: Path, text: str, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "products"
    file.write_text(text)
    assert run("catalogue", "import", str(file)) == 2
    assert place in capsys.readouterr().err


def test_who_has_bought_hears_of_no_lower_price(field: Field, tmp_path: Path) -> None:
    ann, bob, eve, kim = field.people(4)
    for person in (ann, bob, eve, kim):
        fill(field.store, person, NOON)
    happens(field, ann, "purchase", NOON + 1, items=[{"id": "lamp"}])
    happens(field, bob, "purchase", NOON + 1, total=80)  # what lay in the basket
    happens(field, eve, "purchase", NOON + 1, items=[{"id": "chair"}])
    decide(field, NOON + MINUTE)
    imported(tmp_path, "id,price\nlamp,80\n", "id,price\nlamp,60\n")
    assert [len(told(field, one)) for one in (ann, bob, eve, kim)] == [0, 0, 1, 1]


def test_a_purchase_on_one_device_counts_for_the_other(field: Field, tmp_path: Path) -> None:
    phone, laptop = field.people(2)
    for device in (phone, laptop):
        field.store.subscriptions.set_alias(device, "ann", True)
    fill(field.store, phone, NOON)
    happens(field, laptop, "purchase", NOON + 1, items=[{"id": "lamp"}])
    decide(field, NOON + MINUTE)
    imported(tmp_path, "id,price\nlamp,80\n", "id,price\nlamp,60\n")
    assert told(field, phone) == []


def test_a_list_of_stock_alone_keeps_names_and_links(field: Field, tmp_path: Path) -> None:
    (ann,) = field.people(1)
    happens(field, ann, "stock_awaited", id="lamp")
    decide(field)
    imported(
        tmp_path,
        "id,name,url,price,available\nlamp,Brass lamp,/lamp,80,no\n",
        "id,available\nlamp,yes\n",
    )
    (event,) = told(field, ann)
    assert event.name == products.BACK
    assert event.properties == {"id": "lamp", "name": "Brass lamp", "url": "/lamp", "price": 80}


def test_one_product_with_two_prices_is_refused_and_nothing_is_written(
    field: Field, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (ann,) = field.people(1)
    fill(field.store, ann, NOON)
    decide(field)
    imported(tmp_path, "id,price\nlamp,80\n")
    file = tmp_path / "twice.csv"
    file.write_text("id,price\nlamp,90\nchair,5\nlamp,70\n")
    assert run("catalogue", "import", str(file)) == 2
    assert "line 4: 'lamp' stands there twice" in capsys.readouterr().err
    assert told(field, ann) == []
    imported(tmp_path, "id,price\nlamp,80\nlamp,80\n")
    assert told(field, ann) == []


@pytest.mark.parametrize(
    "text",
    [
        "Id;Name;Price;Available\nlamp;Lamp;60,50;in stock\n",
        "\ufeffid\tprice\r\nlamp\t60.50\r\n",
        '{"id": "lamp", "price": 60.5}\n\n',
        'sep=;\nid;price\nlamp;"60,5"\n',
        "id|price\rlamp|60.50\r",
        'id;price\nlamp;60,50\nsofa;"1.299"\n',
    ],
)
def test_lists_as_other_programs_write_them(field: Field, tmp_path: Path, text: str) -> None:
    (ann,) = field.people(1)
    fill(field.store, ann, NOON)
    decide(field)
    imported(tmp_path, "id,price\nlamp,80\n", text)
    assert [event.properties["price"] for event in told(field, ann)] == [60.5]


@pytest.mark.parametrize("price", ["1.299", "$ 19.90 EUR", "from 5", "-1", "inf", "1e300"])
def test_a_price_that_may_mean_two_things_is_refused(
    field: Field, tmp_path: Path, price: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "products.csv"
    file.write_text(f'id;price\nlamp;"{price}"\n')
    assert run("catalogue", "import", str(file)) == 2
    assert "line 2 has a price" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("price", "number"),
    [("1.299,00", 1299), ("49.00 EUR", 49), ("1.299 EUR", 1299), ("1'299.50", 1299.5)],
)
def test_a_price_as_people_write_it(
    field: Field, tmp_path: Path, price: str, number: float
) -> None:
    imported(tmp_path, f'id;price\nlamp;"{price}"\n')
    stored = field.store.products.get(1, "lamp")
    assert stored is not None and stored.price is not None
    assert (stored.price.number, stored.price.currency) == (
        number,
        stored.about.get("currency"),
    )
    assert stored.about == ({"currency": "EUR"} if "EUR" in price else {})


def test_the_site_s_currency_is_that_of_prices_without_one(
    field: Field, tmp_path: Path
) -> None:
    (ann,) = field.people(1)
    fill(field.store, ann, NOON)
    decide(field)
    imported(tmp_path, "id,price\nlamp,80\n", 'id,price\nlamp,"60,50 €"\n')
    assert told(field, ann) == []  # 80 of what?
    file = field.config.folder / "pushctl.toml"
    text = file.read_text().replace("[sites.shop]", '[sites.shop]\ncurrency = "EUR"', 1)
    file.write_text(text)
    imported(tmp_path, "id,price\nrug,80\n", "id,price\nrug,70 EUR\n")
    happens(field, ann, "stock_awaited", id="sofa")
    decide(field, NOON + MINUTE)
    imported(tmp_path, "id,price\nsofa,1.299\n", "id,price\nsofa,999 EUR\n")
    assert [event.properties["was"] for event in told(field, ann)] == [1299]


def test_a_price_keeps_its_currency_when_the_site_or_the_column_changes(
    field: Field, tmp_path: Path
) -> None:
    (ann,) = field.people(1)
    for product in ("lamp", "rug"):
        happens(field, ann, "stock_awaited", id=product)
    decide(field)
    file = field.config.folder / "pushctl.toml"
    text = file.read_text()
    for currency, prices in (("JPY", "lamp,8000"), ("EUR", "lamp,70")):
        site = f'[sites.shop]\ncurrency = "{currency}"'
        file.write_text(text.replace("[sites.shop]", site, 1))
        imported(tmp_path, f"id,price\n{prices}\n")
    imported(
        tmp_path,
        "id,price,currency\nrug,8000,JPY\n",
        "id,currency\nrug,EUR\n",
        "id,price,currency\nrug,70,EUR\n",
    )
    assert told(field, ann) == []
    imported(tmp_path, "id,price\nlamp,60\n")
    assert [event.properties["was"] for event in told(field, ann)] == [70]


def test_a_price_in_another_currency_than_its_column_is_refused(
    field: Field, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "products.csv"
    file.write_text("id,price,currency\nlamp,19.90 USD,EUR\n")
    assert run("catalogue", "import", str(file)) == 2
    assert "its currency is EUR" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'id,name\nrug,Rug\nlamp,"Brass lamp\nsofa,Sofa\nbed,Bed\n',
            "line 3: no CSV (unexpected end",
        ),
        ('id,name\nlamp,"Brass\nsofa,"Sofa"\n', "line 2: no CSV"),
        (
            "id,name\nlamp," + "x" * 200_000 + "\n",
            "line 2: no CSV (field larger than",
        ),
        ("id,price\nlamp,19,90\n", "line 2: 3 cells where the header has 2"),
        ("id,price,price\nlamp,1,2\n", "two columns are called price"),
        ("sku,price\nlamp,1\n", "no column called id"),
        (f"{','.join(f'c{n}' for n in range(50_000))}\n", "no column called id"),  # at once
        ('{"id": "lamp", "x": ' + "[" * 5_000 + "]" * 5_000 + "}\n", "line 1: no JSON"),
        ('{"id": "lamp", "price": [[1]]}', "line 1 has a price that is no number"),
        (b"id,name\nlamp,\xff\n", "is not in UTF-8"),
        ('{"id": ["lamp"]}', "line 1 has no id"),
    ],
)
def test_a_hostile_list_names_the_line_and_writes_nothing(
    field: Field,
    tmp_path: Path,
    text: str | bytes,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "products"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert run("catalogue", "import", str(file)) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert field.store.products.get(1, "lamp") is None


def test_odd_values_of_a_good_list_are_left_out(field: Field, tmp_path: Path) -> None:
    deep = "[" * 900 + "]" * 900
    odd = f'{{"id": 7, "name": {deep}, "image": true, "line": "a\\ud800b", "price": NaN}}'
    imported(tmp_path, odd)
    stored = field.store.products.get(1, "7")
    assert stored is not None and stored.about == {"line": "a\ufffdb"}
    assert stored.price is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("id,price,currency\nlamp,800,TRY\n", "id,price,currency\nlamp,20,EUR\n"),
        ("id,price\nlamp,80\n", "id,price,available\nlamp,60,no\n"),
        ("id,price\nlamp,80\n", "id,price\nlamp,\n"),
    ],
)
def test_what_is_no_lower_price(field: Field, tmp_path: Path, before: str, after: str) -> None:
    (ann,) = field.people(1)
    fill(field.store, ann, NOON)
    decide(field)
    imported(tmp_path, before, after)
    assert told(field, ann) == []
