"""Product lists as Google Merchant takes them: XML, and the same names in CSV and JSON."""

import gzip
import io
import time
from datetime import datetime
from pathlib import Path

import pytest

from pushctl.errors import InputError
from pushctl.jobs.triggers import product_files
from pushctl.jobs.triggers.product_files import Product
from pushctl.rules.units import SECOND

NOW = int(datetime.fromisoformat("2026-11-29T12:00:00Z").timestamp() * SECOND)

RSS = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel>
<title>The shop</title><link>https://shop.example</link>
<item>
  <title>An RSS title</title>
  <g:title>Acme Deluxe &amp; more</g:title>
  <link>https://shop.example/p/1</link>
  <g:id>A-1</g:id>
  <g:image_link>https://shop.example/1.jpg</g:image_link>
  <g:additional_image_link>https://shop.example/2.jpg</g:additional_image_link>
  <g:price>1.249,00 EUR</g:price>
  <g:sale_price>999,00 EUR</g:sale_price>
  <g:availability>in stock</g:availability>
  <g:brand>Acme</g:brand>
  <g:product_type>Security &gt; Antivirus</g:product_type>
  <g:product_type>Second</g:product_type>
  <g:item_group_id>A</g:item_group_id>
  <g:shipping><g:country>DE</g:country><g:price>4.90 EUR</g:price></g:shipping>
</item>
<item>
  <g:id>A-2</g:id><g:price>59,00 EUR</g:price><g:availability>preorder</g:availability>
</item>
</channel></rss>"""

ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0">
<title>Shop</title><link href="https://shop.example" rel="self"/>
<entry><id>tag:shop.example,1</id><g:id>A-1</g:id><title>Lamp</title>
<link href="https://shop.example/p/1"/><g:price>49.00 EUR</g:price>
<g:availability>out_of_stock</g:availability></entry></feed>"""


def read(tmp_path: Path, data: bytes | str, now: int = NOW) -> list[Product]:
    file = tmp_path / "products"
    file.write_bytes(data.encode() if isinstance(data, str) else data)
    with io.FileIO(file) as stream:
        return list(product_files.read(stream, "products", None, now))


def test_rss_as_shops_export_it(tmp_path: Path) -> None:
    deluxe, small = read(tmp_path, RSS)

    assert (deluxe.id, deluxe.price, deluxe.was, deluxe.available) == ("A-1", 999, 1249, True)
    assert deluxe.about == {
        "name": "Acme Deluxe & more", "url": "https://shop.example/p/1",
        "image": "https://shop.example/1.jpg", "brand": "Acme", "family": "A",
        "category": "Security > Antivirus", "currency": "EUR",
    }  # fmt: skip
    assert (small.id, small.price, small.was, small.available) == ("A-2", 59, None, False)


def test_atom_and_whatever_carries_it(tmp_path: Path) -> None:
    for data in (ATOM, "\ufeff" + ATOM, gzip.compress(ATOM.encode()), ATOM.encode("utf-16")):
        (lamp,) = read(tmp_path, data)
        assert (lamp.id, lamp.price, lamp.available) == ("A-1", 49, False)
        assert lamp.about["url"] == "https://shop.example/p/1"


@pytest.mark.parametrize(
    "text",
    [
        "id\ttitle\tlink\tprice\tsale_price\tproduct_type\titem_group_id\n"
        "1\tLamp\t/l\t59.00 EUR\t49.00 EUR\tLight\tL\n",
        '{"id": 1, "title": "Lamp", "link": "/l", "price": "59.00 EUR", "sale_price": '
        '"49.00 EUR", "product_type": "Light", "item_group_id": "L"}\n',
        "g:id,g:title,G:Link,price,was,category,family\n"
        "1,Lamp,/l,49.00 EUR,59.00 EUR,Light,L\n",
    ],
)
def test_the_same_names_in_csv_and_json(tmp_path: Path, text: str) -> None:
    (lamp,) = read(tmp_path, text)
    about = {"name": "Lamp", "url": "/l", "currency": "EUR", "category": "Light", "family": "L"}
    assert (lamp.id, lamp.price, lamp.was, lamp.about) == ("1", 49, 59, about)


@pytest.mark.parametrize(
    ("days", "price"),
    [
        ("2026-11-27T00:00+0100/2026-11-30T23:59+0100", 49),
        ("2026-12-01T00:00Z/2026-12-24T00:00Z", 59),
        ("", 49),
    ],
)
def test_a_sale_price_holds_on_its_days(tmp_path: Path, days: str, price: float) -> None:
    head = "id,price,sale_price,sale_price_effective_date"
    (lamp,) = read(tmp_path, f"{head}\n1,59.00 EUR,49.00 EUR,{days}\n")
    assert lamp.price == price


def test_sale_days_that_can_not_be_read_are_named(tmp_path: Path) -> None:
    head = "id,price,sale_price,sale_price_effective_date"
    with pytest.raises(InputError, match="line 2 has sale days"):
        read(tmp_path, f"{head}\n1,59.00 EUR,49.00 EUR,next week\n")


BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><rss><item><id>&b;</id></item></rss>'
)
ENTITY = '<!DOCTYPE x SYSTEM "file:///etc/passwd"><rss/>'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB, "declares a document type"),
        (ENTITY, "declares a document type"),
        ("<rss><item><id>1</id></rss>", "is no XML: mismatched tag"),
        ('<?xml version="1.0" encoding="utf-7"?><rss/>', "has an unknown encoding"),
        ('<?xml version="1.0" encoding="nope"?><rss/>', "has an unknown encoding"),
        ("<rss><item><id>1</id>", "is no XML"),
        ("<rss><item><id>&b;</id></item></rss>", "is no XML: undefined entity"),
        ('<?xml version="1.0" encoding="x-odd"?><rss/>', "is no XML|encoding"),
        ("<a>" * 5_000, "more than 32 levels"),
        (f"<rss><item><id>{'x' * 2_000_000}</id></item></rss>", "more than 1,048,576 char"),
        (f"<rss><item>{''.join(f'<f{n}>x</f{n}>' for n in range(999))}", "more than 500"),
        ("<html><body>Please log in</body></html>", "has no product"),
        ("<rss><item><title>x</title></item></rss>", "line 1 has no id"),
    ],
)  # fmt: skip
def test_hostile_xml_is_refused_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    begun = time.process_time()
    with pytest.raises(InputError, match=says):
        read(tmp_path, text)
    assert time.process_time() - begun < 0.5


def test_a_large_list_is_read_as_a_stream(tmp_path: Path) -> None:
    items = "".join(
        f"<item><g:id>{n}</g:id><title>Lamp</title><g:price>{n % 99}.50 EUR</g:price></item>\n"
        for n in range(5_000)
    )
    head = '<rss xmlns:g="http://base.google.com/ns/1.0"><channel>'
    listed = read(tmp_path, f"{head}{items}</channel></rss>")
    assert (len(listed), listed[-1].price) == (5_000, 49.5)
