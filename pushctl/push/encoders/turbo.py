"""
The fastest encoder: eight key agreements at once with Intel's crypto_mb (AVX512-IFMA).

``pip install pushctl[turbo]`` installs the library, in the package ipp-crypto (Apache-2.0).
It needs four run-time libraries of Intel's compiler by name, imports nothing from them, and
can't be loaded without them. We load a copy that names the C library instead, from an
anonymous file in memory that is sealed: no other user can write to it. Records are encrypted
by what ``fast`` uses where that is loaded, too.
"""

import ctypes
import fcntl
import os
import platform
import struct
import sys
from collections.abc import Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from pushctl.model import Letter
from pushctl.push.encoders import Unavailable, direct, fast
from pushctl.push.encoders.sealing import Encrypt, is_uncompressed, seal

_LANES = 8
# From crypto_mb/defs.h: the algorithm's number and the width "eight at once".
_ECDH_P256 = 5
_EIGHT_WIDE = 8

# Libraries that it needs by name and imports no symbol from.
_UNUSED = (b"libsvml.so", b"libirng.so", b"libimf.so", b"libintlc.so.5")
_STAND_IN = b"libc.so.6"

_SEALS = 0x0001 | 0x0002 | 0x0004 | 0x0008  # F_SEAL_SEAL, _SHRINK, _GROW, _WRITE
_ADD_SEALS = 1033


class _Library:
    """The loaded library with buffers for eight little-endian 32-byte numbers each."""

    def __init__(self, handle: ctypes.CDLL) -> None:
        self._multiply = handle.mbx_nistp256_ecpublic_key_mb8
        self._agree = handle.mbx_nistp256_ecdh_mb8
        for function, arguments in ((self._multiply, 5), (self._agree, 6)):
            function.restype = ctypes.c_uint32
            function.argtypes = [ctypes.c_void_p] * arguments
        names = ("scalars", "x", "y", "their_x", "their_y", "shared")
        buffers = {name: ctypes.create_string_buffer(32 * _LANES) for name in names}
        self._views = {name: memoryview(buffer).cast("B") for name, buffer in buffers.items()}
        self._lanes = {name: _pointers(buffer) for name, buffer in buffers.items()}
        # As numbers: ctypes would look at each array anew, a microsecond for a message.
        at = {name: ctypes.addressof(lanes) for name, lanes in self._lanes.items()}
        self._key_pair = (at["x"], at["y"], None, at["scalars"], None)
        theirs = at["their_x"], at["their_y"]
        self._agreement = (at["shared"], at["scalars"], *theirs, None, None)

    def agree(
        self, scalars: bytes, their_x: bytes, their_y: bytes
    ) -> tuple[list[bytes], list[bytes], int]:
        """
        Return our eight public keys (65 bytes), the eight secrets, and a mask of faults.

        All numbers are 32 bytes, little-endian, eight in a row; the mask has four bits a
        lane, zero without a fault.
        """
        views = self._views
        views["scalars"][:] = scalars
        views["their_x"][:] = their_x
        views["their_y"][:] = their_y
        faults = self._multiply(*self._key_pair) | self._agree(*self._agreement)
        # Reversed: big-endian numbers, the lanes from last to first.
        x, y = bytes(views["x"][::-1]), bytes(views["y"][::-1])
        ours = [
            b"\x04" + x[at : at + 32] + y[at : at + 32]
            for at in range(32 * (_LANES - 1), -1, -32)
        ]
        shared = bytes(views["shared"])
        views["scalars"][:] = views["shared"][:] = bytes(32 * _LANES)
        return ours, [shared[at : at + 32] for at in range(0, 32 * _LANES, 32)], faults


def _pointers(buffer: ctypes.Array[ctypes.c_char]) -> ctypes.Array[ctypes.c_void_p]:
    start = ctypes.addressof(buffer)
    return (ctypes.c_void_p * _LANES)(*(start + 32 * lane for lane in range(_LANES)))


def encode(letters: Sequence[Letter]) -> list[bytes | None]:
    """Return a body for each letter, or None where its key is off the curve."""
    library = load()
    bodies: list[bytes | None] = []
    for start in range(0, len(letters), _LANES):
        bodies += _encode_eight(library, letters[start : start + _LANES])
    return bodies


