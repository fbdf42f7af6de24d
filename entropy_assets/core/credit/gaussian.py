"""What a difference of two pixels holds to who knows a share of their noise, if the noise is Gaussian.

A frame of which the share `known` of the variance is known holds fresh noise of ``sigma * sqrt(1 - known)``. Its pair
differences have at most the min-entropy of that noise, however rich the whole looks to an estimator that doesn't know
the rest. What the estimators find poorer than a Gaussian stays as much poorer.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import special

PHASES: Final = 16
"""Places between two codes that the levels of a pattern are spread over."""
PIXEL_PHASES: Final = 128
"""The same for single pixels, whose noise may be narrower than the way between two of the former."""
WIDE: Final = 3.0
"""Noise from which on a difference is as good as continuous, ADC steps: its min-entropy is right to .01 bit."""
REACH: Final = 8
"""Codes are counted to this many standard deviations."""
SOLE_MARGIN: Final = 9
"""Tenths of what two pixels would hold that a first frame is credited, at most: the noise of squares is told in thirds
of an ADC step, and may be a tenth less than it seems."""


def pair_entropy(sigma: float, phases: int = 1) -> float:
    """Return the min-entropy of the difference of two pixels, bits, to who knows the level of each.

    Parameters
    ----------
    sigma
        Gaussian noise of a pixel before it is rounded, ADC steps.
    phases
        1 for levels on a code, the worst there is; more for levels spread evenly between codes, on the mean.
    """
    if sigma <= 0:
        return 0.0
    if sigma >= WIDE:
        return math.log2(2 * math.sqrt(math.pi) * sigma)
    masses = _masses(sigma, phases)
    apart = [masses[:, : masses.shape[1] - by] @ masses[:, by:].T for by in (0, 1, 2)]
    likeliest = np.max([*apart, *(matrix.T for matrix in apart)], axis=0)
    return float(-np.log2(likeliest).mean())


def pixel_entropy(sigma: float) -> float:
    """Return the min-entropy of one pixel, bits, to who knows its level: the mean over levels between two codes.

    Parameters
    ----------
    sigma
        As of `pair_entropy`.
    """
    if sigma <= 0:
        return 0.0
    if sigma >= WIDE:
        return math.log2(math.sqrt(2 * math.pi) * sigma)
    return float(-np.log2(_masses(sigma, PIXEL_PHASES).max(axis=1)).mean())


def first_frame_entropy(sigma: float, known: float, pattern: int, safety_factor: tuple[int, int]) -> float:
    """Return what a pair difference of a sensor's first frame is worth at most, bits: its pattern is known to others.

    It is the lesser of two: what is left where the share `known` of the variance is pattern; and what keeps the credit
    below what both pixels hold, all of which the hash takes in, where the pattern is `pattern` times the noise.

    Parameters
    ----------
    sigma
        Noise of a pixel with its pattern, steps of the ADC.
    safety_factor
        What a credit is multiplied by in the end, as a fraction.
    """
    by_share = pair_entropy(sigma * math.sqrt(1 - known), PHASES)
    if not pattern:
        return by_share
    both = 2 * pixel_entropy(sigma / math.sqrt(1 + pattern * pattern))
    numerator, denominator = safety_factor
    return min(by_share, both * SOLE_MARGIN * denominator / (10 * numerator))


def _masses(sigma: float, phases: int) -> npt.NDArray[np.float64]:
    """Return the probabilities of codes, ``float64[phase, code]``."""
    reach = math.ceil(REACH * sigma) + 2
    levels = (np.arange(phases) / phases)[:, np.newaxis]
    edges = (np.arange(-reach, reach + 2) - 0.5 - levels) / sigma
    masses: npt.NDArray[np.float64] = np.diff(special.ndtr(edges), axis=1)
    return masses


def poorer_than_gaussian(least: float, sigma: float, symbol_bits: int) -> float:
    """Return the share of a Gaussian's min-entropy that is there, at most 1.

    Parameters
    ----------
    least, symbol_bits
        The least estimate of the samples, bits, and how many bits of each were assessed.
    sigma
        Noise of a pixel, ADC steps.
    """
    ideal = min(pair_entropy(sigma), float(symbol_bits))
    return min(1.0, least / ideal) if ideal else 1.0


def left_beside(least: float, sigma: float, symbol_bits: int, known: float) -> float:
    """Return what is left of `least` bits to who knows the share `known` of the variance.

    Parameters
    ----------
    least, sigma, symbol_bits
        As of `poorer_than_gaussian`.
    """
    if known <= 0:
        return least
    left = pair_entropy(sigma * math.sqrt(1 - min(1.0, known)))
    return min(least, left * poorer_than_gaussian(least, sigma, symbol_bits))


def left_of(sigma: float, known: int, of: int) -> float:
    """Return the noise that is left of `sigma` to who knows `known` parts of its variance, `of` being all of them."""
    return sigma * math.sqrt(1 - known / of)


def raised(
    known: tuple[int, ...], of: int, weights: Sequence[int], sigma: float, most: float, margin: float = 0.0
) -> tuple[int, ...]:
    """Return known shares of the variance of each cell, raised until no more than `most` bits are left on the mean.

    What is left of each cell shrinks by the same share; nothing changes as long as `margin` more would explain it.

    Parameters
    ----------
    known, of
        How many parts of the variance of each cell are known, `of` being all of them.
    weights
        Of the cells.
    sigma
        Noise of a pixel, ADC steps.
    most, margin
        Bits of a pair difference.
    """
    left = [pair_entropy(left_of(sigma, parts, of)) for parts in known]
    whole = math.fsum(bits * weight for bits, weight in zip(left, weights, strict=True)) / max(1, sum(weights))
    if whole <= most + margin:
        return known
    of_bits = {bits: _parts_that_leave(bits * most / whole, sigma, of) for bits in set(left)}
    return tuple(max(parts, of_bits[bits]) for parts, bits in zip(known, left, strict=True))


def _parts_that_leave(most: float, sigma: float, of: int) -> int:
    """Return the least number of parts to who knows which no more than `most` bits are left."""
    return bisect_left(range(of), -most, key=lambda parts: -pair_entropy(left_of(sigma, parts, of)))
