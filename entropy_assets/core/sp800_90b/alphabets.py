"""Symbols in the forms that tests want: as a bitstring (3.1.3), numbered without gaps, and reduced to 8 bits (6.4)."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.sp800_90b.kernels import counts_for
from entropy_assets.errors import InputRefused

Symbols = npt.NDArray[np.uint8]

WIDEST: Final = 8
"""Bits of the widest symbol that the estimators take; wider ones are reduced (6.4)."""


def checked(symbols: npt.NDArray[Any], bits_per_symbol: int) -> Symbols:
    """Return `symbols` as they are, once it is sure that they are what they are said to be.

    Raises
    ------
    InputRefused
        If they are no ``uint8[n]``, or one has more than `bits_per_symbol` bits, or these are not 1 to 8.
    """
    if not 1 <= bits_per_symbol <= WIDEST:
        raise InputRefused(f"a symbol has 1 to {WIDEST} bits, not {bits_per_symbol}", bits=bits_per_symbol)
    if symbols.ndim != 1 or symbols.dtype != np.uint8:
        raise InputRefused(f"symbols are uint8[n], not {symbols.dtype}{list(symbols.shape)}")
    largest = int(symbols.max(initial=0))
    if largest >> bits_per_symbol:
        raise InputRefused(f"symbol {largest} has more than {bits_per_symbol} bits", symbol=largest)
    return np.ascontiguousarray(symbols)


def bitstring(symbols: Symbols, bits_per_symbol: int) -> Symbols:
    """Return the bits of the symbols, ``uint8[n * bits]``, of each the highest first (3.1.3), where these lie."""
    if bits_per_symbol == 1:
        return symbols
    found: Symbols = counts_for(symbols).bitstring(symbols, bits_per_symbol)
    return found


def numbered(symbols: Symbols) -> tuple[Symbols, int]:
    """Return the symbols numbered from 0 without gaps, in their order, and how many different ones there are."""
    present = np.bincount(symbols, minlength=256) > 0
    count = int(np.count_nonzero(present))
    if present[:count].all():
        return symbols, count
    return (np.cumsum(present) - 1).astype(np.uint8)[symbols], count


def reduced(samples: npt.NDArray[Any], ranking: Sequence[int], bits: int = WIDEST) -> Symbols:
    """Return samples of many bits as symbols of `bits`: those ranked first, the first as the highest (6.4).

    More than `bits` of min-entropy can't be credited to a sample any more, whatever it held.

    Parameters
    ----------
    samples
        Unsigned integers, ``[n]``.
    ranking
        Places of the bits, 0 the lowest, that which contributes most entropy first. The submitter gives it (3.2.2);
        where nobody does, `measured_ranking` does.
    bits
        m of the standard, 1 to 8.

    Raises
    ------
    InputRefused
        If samples are no unsigned integers, or the ranking names a place twice, none that they have, or too few.
    """
    width = _width(samples)
    if not 1 <= bits <= WIDEST or len(ranking) < bits:
        raise InputRefused(f"{bits} of {len(ranking)} ranked bits can't make a symbol", bits=bits)
    if len(set(ranking)) < len(ranking) or not all(0 <= place < width for place in ranking):
        raise InputRefused(f"a ranking names different bits of {width}", ranking=list(ranking))
    symbols = np.zeros(len(samples), dtype=np.uint8)
    for place in ranking[:bits]:
        symbols <<= np.uint8(1)
        symbols |= ((samples >> samples.dtype.type(place)) & samples.dtype.type(1)).astype(np.uint8)
    return symbols


def measured_ranking(samples: npt.NDArray[Any]) -> tuple[int, ...]:
    """Return the places of all bits of the samples, that of the most balanced bit first, among equals the lower first.

    The standard wants a ranking by the submitter's model (6.4); this stands in for it. It drops the bits that vary
    least, but sees no dependence between bits.
    """
    ones = [int(np.count_nonzero(samples & samples.dtype.type(1 << place))) for place in range(_width(samples))]
    return tuple(sorted(range(len(ones)), key=lambda place: abs(2 * ones[place] - len(samples))))


def _width(samples: npt.NDArray[Any]) -> int:
    if samples.ndim != 1 or samples.dtype.kind != "u":
        raise InputRefused(f"samples are unsigned integers [n], not {samples.dtype}{list(samples.shape)}")
    return 8 * samples.dtype.itemsize
