"""
HPACK (RFC 7541): HTTP/2's compressed headers, reading all of it, writing the plain part.

Of our own because the pure-Python packages took 0.4 ms a request, and a test that kills
a sender needs a service that is faster than the sender.
"""

from collections import deque
from collections.abc import Iterable
from functools import lru_cache

Pair = tuple[str, str]

TABLE_SIZE = 4096  # bytes; SETTINGS_HEADER_TABLE_SIZE as it is unless said otherwise
_OVERHEAD = 32  # of an entry (section 4.1)
_LONGEST = 64 * 1024  # bytes of one name or value

_NAMES = """
    accept-language accept-ranges accept access-control-allow-origin age allow
    authorization cache-control content-disposition content-encoding content-language
    content-length content-location content-range content-type cookie date etag expect
    expires from host if-match if-modified-since if-none-match if-range
    if-unmodified-since last-modified link location max-forwards proxy-authenticate
    proxy-authorization range referer refresh retry-after server set-cookie
    strict-transport-security transfer-encoding user-agent vary via www-authenticate
"""

_STATIC: tuple[Pair, ...] = (
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    *((":status", code) for code in ("200", "204", "206", "304", "400", "404", "500")),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    *((name, "") for name in _NAMES.split()),
)
_STATUS = {value: index for index, (name, value) in enumerate(_STATIC, 1) if name == ":status"}

