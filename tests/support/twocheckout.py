"""2Checkout's side: notifications as it would send them, signed by a second computation."""

import hashlib
import hmac
import urllib.parse
from collections.abc import Iterable

KEY = b"AABBCCDDEEFF"
SHA2, SHA3, MD5 = "SIGNATURE_SHA2_256", "SIGNATURE_SHA3_256", "HASH"
_DIGESTS = {SHA2: hashlib.sha256, SHA3: hashlib.sha3_256, MD5: hashlib.md5}

Pairs = list[tuple[str, str]]

# A buyer who must be found in no file.
CANARY = {
    "FIRSTNAME": "Zeynep-Canary",
    "LASTNAME": "Kanarya",
    "ADDRESS1": "Vogelweg 17b",
    "CITY": "Canarytown",
    "ZIPCODE": "77001",
    "PHONE": "+49-555-0199-77",
    "CUSTOMEREMAIL": "Zeynep.Canary@buyers.example",
    "IPADDRESS": "203.0.113.199",
    "CARD_LAST_DIGITS": "4711-9",
}


def build(order: dict[str, str | list[str]] | None = None, *, base: bool = True) -> Pairs:
    """Return the fields of an IPN in the vendor's order; *order* replaces and adds."""
    fields: dict[str, str | list[str]] = {}
    if base:
        fields = {
            "GIFT_ORDER": "0",
            "SALEDATE": "2026-04-28 11:58:00",
            "PAYMENTDATE": "2026-04-28 12:00:00",
            "REFNO": "211000001",
            "REFNOEXT": "",
            "ORDERNO": "25430",
            "ORDERSTATUS": "COMPLETE",
            "PAYMETHOD": "Visa/MasterCard",
            **CANARY,
            "COUNTRY": "Türkiye",
            "COMPLETE_DATE": "0000-00-00 00:00:00",
            "TIMEZONE_OFFSET": "GMT+03:00",
            "CURRENCY": "EUR",
            "IPN_PID[]": ["40898000", "40898001"],
            "IPN_PNAME[]": ["Ayşe's “Lamp” & Co", "مصباح"],
            "IPN_PCODE[]": ["LAMP", ""],
            "IPN_QTY[]": ["1", "2"],
            "IPN_PRICE[]": ["49.00", "12.50"],
            "IPN_PROMOCODE[]": ["", ""],
            "MESSAGE_ID": "254510700124",
            "MESSAGE_TYPE": "COMPLETE",
            "IPN_TOTAL[]": ["49.00", "25.00"],
            "IPN_TOTALGENERAL": "74.00",
            "EXTERNAL_CUSTOMER_REFERENCE": "",
            "REFUND_TYPE": "",
            "TEST_ORDER": "0",
            "FRAUD_STATUS": "APPROVED",
            "IPN_DATE": "20260428120003",
            "PAYABLE_AMOUNT": "68.11",
            "PAYOUT_CURRENCY": "USD",
        }
    fields.update(order or {})
    return [
        (name, one)
        for name, value in fields.items()
        for one in (value if isinstance(value, list) else [value])
    ]


def write_source(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Return what is signed: as the vendor's PHP sample builds it, arrays grouped."""
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name.split("[")[0], []).append(value)
    parts = [
        str(len(value.encode())) + value
        for name, values in grouped.items()
        if name not in _DIGESTS
        for value in values
    ]
    return "".join(parts).encode()


def sign(pairs: Pairs, *fields: str, key: bytes = KEY) -> Pairs:
    """Return *pairs* with the signatures *fields*, SHA-2 without any."""
    source = write_source(pairs)
    made = [(it, hmac.new(key, source, _DIGESTS[it]).hexdigest()) for it in fields or (SHA2,)]
    return [*pairs, *made]


def encode(pairs: Iterable[tuple[str, str]]) -> bytes:
    return urllib.parse.urlencode(list(pairs)).encode()


def ipn(order: dict[str, str | list[str]] | None = None, *fields: str) -> bytes:
    """Return the body of a genuine IPN."""
    return encode(sign(build(order), *fields))


def write_receipt(pairs: Pairs, field: str, date: str, key: bytes = KEY) -> bytes:
    """Return the receipt that the vendor computes for itself."""
    first: dict[str, str] = {}
    for name, value in pairs:
        first.setdefault(name.split("[")[0], value)
    values = [first["IPN_PID"], first["IPN_PNAME"], first["IPN_DATE"], date]
    source = "".join(f"{len(one.encode())}{one}" for one in values).encode()
    digest = hmac.new(key, source, _DIGESTS[field]).hexdigest()
    if field == MD5:
        return f"<EPAYMENT>{date}|{digest}</EPAYMENT>".encode()
    name = {SHA2: "sha256", SHA3: "sha3-256"}[field]
    return f'<sig algo="{name}" date="{date}">{digest}</sig>'.encode()


def ins(number: str, word: bytes) -> Pairs:
    """Return an INS of the order *number*, signed with MD5."""
    ids = {"sale_id": "9093717691821", "vendor_id": "2COLNC", "invoice_id": "9093717691830"}
    digest = hashlib.md5("".join(ids.values()).encode() + word).hexdigest().upper()
    return [
        ("message_type", "ORDER_CREATED"),
        ("message_id", f"1{number}"),
        ("md5_hash", digest),
        *ids.items(),
        ("order_ref", number),
        ("invoice_status", "approved"),
        ("invoice_list_amount", "74.00"),
        ("list_currency", "EUR"),
        ("customer_name", f"{CANARY['FIRSTNAME']} {CANARY['LASTNAME']}"),
        ("customer_email", CANARY["CUSTOMEREMAIL"]),
        ("customer_phone", CANARY["PHONE"]),
        ("customer_ip", CANARY["IPADDRESS"]),
    ]
