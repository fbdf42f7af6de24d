"""Twin of `arrays.linear`: the same steps on one matrix, and on 64 blocks, at a time."""

from typing import Any

import numpy as np
import numpy.typing as npt

from entropy_assets.core.compiling import kernel
from entropy_assets.core.sp800_22.arrays.linear import SIDE
from entropy_assets.core.sp800_22.packed import PackedBits


def ranks(bits: PackedBits, matrices: int) -> npt.NDArray[np.int64]:
    """Return ``int64[33]``: how many of the first 32 x 32 matrices have each rank."""
    found = np.zeros(SIDE + 1, dtype=np.int64)
    _ranks(bits.data[: SIDE * SIDE // 8 * matrices].view(">u4").astype(np.uint32).reshape(matrices, SIDE), found)
    return found


def complexities(bits: PackedBits, blocks: int, length: int) -> npt.NDArray[np.int64]:
    """Return ``int64[blocks]``: the linear complexity of each of the first blocks of `length` bits."""
    found = np.zeros(blocks, dtype=np.int64)
    rest, earlier = np.empty((2, 64 * -(-length // 64)), dtype=np.uint64)
    for start in range(0, blocks, 64):
        _planes(bits.words, start, length, rest, blocks)
        _complexities(rest[:length], earlier[:length], found[start : start + 64])
    return found


@kernel
def _ranks(rows: Any, found: Any) -> None:
    """Count the ranks of matrices, whose rows are used up."""
    for matrix in range(len(rows)):
        rank = 0
        own = rows[matrix]
        for i in range(32):
            pivot = own[i]
            lowest = pivot & (~pivot + np.uint32(1))
            rank += pivot != 0
            # All 32 rows every time, without a branch: so many fit into two registers.
            for j in range(32):
                other = own[j]
                own[j] = other ^ (pivot if (other & lowest) != 0 and j > i else np.uint32(0))
        found[rank] += 1


@kernel
def _planes(words: Any, start: int, length: int, planes: Any, blocks: int) -> None:
    """Lay bit i of each of the 64 blocks from `start` on into the word i of `planes`, the first block highest."""
    for first in range(0, length, 64):
        square = planes[first : first + 64]
        for lane in range(64):
            square[lane] = 0
            if start + lane < blocks:
                place = (start + lane) * length + first
                word, bit = place >> 6, np.uint64(place & 63)
                square[lane] = (words[word] << bit) | ((words[word + 1] >> np.uint64(1)) >> (np.uint64(63) - bit))
        # The square is turned: its upper right quarter changes places with the lower left one, then so in each quarter.
        width, mask = 32, np.uint64(0x00000000FFFFFFFF)
        while width:
            shift = np.uint64(width)
            for upper in range(0, 64, 2 * width):
                for row in range(upper, upper + width):
                    moved = (square[row] ^ (square[row + width] >> shift)) & mask
                    square[row] ^= moved
                    square[row + width] ^= moved << shift
            width >>= 1
            mask ^= mask << np.uint64(width)


@kernel
def _complexities(rest: Any, earlier: Any, found: Any) -> None:
    """Fill `found` with the complexity of each of 64 lanes of `rest`, which is used up."""
    length = len(rest)
    ahead = np.zeros(65, dtype=np.uint64)
    digits = 1
    while length >> (digits - 1):
        digits += 1
    earlier[:] = 0
    earlier[0] = ~np.uint64(0)
    for place in range(length):
        differ = rest[place]
        swap = differ & ~ahead[digits - 1]
        carry = ~swap
        for digit in range(digits):
            value = ahead[digit] ^ swap
            ahead[digit] = value ^ carry
            carry &= value
        left = rest[place:]
        for k in range(length - place):
            own, other = left[k], earlier[k]
            left[k] = own ^ (differ & other)
            earlier[k] = other ^ (swap & (own ^ other))
    for lane in range(len(found)):
        total: Any = 0
        for digit in range(digits):
            bit = np.int64((ahead[digit] >> np.uint64(63 - lane)) & np.uint64(1))
            total += (-bit if digit == digits - 1 else bit) << digit
        found[lane] = (length - total) >> 1
