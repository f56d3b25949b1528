"""Our HPACK against the hpack package."""

from hpack import Encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from pushctl.demo.pushservice import hpack

NAMES = st.sampled_from([":path", "authorization", "ttl", "topic", "x-é", "cookie"])
VALUES = st.text(st.characters(max_codepoint=255), max_size=300)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.tuples(NAMES, VALUES), max_size=12), min_size=1, max_size=6))
def test_headers_are_read_as_the_hpack_package_wrote_them(
    blocks: list[list[tuple[str, str]]],
) -> None:
    theirs, ours = Encoder(), hpack.Decoder()
    for headers in blocks:
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        assert ours.decode(theirs.encode(raw)) == headers
        assert hpack.Decoder().decode(hpack.encode(headers)) == headers


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_broken_headers_are_refused_and_never_crash(block: bytes) -> None:
    try:
        hpack.Decoder().decode(block)
    except hpack.HpackError:
        return
