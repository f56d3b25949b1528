"""
2Checkout's notifications: who may be believed, and the receipt.

Vectors marked "printed" are the vendor's; all others are computed here by its rule.
"""

import contextlib
import hashlib
import hmac
import random
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushctl.rules.shops import twocheckout, twocheckout_ipn
from pushctl.rules.shops.signatures import Refused
from pushctl.rules.shops.sources import Secrets
from pushctl.rules.shops.twocheckout import Options
from tests.support import NOON
from tests.support import twocheckout as vendor
from tests.support.twocheckout import KEY, MD5, SHA2, SHA3

PLAIN, WITH_MD5 = Options(), Options(md5=True)

UTF8 = [
    ("SALEDATE", "2016-06-01 12:22:09"), ("REFNO", "1000037"), ("REFNOEXT", ""),
    ("ORDERNO", "13"), ("ORDERSTATUS", "COMPLETE"), ("PAYMETHOD", "Wire transfer"),
    ("FIRSTNAME", "Ayşe"), ("IPN_PID[]", "1"), ("IPN_PNAME[]", "Software program"),
    ("IPN_DATE", "20050303123434"),
]  # fmt: skip
UTF8_SOURCE = (
    "192016-06-01 12:22:097100003702138COMPLETE13Wire transfer5Ayşe1116Software program"
    "1420050303123434"
)


def verify(body: bytes, options: Options = PLAIN, secrets: tuple[bytes, ...] = (KEY,)) -> None:
    twocheckout.verify(body, {}, Secrets.of(secrets, {}), NOON, options)


def refuse(body: bytes, options: Options = PLAIN, secrets: tuple[bytes, ...] = (KEY,)) -> str:
    """Return the word with which a notification is refused."""
    with pytest.raises(Refused) as caught:
        verify(body, options, secrets)
    assert 400 <= caught.value.status < 500
    return caught.value.word


# --- the source and the signatures ---------------------------------------------------------


def test_the_source_has_lengths_in_bytes() -> None:
    fields = twocheckout_ipn.parse(vendor.encode(UTF8))
    assert twocheckout_ipn.build_source(fields) == UTF8_SOURCE.encode()


@pytest.mark.parametrize(
    ("field", "digest"),
    [
        (MD5, "f8a4d27c84583108a42ab86c6cb1dadc"),
        (SHA2, "7df65aca9ee82902e352ea88be9b0c810dde38d146a578849c2ff8655f177206"),
        (SHA3, "027119778af5b88251fa182e02877fab9cb5a0a95e1e80c8ad39c6cd3b008186"),
    ],
)
@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_each_algorithm_is_verified_in_either_case(
    field: str, digest: str, case: object
) -> None:
    assert callable(case)
    verify(vendor.encode([*UTF8, (field, case(digest))]), WITH_MD5)
    changed = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    assert refuse(vendor.encode([*UTF8, (field, changed)]), WITH_MD5) == "signature"


def test_the_vendors_printed_vector_of_a_licence_message() -> None:
    # Printed: the MD5. The SHA values are computed with the same key and source.
    pairs = [
        ("LICENSE_CODE", "3C343D0FAF"),
        ("EXPIRATION", "2005-03-03"),
        ("DATE", "20081117145935"),
    ]
    fields = twocheckout_ipn.parse(vendor.encode(pairs))
    assert twocheckout_ipn.build_source(fields) == b"103C343D0FAF102005-03-031420081117145935"
    for field, digest in (
        (MD5, "cb34fe2991668eb82364edf62f845a34"),
        (SHA2, "cdd64ce75e6cf013a60291229c83063a5d903eae3bfa216e99aae8af65a055e8"),
        (SHA3, "7fc19d21103ea56f1b413315fb3feb5fbdd137758623a73c7ed12d9bb84f21db"),
    ):
        verify(vendor.encode([*pairs, (field, digest)]), WITH_MD5)


