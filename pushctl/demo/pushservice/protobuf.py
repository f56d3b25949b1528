"""As much of protocol buffers as Chromium's push connection needs: fields of a message."""

from collections.abc import Iterable

Field = tuple[int, int | bytes]  # number; varint or bytes


class Fixed64(int):
    """An integer that travels as eight bytes."""


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode(fields: Iterable[tuple[int, int | str | bytes]]) -> bytes:
    """Return a message; integers are varints unless they are Fixed64."""
    out = bytearray()
    for number, value in fields:
        if isinstance(value, Fixed64):
            out += varint(number << 3 | 1) + int(value).to_bytes(8, "little")
        elif isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            raw = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(raw)) + raw
    return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the varint at *at* and where it ends; IndexError when it isn't all there."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def decode(data: bytes) -> dict[int, int | bytes]:
    """Return the fields of a message, the last of each number; ValueError when broken."""
    fields: dict[int, int | bytes] = {}
    at = 0
    try:
        while at < len(data):
            key, at = read_varint(data, at)
            number, kind = key >> 3, key & 7
            if kind == 0:
                fields[number], at = read_varint(data, at)
                continue
            size = {1: 8, 5: 4}.get(kind)
            if kind == 2:
                size, at = read_varint(data, at)
            if size is None or at + size > len(data):
                raise ValueError("no protocol buffer")
            raw = data[at : at + size]
            fields[number] = raw if kind == 2 else int.from_bytes(raw, "little")
            at += size
    except IndexError as error:
        raise ValueError("no protocol buffer") from error
    return fields