# The code is canonical: it follows from the lengths (appendix B). Bits -> bytes, in order.
_LENGTHS: tuple[tuple[int, bytes], ...] = (
    (5, b"012aceiost"),
    (6, b" %-./3456789=A_bdfghlmnpru"),
    (7, b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    (8, b"&*,;XZ"),
    (10, b'!"()?'),
    (11, b"'+|"),
    (12, b"#>"),
    (13, b"\0$@[]~"),
    (14, b"^}"),
    (15, b"<`{"),
    (19, b"\\\xc3\xd0"),
    (20, bytes.fromhex("808283a2b8c2e0e2")),
    (21, bytes.fromhex("99a1a7acb0b1b3d1d8d9e3e5e6")),
    (22, bytes.fromhex("8184858688929a9ca0a3a4a9aaadb2b5b9babbbdbec4c6e4e8e9")),
    (23, bytes.fromhex("0187898a8b8c8d8f93959697989b9d9ea5a6a8aeafb4b6b7bcbfc5e7ef")),
    (24, bytes.fromhex("098e9091949fabced7e1eced")),
    (25, bytes.fromhex("c7cfeaeb")),
    (26, bytes.fromhex("c0c1c8c9cacdd2d5dadbeef0f2f3ff")),
    (27, bytes.fromhex("cbccd3d4d6dddedff1f4f5f6f7f8fafbfcfdfe")),
    (28, bytes.fromhex("020304050607080b0c0e0f1011121314151718191a1b1c1d1e1f7fdcf9")),
    (30, b"\n\r\x16"),
)


class HpackError(ValueError):
    """The headers can't be read: the connection is of no use any more."""


class Decoder:
    """Reads the header blocks of one direction of one connection, in order."""

    def __init__(self) -> None:
        self._entries: deque[Pair] = deque()  # newest first
        self._size = 0
        self._limit = TABLE_SIZE

    def decode(self, block: bytes) -> list[Pair]:
        """Return the headers of *block*; HpackError when it is none."""
        try:
            return self._decode(block)
        except (IndexError, UnicodeDecodeError) as error:
            raise HpackError("the header block is cut short or no text") from error

    def _decode(self, block: bytes) -> list[Pair]:
        headers: list[Pair] = []
        at = 0
        while at < len(block):
            first = block[at]
            if first & 0x80:
                index, at = _integer(block, at, 7)
                headers.append(self._entry(index))
            elif first & 0x40:
                pair, at = self._literal(block, at, 6)
                self._add(pair)
                headers.append(pair)
            elif first & 0x20:
                self._limit, at = _integer(block, at, 5)
                if self._limit > TABLE_SIZE:
                    raise HpackError("the table is larger than agreed")
                self._evict()
            else:
                pair, at = self._literal(block, at, 4)
                headers.append(pair)
        return headers

    def _literal(self, block: bytes, at: int, bits: int) -> tuple[Pair, int]:
        index, at = _integer(block, at, bits)
        if index:
            name = self._entry(index)[0]
        else:
            name, at = _string(block, at)
        value, at = _string(block, at)
        return (name, value), at

    def _entry(self, index: int) -> Pair:
        if index < 1:
            raise HpackError("there is no entry 0")
        if index <= len(_STATIC):
            return _STATIC[index - 1]
        return self._entries[index - len(_STATIC) - 1]

    def _add(self, pair: Pair) -> None:
        self._entries.appendleft(pair)
        self._size += len(pair[0]) + len(pair[1]) + _OVERHEAD
        self._evict()

    def _evict(self) -> None:
        while self._size > self._limit:
            name, value = self._entries.pop()
            self._size -= len(name) + len(value) + _OVERHEAD


def encode(headers: Iterable[Pair]) -> bytes:
    """Return *headers* as literals that need no table; names are in lower case."""
    out = bytearray()
    for name, value in headers:
        if name == ":status" and value in _STATUS:
            out.append(0x80 | _STATUS[value])
            continue
        out.append(0)
        for text in (name, value):
            raw = text.encode("latin-1")
            out += _prefixed(len(raw), 7) + raw
    return bytes(out)


def _integer(block: bytes, at: int, bits: int) -> tuple[int, int]:
    """Return the integer in the last *bits* of the byte at *at*, and where it ends."""
    most = (1 << bits) - 1
    value = block[at] & most
    at += 1
    if value < most:
        return value, at
    for shift in range(0, 28, 7):
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise HpackError("an integer is too large")


def _prefixed(value: int, bits: int) -> bytes:
    most = (1 << bits) - 1
    if value < most:
        return bytes([value])
    out = bytearray([most])
    value -= most
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _string(block: bytes, at: int) -> tuple[str, int]:
    packed = block[at] & 0x80
    length, at = _integer(block, at, 7)
    end = at + length
    if end > len(block) or length > _LONGEST:
        raise HpackError("a string is cut short or too long")
    raw = block[at:end]
    return (_unpack(raw) if packed else raw).decode("latin-1"), end


def _tree() -> list[list[int]]:
    """Return the code as nodes of two branches: a node's number, or ~byte at a leaf."""
    nodes: list[list[int]] = [[0, 0]]
    code = bits = 0
    for length, symbols in _LENGTHS:
        code <<= length - bits
        bits = length
        for symbol in symbols:
            node = 0
            for shift in range(length - 1, 0, -1):
                branch = code >> shift & 1
                if not nodes[node][branch]:
                    nodes.append([0, 0])
                    nodes[node][branch] = len(nodes) - 1
                node = nodes[node][branch]
            nodes[node][code & 1] = ~symbol
            code += 1
    return nodes


class _Steps(dict[int, tuple[int, bytes]]):
    """node << 8 | byte -> the next node and the decoded bytes; filled at need."""

    def __init__(self) -> None:
        self._nodes = _tree()
        # Less than a byte of ones may be left at the end (section 5.2).
        self.ends = {0}
        node = 0
        for _ in range(7):
            node = self._nodes[node][1]
            self.ends.add(node)

    def __missing__(self, key: int) -> tuple[int, bytes]:
        node, byte = key >> 8, key & 0xFF
        text = bytearray()
        for shift in range(7, -1, -1):
            node = self._nodes[node][byte >> shift & 1]
            if node == 0:
                raise HpackError("a code that means nothing")
            if node < 0:
                text.append(~node)
                node = 0
        self[key] = node, bytes(text)
        return self[key]


_STEPS = _Steps()


# libcurl sends Authorization whole with every request, the same for half a day.
@lru_cache(maxsize=256)
def _unpack(raw: bytes) -> bytes:
    node = 0
    pieces = []
    for byte in raw:
        node, text = _STEPS[node << 8 | byte]
        pieces.append(text)
    if node not in _STEPS.ends:
        raise HpackError("a string ends within a code")
    return b"".join(pieces)