@pytest.mark.parametrize(
    ("values", "source"),
    [
        ([("A", "")], b"0"),
        ([("A", "0")], b"10"),
        ([("A", "0"), ("B", ""), ("C", "00")], b"100200"),
        ([("A", "ş"), ("B", "مصباح")], "2ş10مصباح".encode()),
        ([("A", " x ")], b"3 x "),  # nothing is stripped
        ([("A", "a\nb")], b"3a\nb"),
        ([("A", "a&b=c%41+d")], b"10a&b=c%41+d"),
        # an array stands where its first element stands
        ([("X[]", "1"), ("A", "2"), ("X[]", "3")], b"111312"),
        ([("X[0]", "1"), ("A", "2"), ("X[1]", "3")], b"111312"),
        ([("HASH", "h"), ("A", "1"), ("SIGNATURE_SHA2_256", "s"), ("B", "2")], b"1112"),
        ([("hash", "h")], b"1h"),  # only the very names are left out
    ],
)
def test_what_is_signed(values: vendor.Pairs, source: bytes) -> None:
    assert twocheckout_ipn.build_source(twocheckout_ipn.parse(vendor.encode(values))) == source


def test_the_form_is_read_byte_by_byte() -> None:
    fields = twocheckout_ipn.parse(b"A=%C5%9E+%2b&&B&C==%zz&D=%FF%00;E=1")
    assert fields == {"A": [b"\xc5\x9e +"], "B": [b""], "C": [b"=%zz"], "D": [b"\xff\x00;E=1"]}


@pytest.mark.parametrize(
    "body",
    [b"A=1&A=1", b"A=1&A[]=2", b"A[]=1&A=2", b"X[0]=1&X[0]=2", b"%41=1&A=2", b"HASH=a&HASH=b"],
)
def test_a_field_that_comes_twice_is_refused(body: bytes) -> None:
    assert refuse(body) == "repeated"


def test_a_form_of_very_many_fields_is_refused_at_once() -> None:
    assert refuse(b"A[]=&" * 10_001) == "fields"


