"""The min-entropy of a pair difference of Gaussian noise: the most that noise of that width can hold."""

import math
from typing import Final

import numpy as np
from scipy import special

PHASES: Final = 16
"""Places between two codes that the levels of a pattern are spread over."""
WIDE: Final = 3.0
"""Noise from which on a difference is as good as continuous, ADC steps: its min-entropy is right to .01 bit."""
REACH: Final = 8
"""Codes are counted to this many standard deviations."""


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
    reach = math.ceil(REACH * sigma) + 2
    levels = (np.arange(phases) / phases)[:, np.newaxis]
    edges = (np.arange(-reach, reach + 2) - 0.5 - levels) / sigma
    masses = np.diff(special.ndtr(edges), axis=1)
    apart = [masses[:, : masses.shape[1] - by] @ masses[:, by:].T for by in (0, 1, 2)]
    likeliest = np.max([*apart, *(matrix.T for matrix in apart)], axis=0)
    return float(-np.log2(likeliest).mean())
