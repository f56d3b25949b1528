"""Archives: what any tar program reads, and what is refused of what others wrote."""

import io
import tarfile
import zlib
from collections.abc import Callable

import pytest

from pushctl.archive.tar import ArchiveError, Entry, Reader, check_name, pack
from pushctl.errors import InputError

FILES = {"one.txt": b"1" * 700, "deep/" * 30 + "two": b"", "templates/tür.toml": b"x" * 512}


class Kept:
    """Keeps the files of an archive, and the length of the longest piece."""

    def __init__(self) -> None:
        self.files: dict[str, bytearray] = {}
        self.longest, self._name = 0, ""

    def begin(self, entry: Entry) -> None:
        self._name = entry.name
        self.files[self._name] = bytearray()

    def take(self, piece: bytes) -> None:
        self.longest = max(self.longest, len(piece))
        self.files[self._name] += piece

    def end(self) -> None:
        pass


def packed(files: dict[str, bytes] = FILES) -> bytes:
    entries = ((Entry(name, len(text), 0o640, 7), [text]) for name, text in files.items())
    return b"".join(pack(entries))


def read(data: bytes, step: int = 1 << 20) -> Kept:
    kept = Kept()
    reader = Reader(kept)
    for at in range(0, len(data), step):
        reader.write(data[at : at + step])
    reader.close()
    return kept


def foreign(add: Callable[[tarfile.TarFile], None]) -> bytes:
    """Return an archive that Python's own tarfile wrote."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.GNU_FORMAT) as tar:
        add(tar)
    return file.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return foreign(lambda tar: tar.addfile(info))


@pytest.mark.parametrize("step", [1, 97, 1 << 20])
def test_what_was_packed_is_read_in_pieces_of_any_size(step: int) -> None:
    assert read(packed(), step).files == FILES


def test_any_tar_program_reads_it() -> None:
    with tarfile.open(fileobj=io.BytesIO(packed())) as tar:
        found = {it.name: (it.mode, it.mtime, tar.extractfile(it).read()) for it in tar}  # type: ignore[union-attr]
    assert found == {name: (0o640, 7, text) for name, text in FILES.items()}


@pytest.mark.parametrize(
    "name",
    ["../out", "/etc/passwd", "a/../../b", "a//b", "a/./b", ".", "a\nb", "\x1b[2J", "x" * 513],
)
def test_a_name_that_leads_out_or_lies_is_refused(name: str) -> None:
    with pytest.raises(ArchiveError):
        check_name(name)
    info = tarfile.TarInfo(name)
    with pytest.raises(ArchiveError):
        read(foreign(lambda tar: tar.addfile(info)))


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE],
)
def test_a_link_or_a_device_is_refused(kind: bytes) -> None:
    with pytest.raises(ArchiveError, match="no plain file"):
        read(member("keys", kind, "/etc/passwd"))


def test_what_is_in_it_twice_is_refused() -> None:
    def twice(tar: tarfile.TarFile) -> None:
        for _ in range(2):
            tar.addfile(tarfile.TarInfo("pushctl.toml"))

    with pytest.raises(ArchiveError, match="twice"):
        read(foreign(twice))


def test_each_cut_and_each_addition_is_noticed() -> None:
    data = packed()
    for length in range(0, len(data), 7):
        with pytest.raises(ArchiveError):
            read(data[:length])
    for more in (b"\0", b"more", data):
        with pytest.raises(ArchiveError):
            read(data + more)


def test_a_header_that_was_changed_is_noticed() -> None:
    plain = bytearray(zlib.decompress(packed(), wbits=31))
    plain[120] ^= 1
    packer = zlib.compressobj(wbits=31)
    with pytest.raises(ArchiveError):
        read(packer.compress(bytes(plain)) + packer.flush())


def test_a_bomb_comes_in_small_pieces() -> None:
    size = 64 << 20
    data = packed({"zeros": bytes(size)})
    assert len(data) < size // 100
    kept = read(data)
    assert (len(kept.files["zeros"]), kept.longest <= 256 << 10) == (size, True)


def test_what_changes_while_it_is_packed_ends_the_packing() -> None:
    with pytest.raises(InputError, match="changed while it was read"):
        list(pack([(Entry("a", 5, 0o600), [b"1234"])]))
