"""Sequences of bits out of a file or a pipe, one after the other: no more is held than one of them."""

import hashlib
from enum import StrEnum
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from entropy_assets.errors import InputRefused, InputTooShort

MOST_AT_ONCE: Final = 1 << 30
"""Bits that are read as one where no length is given; the tests take about a byte for each."""
_PIECE: Final = 1 << 16
_BLANKS: Final = np.frombuffer(b" \t\r\n\v\f", dtype=np.uint8)


class Layout(StrEnum):
    """How the bits lie in the bytes."""

    PACKED = "packed"
    """Eight to a byte, the most significant first."""
    ASCII = "ascii"
    """The characters 0 and 1, with blanks and line ends between them."""
    BYTES = "bytes"
    """A byte of 0 or 1 for each bit, as the SP 800-90B tool reads them."""


class Sequences:
    """Takes sequences off a stream.

    Parameters
    ----------
    stream
        Buffered bytes; a pipe will do.
    layout
        If it is not given, it is recognised: nothing but 0 and 1, as characters or as values, in the first piece.
    group
        Bytes of the packed layout that belong to one sequence: the next one begins at a multiple of them. sts-2.1.2
        reads groups of 4.
    """

    def __init__(self, stream: BinaryIO, layout: Layout | None = None, group: int = 1) -> None:
        self._stream = stream
        self._group = group
        self._hash = hashlib.sha256()
        self.bytes_read = 0
        self._ahead = self._read(_PIECE)
        self.layout: Final = layout or recognised(self._ahead)
        self._unpacked = np.zeros(0, dtype=np.uint8)
        self.left = 0
        """Bits that were left over when the stream ended."""

    @property
    def sha256(self) -> str:
        """Of all bytes that were read."""
        return self._hash.hexdigest()

    def take(self, bits: int) -> bytes | None:
        """Return the next `bits` bits, packed; None where fewer are left, and `left` says how many.

        Raises
        ------
        InputRefused
            If a byte is none of its layout.
        """
        return self._packed(bits) if self.layout is Layout.PACKED else self._of_units(bits)

    def rest(self, most: int = MOST_AT_ONCE) -> tuple[bytes, int]:
        """Return all bits that are left, packed, and their number.

        Raises
        ------
        InputRefused
            If there are more than `most`, or a byte is none of its layout.
        InputTooShort
            If there are none.
        """
        if self.take(most) is not None:
            raise InputRefused(f"more than {most:,} bits: say --bits N, and they are read N at a time", most=most)
        if not self.left:
            raise InputTooShort("there are no bits", length=0, shortest=1)
        held = self._ahead if self.layout is Layout.PACKED else np.packbits(self._unpacked).tobytes()
        return held, self.left

    def _packed(self, bits: int) -> bytes | None:
        size = -(-bits // 8)
        wanted = -(-size // self._group) * self._group
        pieces = [self._ahead]
        held = len(self._ahead)
        while held < wanted and (piece := self._read(max(_PIECE, min(wanted - held, 1 << 24)))):
            pieces.append(piece)
            held += len(piece)
        whole = b"".join(pieces)
        if len(whole) < size:
            self._ahead, self.left = whole, 8 * len(whole)
            return None
        self._ahead = whole[wanted:]
        return whole[:size]

    def _of_units(self, bits: int) -> bytes | None:
        pieces, held = [self._unpacked], len(self._unpacked)
        while held < bits and (self._ahead or self._fill()):
            start = self.bytes_read - len(self._ahead)
            piece = units(self._ahead, self.layout, start)
            self._ahead = b""
            pieces.append(piece)
            held += len(piece)
        whole = np.concatenate(pieces)
        if held < bits:
            self._unpacked, self.left = whole, held
            return None
        self._unpacked = whole[bits:].copy()
        return np.packbits(whole[:bits]).tobytes()

    def _fill(self) -> bytes:
        self._ahead = self._read(_PIECE)
        return self._ahead

    def _read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._hash.update(data)
        self.bytes_read += len(data)
        return data


def recognised(beginning: bytes) -> Layout:
    """Return how the bits lie in bytes that begin so: packed, unless they hold nothing but 0 and 1."""
    values = np.unique(np.frombuffer(beginning, dtype=np.uint8))
    if len(values) and np.isin(values, [0, 1]).all():
        return Layout.BYTES
    if np.isin(values, [*b"01", *_BLANKS]).all() and np.isin(values, [*b"01"]).any():
        return Layout.ASCII
    return Layout.PACKED


def units(data: bytes, layout: Layout, start: int) -> NDArray[np.uint8]:
    """Return the bits of bytes that hold one each, as 0 and 1; `start` is the place of the first byte in its file.

    Raises
    ------
    InputRefused
        If a byte is neither 0 nor 1, nor a blank between characters.
    """
    values = np.frombuffer(data, dtype=np.uint8)
    if layout is Layout.ASCII:
        values = values - ord("0")  # modulo 256: all others are larger than 1
    wrong = values > 1
    if layout is Layout.ASCII and wrong.any():
        wrong &= ~np.isin(np.frombuffer(data, dtype=np.uint8), _BLANKS)
    if wrong.any():
        place = start + int(np.flatnonzero(wrong)[0])
        byte = data[place - start]
        raise InputRefused(
            f"byte {place:,} is 0x{byte:02x}, and no bit in the layout '{layout}'; say --layout if it is another",
            offset=place,
        )
    return values[values <= 1]