@given(st.binary(max_size=300) | st.text("A[]=&%+F0;\x00", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        fields = twocheckout_ipn.parse(body)
    except Refused:
        return
    # A second reader agrees: urllib's.
    pairs = [
        tuple(map(urllib.parse.unquote_to_bytes, part.replace(b"+", b" ").partition(b"=")[::2]))
        for part in body.split(b"&") if part
    ]  # fmt: skip
    assert sorted(value for _, value in pairs) == sorted(
        it for one in fields.values() for it in one
    )
    with contextlib.suppress(Refused):
        verify(body, WITH_MD5)


# --- several at once, stripped, replayed ---------------------------------------------------

GENUINE = vendor.build({"FIRSTNAME": "عائشة", "CITY": "İstanbul"})


@pytest.mark.parametrize(
    "fields", [(SHA2,), (SHA3,), (SHA2, SHA3), (MD5, SHA2), (MD5, SHA2, SHA3)]
)
def test_a_genuine_one_is_believed(fields: tuple[str, ...]) -> None:
    verify(vendor.encode(vendor.sign(GENUINE, *fields)))


@pytest.mark.parametrize("wrong", [SHA2, SHA3])
def test_every_sha_value_that_is_present_must_be_right(wrong: str) -> None:
    signed = [
        (name, "0" * 64 if name == wrong else value)
        for name, value in vendor.sign(GENUINE, MD5, SHA2, SHA3)
    ]
    assert refuse(vendor.encode(signed)) == "signature"
    assert refuse(vendor.encode(signed), WITH_MD5) == "signature"


def test_a_wrong_md5_beside_a_right_sha_is_not_looked_at() -> None:
    verify(vendor.encode([*vendor.sign(GENUINE, SHA2), (MD5, "0" * 32)]))


@pytest.mark.parametrize("gone", [{}, {SHA2: ""}, {SHA2: "", SHA3: " "}, {SHA3: ""}])
def test_stripped_to_md5_is_refused(gone: dict[str, str]) -> None:
    body = vendor.encode([*vendor.sign(GENUINE, MD5), *gone.items()])
    assert refuse(body) == "md5"
    verify(body, WITH_MD5)


@pytest.mark.parametrize("signature", [[], [(SHA2, "")], [(MD5, "")], [(SHA2, ""), (MD5, " ")]])
def test_without_a_signature_it_is_refused(signature: vendor.Pairs) -> None:
    for options in (PLAIN, WITH_MD5):
        assert refuse(vendor.encode([*GENUINE, *signature]), options) == "unsigned"


@pytest.mark.parametrize("value", ["0", "true", "0" * 64, "ş" * 64, "%00", "a" * 100_000])
def test_nonsense_is_no_signature(value: str) -> None:
    assert refuse(vendor.encode([*GENUINE, (SHA2, value)])) == "signature"


def test_a_signature_in_brackets_is_no_signature() -> None:
    (*rest, (name, value)) = vendor.sign(GENUINE)
    verify(vendor.encode([*rest, (name, value)]))
    for brackets in ("[]", "[0]"):
        body = vendor.encode(
            [*rest, (name + brackets, value), (name + brackets[:1] + "x]", "")]
        )
        assert refuse(body) == "signature"


@pytest.mark.parametrize(
    "secrets", [(), (b"",), (b"other",), (KEY.lower(),), (KEY + b" ",), (b"", b"other")]
)
def test_another_secret_is_refused(secrets: tuple[bytes, ...]) -> None:
    assert refuse(vendor.encode(vendor.sign(GENUINE)), PLAIN, secrets) == "signature"


def test_one_of_several_secrets_is_enough_but_for_all_signatures() -> None:
    body = vendor.encode(vendor.sign(GENUINE, SHA2, SHA3, key=b"former"))
    verify(body, PLAIN, (b"new", b"former"))
    (*rest, (name, _)) = vendor.sign(GENUINE, SHA2, SHA3, key=b"former")
    (*_, (_, other)) = vendor.sign(GENUINE, SHA2, SHA3, key=b"new")
    mixed = vendor.encode([*rest, (name, other)])
    assert refuse(mixed, PLAIN, (b"new", b"former")) == "signature"


def test_another_encoding_of_the_same_values_is_the_same_notification() -> None:
    (*rest, last) = vendor.sign(GENUINE)
    again = "&".join(
        "".join(f"%{byte:02x}" for byte in name.encode())
        + "=" + "".join(f"%{byte:02x}" for byte in value.encode())
        for name, value in [*rest, last]
    ).encode()  # fmt: skip
    verify(again)
    told = [
        twocheckout.read(body, {}, PLAIN, str) for body in (again, vendor.encode([*rest, last]))
    ]
    assert told[0] == told[1] is not None


def test_any_change_of_a_value_or_of_the_order_is_refused() -> None:
    rng = random.Random(12)
    signed = vendor.sign(GENUINE, SHA2)
    for _ in range(300):
        changed = list(signed)
        number = rng.randrange(len(GENUINE))
        name, value = changed[number]
        match rng.randrange(4):
            case 0:
                changed[number] = (name, value + "x")
            case 1:
                del changed[number]
            case 2:
                changed.insert(number, (f"EXTRA{rng.random()}", rng.choice(["", "0", "7"])))
            case _:
                other = rng.randrange(len(GENUINE))
                changed[number], changed[other] = changed[other], changed[number]
        if vendor.write_source(changed) != vendor.write_source(signed):
            assert refuse(vendor.encode(changed)) in ("signature", "repeated")


# --- the receipt ---------------------------------------------------------------------------

AT = 1_109_853_274_000  # 2005-03-03 12:34:34 UTC


@pytest.mark.parametrize(
    ("fields", "receipt"),
    [
        # The MD5 is printed in a public client of the vendor's.
        (
            (MD5,),
            "<EPAYMENT>20050303123434|7bf97ed39681027d0c45aa45e3ea98f0</EPAYMENT>",
        ),
        (
            (MD5, SHA2),
            '<sig algo="sha256" date="20050303123434">'
            "ea6f44c39b3d204b59500998fcb9221c92744d9721a94b45fc6d5cda99980176</sig>",
        ),
        (
            (MD5, SHA2, SHA3),
            '<sig algo="sha3-256" date="20050303123434">'
            "85180497aaaa4844a278b52b1ce257d2820dbf5857470a5f678fef2266d0d4a8</sig>",
        ),
        (
            (SHA3,),
            '<sig algo="sha3-256" date="20050303123434">'
            "85180497aaaa4844a278b52b1ce257d2820dbf5857470a5f678fef2266d0d4a8</sig>",
        ),
    ],
)
def test_the_receipt_has_the_newest_algorithm_that_came(
    fields: tuple[str, ...], receipt: str
) -> None:
    body = vendor.encode(vendor.sign(UTF8, *fields))
    found = twocheckout.answer(body, {}, (KEY,), AT, WITH_MD5)
    assert found == ("text/plain", receipt.encode())


@pytest.mark.parametrize("field", [MD5, SHA2, SHA3])
def test_the_receipt_is_signed_with_the_key_that_signed(field: str) -> None:
    body = vendor.encode(vendor.sign(GENUINE, field, key=b"former"))
    _, found = twocheckout.answer(body, {}, (b"new", b"former"), AT, WITH_MD5)
    assert found == vendor.write_receipt(GENUINE, field, "20050303123434", b"former")


def test_the_receipt_of_a_notification_without_products() -> None:
    body = vendor.encode(vendor.sign([("REFNO", "1"), ("ORDERSTATUS", "PENDING")]))
    _, found = twocheckout.answer(body, {}, (KEY,), AT, PLAIN)
    digest = hmac.new(KEY, b"0001420050303123434", hashlib.sha256).hexdigest()
    assert found.decode() == f'<sig algo="sha256" date="20050303123434">{digest}</sig>'


# --- INS -----------------------------------------------------------------------------------

INS = {
    "message_type": "ORDER_CREATED",
    "message_id": "12",
    "sale_id": "1",
    "vendor_id": "TESTVENDORID",
    "invoice_id": "100000000000",
    "md5_hash": "BC5D65CE63689F75CC4CACFDFDB208D0",
    "order_ref": "211000001",
    "invoice_status": "approved",
}


def as_form(values: dict[str, str]) -> bytes:
    return urllib.parse.urlencode(values).encode()


def as_json(values: dict[str, str]) -> bytes:
    import json

    numbers = {key: int(value) if value.isdecimal() else value for key, value in values.items()}
    return json.dumps(numbers).encode()


@pytest.mark.parametrize("write", [as_form, as_json])
def test_ins_is_believed_by_its_md5_where_that_is_allowed(write: object) -> None:
    assert callable(write)
    body = write(INS)
    verify(body, WITH_MD5, (b"other", b"tango"))
    verify(write({**INS, "md5_hash": INS["md5_hash"].lower()}), WITH_MD5, (b"tango",))
    assert refuse(body, PLAIN, (b"tango",)) == "md5"
    assert refuse(body, WITH_MD5, (b"other",)) == "signature"
    assert refuse(write({**INS, "sale_id": "2"}), WITH_MD5, (b"tango",)) == "signature"
    assert refuse(write({**INS, "md5_hash": ""}), WITH_MD5, (b"tango",)) == "unsigned"
    assert twocheckout.answer(body, {}, (b"tango",), NOON, WITH_MD5) == ("text/plain", b"")


def test_ins_has_a_secret_word_of_its_own() -> None:
    body = as_form(INS)
    twocheckout.verify(body, {}, Secrets.of([KEY], {"ins": b"tango"}), NOON, WITH_MD5)
    with pytest.raises(Refused):
        twocheckout.verify(body, {}, Secrets.of([b"tango"], {"ins": b"x"}), NOON, WITH_MD5)


@pytest.mark.parametrize("write", [as_form, as_json])
def test_the_sha_form_of_ins_is_refused_with_a_clear_word(write: object) -> None:
    assert callable(write)
    body = write({**INS, "md5_hash": "", "hash": "d" * 64})
    for options in (PLAIN, WITH_MD5):
        with pytest.raises(Refused) as caught:
            verify(body, options, (b"tango",))
        assert caught.value.word == "ins sha"
        assert "not published" in caught.value.text


@pytest.mark.parametrize("body", [b"{", b"{}", b'{"message_type": {}}', b"[1]", b"", b"null"])
def test_what_is_no_notification_is_refused(body: bytes) -> None:
    assert refuse(body, WITH_MD5) in ("json", "unsigned")
