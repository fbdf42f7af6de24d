"""Linear dependence over GF(2): ranks of 32 x 32 matrices and linear complexities (SP 800-22 2.5 and 2.10)."""

from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.sp800_22.packed import PackedBits

SIDE: Final = 32
"""Rows and columns of a matrix."""
BLOCKS_AT_ONCE: Final = 1 << 13
"""Blocks whose complexity is found at once: 1 kilobyte for each bit of a block."""


def ranks(bits: PackedBits, matrices: int) -> npt.NDArray[np.int64]:
    """Return ``int64[33]``: how many of the first 32 x 32 matrices, filled row by row, have each rank."""
    found = np.zeros(SIDE + 1, dtype=np.int64)
    for start in range(0, matrices, BLOCKS_AT_ONCE):
        stop = min(matrices, start + BLOCKS_AT_ONCE)
        packed = bits.data[start * SIDE * SIDE // 8 : stop * SIDE * SIDE // 8]
        rows = packed.view(">u4").astype(np.uint32).reshape(-1, SIDE)
        rank = np.zeros(len(rows), dtype=np.int64)
        for i in range(SIDE):
            pivot = rows[:, i].copy()
            lowest = pivot & (~pivot + np.uint32(1))
            rank += pivot != 0
            rest = rows[:, i + 1 :]
            rest ^= np.where(rest & lowest[:, None], pivot[:, None], np.uint32(0))
        found += np.bincount(rank, minlength=SIDE + 1)
    return found


def complexities(bits: PackedBits, blocks: int, length: int) -> npt.NDArray[np.int64]:
    """Return ``int64[blocks]``: the linear complexity of each of the first blocks of `length` bits (2.10.4 step 2).

    64 blocks at a time, one bit of each in a word. What Berlekamp and Massey's two polynomials leave of the sequence is
    kept in place of the polynomials (as Euclid's algorithm divides 1 by the sequence), since only the length L is
    asked: with ``ahead`` = place - 2 L, a discrepancy where that is not negative exchanges the two and takes ``ahead``
    to -ahead - 1, which is ``~ahead``; else it grows by one.
    """
    found = np.empty(blocks, dtype=np.int64)
    for start in range(0, blocks, BLOCKS_AT_ONCE):
        stop = min(blocks, start + BLOCKS_AT_ONCE)
        found[start:stop] = _complexities(_planes(bits, start, stop, length), stop - start)
    return found


def _planes(bits: PackedBits, start: int, stop: int, length: int) -> npt.NDArray[np.uint64]:
    """Return ``uint64[length, ceil(blocks / 64)]``: bit i of each block in the words of row i."""
    lanes = -(-(stop - start) // 64) * 64
    planes = np.zeros((length, lanes // 8), dtype=np.uint8)
    for group in range(start, stop, 64):
        end = min(stop, group + 64)
        first, last = group * length, end * length
        unpacked = np.unpackbits(bits.data[first // 8 : -(-last // 8)])[first % 8 :][: last - first]
        packed = np.packbits(unpacked.reshape(-1, length), axis=0, bitorder="little").T
        planes[:, (group - start) // 8 : (group - start) // 8 + packed.shape[1]] = packed
    return planes.view("<u8").astype(np.uint64)


def _complexities(rest: npt.NDArray[np.uint64], blocks: int) -> npt.NDArray[np.int64]:
    """Return the complexity of each lane of planes, which it uses up."""
    length, width = rest.shape
    earlier = np.zeros_like(rest)
    if length:
        earlier[0] = ~np.uint64(0)
    ahead = np.zeros((length.bit_length() + 1, width), dtype=np.uint64)
    for place in range(length):
        swap = rest[place] & ~ahead[-1]
        own, other = rest[place:], earlier[: length - place]
        step = other & own[0]
        other ^= swap & (own ^ other)
        own ^= step
        carry = ~swap
        ahead ^= swap
        for digit in range(len(ahead)):
            grown = ahead[digit] & carry
            ahead[digit] ^= carry
            carry = grown
    lanes = np.unpackbits(ahead.astype("<u8").view(np.uint8).reshape(len(ahead), -1), axis=1, bitorder="little")
    weights = 1 << np.arange(len(ahead), dtype=np.int64)
    weights[-1] *= -1
    found: npt.NDArray[np.int64] = (length - weights @ lanes[:, :blocks]) // 2
    return found
