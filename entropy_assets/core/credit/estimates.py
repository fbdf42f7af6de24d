"""The estimates of SP 800-90B 6.3 that a credit follows from, by name, in the two orders that samples have.

Draw order is random: what is looked at is a fair sample of the frame. Raster order is that of the sensor: what repeats
from one region to the next is found there alone. Both are looked at, since either may show what the other hides.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.arrays import beside, on_host
from entropy_assets.core.extraction.noise import NoiseArray
from entropy_assets.core.sp800_90b import predictors
from entropy_assets.core.sp800_90b.alphabets import bitstring
from entropy_assets.core.sp800_90b.non_iid import SECTIONS, counted
from entropy_assets.recipe import Recipe

Samples = npt.NDArray[np.uint8]

LONGEST_TUPLE: Final = 1024
"""Longest tuples that a credit follows from: a repeat of that length alone leaves a million bits below 0.04 each."""
RASTER = "raster_"
"""What names of estimates begin with that are of the samples in raster order."""


def estimate(symbols: Samples, bits_per_symbol: int, recipe: Recipe, near: Any = None) -> dict[str, float]:
    """Return the estimates of SP 800-90B 6.3 by name, bits per symbol.

    All ten on the symbols and on the bitstring (``bits_*``, times the bits of a symbol), as far as they apply and the
    recipe wants them. An estimator that needs more samples is left out. No count below depends on the machine.

    Parameters
    ----------
    symbols
        ``uint8[n]``, each below ``2**bits_per_symbol``; the recipe says how many of them each estimator sees.
    bits_per_symbol
        Bits of a symbol. The bitstring takes them from the highest to the lowest.
    near
        An array that lies where the symbols are counted; by default that is memory, where all else is computed.
    """
    alphabet = 1 << bits_per_symbol
    symbols = np.ascontiguousarray(symbols[: max(recipe.assessment_samples, recipe.prediction_samples)])
    assessed, first = symbols[: recipe.assessment_samples], symbols[: recipe.prediction_samples]
    if near is not None:
        assessed = beside(assessed, near)
    bits = bitstring(assessed, bits_per_symbol)
    first_bits = on_host(bits[: min(bits.shape[0], recipe.bit_prediction_samples * bits_per_symbol)])
    of_symbols = counted(assessed, alphabet, LONGEST_TUPLE) | {
        "multi_mcw": predictors.multi_mcw(first, alphabet) if bits_per_symbol <= recipe.widest_mcw else None,
        "lag": predictors.lag(first, alphabet),
        "multi_mmc": predictors.multi_mmc(first, alphabet),
        "lz78y": predictors.lz78y(first, alphabet),
    }
    of_bits = counted(bits, 2, LONGEST_TUPLE, are_bits=True) | {
        "multi_mcw": predictors.multi_mcw(first_bits, 2),
        "lag": predictors.lag(first_bits, 2),
        "multi_mmc": predictors.multi_mmc(first_bits, 2),
        "lz78y": predictors.lz78y(first_bits, 2),
    }
    # Of estimates that are equal the first one is said to have decided: the order is the standard's.
    return {
        f"{prefix}{name}": of_one.min_entropy * bits
        for prefix, bits, found in (("", 1, of_symbols), ("bits_", bits_per_symbol, of_bits))
        for name in SECTIONS
        if (of_one := found.get(name)) is not None
    }


def least_estimates(
    sequences: Sequence[Samples], bits_per_symbol: int, recipe: Recipe, near: Any = None
) -> dict[str, float]:
    """Return each estimate by name, bits per symbol: the least of any sequence."""
    return least_of([estimate(sequence, bits_per_symbol, recipe, near) for sequence in sequences])


def least_of(per_sequence: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return each estimate by name: the least of any sequence."""
    return {name: min(of_one.get(name, math.inf) for of_one in per_sequence) for name in per_sequence[0]}


def raster_estimates(noise: NoiseArray, bits_per_symbol: int, recipe: Recipe, near: Any = None) -> dict[str, float]:
    """Return the estimates of the low bits of the samples in raster order, by name; none if the recipe wants none."""
    if not recipe.raster_samples:
        return {}
    low = np.uint8((1 << bits_per_symbol) - 1)
    sequences = [raster_samples(noise, channel, recipe.raster_samples) & low for channel in range(noise.channels)]
    return {RASTER + name: h for name, h in least_estimates(sequences, bits_per_symbol, recipe, near).items()}


def raster_samples(noise: NoiseArray, channel: int, count: int) -> Samples:
    """Return the first `count` credited samples of a channel in raster order, or all if there are fewer."""
    start = channel * (noise.samples.shape[1] // noise.planes)
    pairs = noise.samples[:, start : start + noise.pairs_per_region]
    return in_raster_order(pairs, noise.regions, count)


def in_raster_order(pairs: Samples, regions: npt.NDArray[np.int32], count: int) -> Samples:
    """Return the first `count` pair differences in raster order: pixel row by pixel row, from left to right.

    The rows begin at those of the region that was drawn first, and go on at the top after the last. So which part of
    the frame is looked at is as random as the draw is, and its samples are neighbours.

    Parameters
    ----------
    pairs
        ``uint8[region, pairs_per_region]``, of each region row by row.
    regions
        ``int32[region, 2]``, top and left pixel of each, in draw order; those that share rows of pixels share all.
    """
    size = math.isqrt(2 * pairs.shape[1])
    top, left = regions.astype(np.int64).T
    below = (top - top[0]) % (int(top.max()) + size)
    across = int(left.max()) + 1
    order = np.argsort(below * across + left)
    needed = min(len(order), -(-count // pairs.shape[1]))
    taken = order[: np.searchsorted(below[order], below[order[needed - 1]], side="right")]
    rows, bands = pairs[taken].reshape(-1, size, size // 2), below[taken]
    ends = np.append(np.flatnonzero(bands[1:] != bands[:-1]) + 1, len(taken)).tolist()
    beside = [rows[start:stop].swapaxes(0, 1).reshape(-1) for start, stop in zip([0, *ends], ends, strict=False)]
    return np.concatenate(beside)[:count]