def _encode_eight(library: _Library, letters: Sequence[Letter]) -> list[bytes | None]:
    keys = [
        key if is_uncompressed(key) else bytes(65)
        for key in (letter.p256dh for letter in letters)
    ]
    keys += keys[:1] * (_LANES - len(keys))
    their_x = b"".join([key[32:0:-1] for key in keys])
    their_y = b"".join([key[:32:-1] for key in keys])
    ours, secrets, faults = library.agree(_scalars(), their_x, their_y)
    salts, encrypt = os.urandom(16 * len(letters)), find_encryption()
    return [
        None
        if faults >> (4 * lane) & 15
        else seal(
            encrypt,
            secrets[lane],
            letter.p256dh,
            letter.auth,
            ours[lane],
            letter.payload,
            salts[16 * lane : 16 * lane + 16],
        )
        for lane, letter in enumerate(letters)
    ]


def _scalars() -> bytes:
    # A private key must be below the curve's order, which begins with 32 one bits;
    # a number that doesn't is. Drawn again once in half a billion batches.
    while True:
        drawn = os.urandom(32 * _LANES)
        if b"\xff\xff\xff\xff" not in drawn:
            return drawn


@lru_cache(maxsize=1)
def find_encryption() -> Encrypt:
    """Return the AES-GCM of ``fast`` where it is loaded and right, else ``direct``'s."""
    # To load it takes as long as 15,000 messages gain: only push/fork_server does, for workers.
    if not fast.is_loaded():
        return direct.encrypt_record
    sample = bytes(range(16)), bytes(range(12)), b"sample"
    try:
        faster = fast.load().encrypt_record
        right = faster(*sample) == direct.encrypt_record(*sample)
    except Exception:
        return direct.encrypt_record
    return faster if right else direct.encrypt_record


@lru_cache(maxsize=1)
def load() -> _Library:
    """Return the library, loaded once a process; raises Unavailable with the reason."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise Unavailable("it needs Linux on x86-64")
    handle = os.memfd_create("crypto_mb", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with os.fdopen(os.dup(handle), "wb") as copy:
            copy.write(replace_unused(_find().read_bytes()))
        fcntl.fcntl(handle, _ADD_SEALS, _SEALS)
        loaded = ctypes.CDLL(f"/proc/self/fd/{handle}", mode=os.RTLD_LOCAL | os.RTLD_LAZY)
    except OSError as error:
        raise Unavailable(f"crypto_mb can't be loaded: {error}") from error
    finally:
        os.close(handle)
    loaded.mbx_get_algo_info.restype = ctypes.c_int64
    if not loaded.mbx_get_algo_info(_ECDH_P256) & _EIGHT_WIDE:
        raise Unavailable("this processor has no AVX512-IFMA")
    return _Library(loaded)


def _find() -> Path:
    try:
        files = metadata.files("ipp-crypto") or []
    except metadata.PackageNotFoundError:
        raise Unavailable("pip install 'pushctl[turbo]' would bring it") from None
    for file in files:
        if file.name.startswith("libcrypto_mb.so"):
            return Path(str(file.locate()))
    raise Unavailable("the package ipp-crypto holds no libcrypto_mb.so")


def replace_unused(library: bytes) -> bytes:
    """
    Return the ELF file *library* with its unused needed libraries replaced.

    An entry of the dynamic section is a tag and the offset of a name (System V ABI, "Dynamic
    Section"); unused ones get the C library's offset. Raises Unavailable for other forms.
    """
    try:
        return _patch(library)
    except (struct.error, KeyError, ValueError, StopIteration) as error:
        raise Unavailable("libcrypto_mb.so is not of the form we know") from error


def _patch(library: bytes) -> bytes:
    if library[:6] != b"\x7fELF\x02\x01":
        raise ValueError("no 64-bit little-endian ELF file")
    (table,) = struct.unpack_from("<Q", library, 0x20)
    size, count = struct.unpack_from("<HH", library, 0x36)
    segments = [struct.unpack_from("<IIQQQQ", library, table + n * size) for n in range(count)]
    dynamic = next(segment for segment in segments if segment[0] == 2)
    at = range(dynamic[2], dynamic[2] + dynamic[5], 16)
    entries = [(place, *struct.unpack_from("<QQ", library, place)) for place in at]
    address = next(value for _, tag, value in entries if tag == 5)  # DT_STRTAB
    names = next(
        address - virtual + offset
        for kind, _, offset, virtual, _, length in segments
        if kind == 1 and virtual <= address < virtual + length
    )
    needed = {
        library[names + value : library.index(b"\0", names + value)]: (place, value)
        for place, tag, value in entries
        if tag == 1  # DT_NEEDED
    }
    stand_in = needed[_STAND_IN][1]
    patched = bytearray(library)
    for name in _UNUSED:
        if name in needed:
            struct.pack_into("<Q", patched, needed[name][0] + 8, stand_in)
    return bytes(patched)
