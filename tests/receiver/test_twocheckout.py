"""
2Checkout end to end: notifications to a real receiver, the import, what is kept.

The vendor's side (tests/support/twocheckout.py) signs and checks receipts by itself.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl import source_secrets
from pushctl.rules import tokens
from pushctl.rules.shops.order import State
from tests.support import hooks, project
from tests.support import receiving as r
from tests.support import twocheckout as vendor
from tests.support.twocheckout import KEY, MD5, SHA2, SHA3
from tests.support.twocheckout_shop import SOURCES, TOML, Shop, build


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = project.make(tmp_path_factory.mktemp("shop") / "project")
    project.add(folder, TOML)
    source_secrets.set_secret(folder / "keys", "checkout2", KEY.decode(), 0, 0)
    source_secrets.set_word(folder / "keys", "checkout2", "buy-link", "tango-canary-word")
    with r.running(folder, sources=SOURCES) as port:
        yield Shop(folder, port)


def test_a_bare_get_is_answered(shop: Shop) -> None:
    assert r.get(shop.port, "/hooks/checkout2").status == 200
    assert r.get(shop.port, "/hooks/other").status == 404


def test_only_the_first_genuine_delivery_has_an_effect(shop: Shop) -> None:
    pairs = build("31", FIRSTNAME="عائشة", CITY="İzmir")
    signed = vendor.sign(pairs, MD5, SHA2, SHA3)
    wrong_sha3 = [(name, "0" * 64 if name == SHA3 else value) for name, value in signed]
    reordered = [*signed[1:5], signed[0], *signed[5:]]
    before = [
        vendor.encode(pairs),  # missing
        vendor.encode(vendor.sign(pairs, MD5)),  # stripped to MD5
        vendor.encode([*pairs, (SHA2, ""), *vendor.sign(pairs, MD5)[-1:]]),
        vendor.encode(wrong_sha3),
        vendor.encode(reordered),
        vendor.encode(vendor.sign(pairs, SHA2, key=b"another")),
        vendor.encode([*signed, ("ORDERSTATUS", "REFUND")]),  # repeated
    ]
    assert {shop.send(body).status for body in before} == {400, 401}
    assert shop.told("31") == []

    shop.take(pairs, SHA2, SHA3)
    for fields in ((SHA2, SHA3), (SHA3,), (MD5, SHA2)):
        shop.take(pairs, *fields)  # again, also as the vendor repeats it with fewer signatures
    re_encoded = b"&".join(
        b"%b=%b" % (name.encode(), "".join(f"%{byte:02x}" for byte in value.encode()).encode())
        for name, value in vendor.sign(pairs)
    )
    assert shop.send(re_encoded).status == 200

    # The import applies one name once.
    found = shop.told("31")
    assert (len(found), set(found)) == (5, {("31 COMPLETE 31-1", State.PAID)})


def test_a_secret_may_be_changed_in_between(shop: Shop) -> None:
    # Before the receiver knows the new one, and with the former one afterwards.
    keys = shop.folder / "keys"
    now = time.time_ns() // 1_000_000
    source_secrets.set_secret(keys, "checkout2", "the new one", 60_000, now)
    deadline = time.monotonic() + 10
    pairs = build("35")
    while shop.send(vendor.encode(vendor.sign(pairs, key=b"the new one"))).status != 200:
        assert time.monotonic() < deadline, "the receiver has not read the new secret"
    shop.take(build("36"))
    assert shop.told("35")
    assert shop.told("36")


def test_nothing_of_the_buyer_is_in_any_file(tmp_path: Path) -> None:
    folder = project.make(tmp_path / "project")
    toml = folder / "pushctl.toml"
    toml.write_text(toml.read_text().replace("# file =", "file =", 1))  # of [log]
    project.add(folder, TOML + "\nmd5 = true\n")
    source_secrets.set_secret(folder / "keys", "checkout2", KEY.decode(), 0, 0)
    source_secrets.set_word(folder / "keys", "checkout2", "ins", "tango-canary")
    port = r.free_port()
    sources = {"checkout2": {**SOURCES["checkout2"], "md5": True}}
    process = r.start(folder, port, sources=sources)
    try:
        shop = Shop(folder, port)
        shop.take(build("41", EXTERNAL_CUSTOMER_REFERENCE=vendor.CANARY["CUSTOMEREMAIL"]))
        hostile = build("x" * 200)  # verified, and can't be read
        assert shop.send(vendor.encode(vendor.sign(hostile))).status == 200
        assert shop.send(vendor.encode(build("42"))).status == 401
        assert shop.send(vendor.encode(vendor.ins("43", b"tango-canary"))).status == 200
        assert {one["number"] for one in shop.orders()} == {"41", "43"}
    finally:
        said = r.stop(process)
    secret = (folder / "keys/email_secret").read_bytes().strip()
    hashed = tokens.hash_email(secret, vendor.CANARY["CUSTOMEREMAIL"])
    files = [file for file in folder.rglob("*") if file.is_file()]
    everything = said.encode() + b"".join(
        file.read_bytes() for file in files if file.name != "sources.toml"
    )
    lowered = everything.lower()
    for value in (*vendor.CANARY.values(), "Zeynep", "68.11"):
        assert value.lower().encode() not in lowered, value
    for word in (KEY, b"tango-canary"):
        assert word not in everything
    # What is kept is there: the search looks at the right files.
    assert hashed.encode() in everything or bytes.fromhex(hashed) in everything
    assert b"LAMP" in everything


def test_what_is_written_is_the_neutral_form_alone(shop: Shop) -> None:
    shop.take(build("51"))
    told = hooks.read_told(shop.folder)[-1]
    assert told.orders[0].number == "51"
    body = json.loads(hooks.shop_records(shop.folder)[-1].body)
    assert set(body["orders"][0]) <= {
        "number", "state", "total", "lines", "at", "email_hash", "codes",
    }  # fmt: skip
