"""Restart tests (SP 800-90B 3.1.4): whether a source gives the same again each time that it is started.

1,000 samples after each of 1,000 restarts are a matrix: row = restart. Read row by row and column by column they must
not be assessed at less than half of what was claimed, and no symbol may be too frequent in any row or column.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from entropy_assets.core.sp800_90b import estimators
from entropy_assets.core.sp800_90b.alphabets import checked
from entropy_assets.core.sp800_90b.non_iid import NonIidAssessment, assess_non_iid
from entropy_assets.errors import InputRefused

RESTARTS: Final = 1000
"""Restarts, and samples after each (3.1.4.1)."""
SANITY_ALPHA: Final = 0.01
"""Probability that a source as it is claimed fails the sanity check in any row or column (3.1.4.3)."""


@dataclass(frozen=True, slots=True)
class SanityCheck:
    """Whether a symbol is too frequent in a row or a column (3.1.4.3).

    Attributes
    ----------
    largest_count
        X_max, how often the most frequent symbol of any row or column is there.
    cutoff
        X_cutoff: more than that fails.
    alpha
        Probability that one row of a source as it is claimed fails.
    """

    largest_count: int
    cutoff: int
    alpha: float

    @property
    def passed(self) -> bool:
        """Whether no symbol is too frequent."""
        return self.largest_count <= self.cutoff


@dataclass(frozen=True, slots=True)
class RestartAssessment:
    """What the restart tests say of a source.

    Attributes
    ----------
    h_i
        Claimed or assessed min-entropy, bits per sample (3.1.3).
    sanity
        The sanity check.
    h_r, h_c
        Least estimate of the rows and of the columns, bits per sample; None if the sanity check fails: then nothing is
        estimated.
    rows, columns
        What the estimators say of each; None on the IID track, and if the sanity check fails.
    """

    h_i: float
    sanity: SanityCheck
    h_r: float | None = None
    h_c: float | None = None
    rows: NonIidAssessment | None = None
    columns: NonIidAssessment | None = None

    @property
    def passed(self) -> bool:
        """Whether the source is validated: sane, and rows and columns at least at half of H_I (3.1.4.2 step 4)."""
        return self.h_r is not None and self.h_c is not None and min(self.h_r, self.h_c) >= self.h_i / 2

    @property
    def h(self) -> float | None:
        """Return the min-entropy that is left, min(H_r, H_c, H_I), bits per sample; None if the source fails."""
        if not self.passed or self.h_r is None or self.h_c is None:
            return None
        return min(self.h_r, self.h_c, self.h_i)

    def to_row(self) -> dict[str, Any]:
        """Return all of it as JSON-able values."""
        assessed = {
            name: assessment.to_row() if assessment else None
            for name, assessment in (("rows", self.rows), ("columns", self.columns))
        }
        sanity = {"sanity": asdict(self.sanity) | {"passed": self.sanity.passed}}
        return asdict(self) | assessed | sanity | {"passed": self.passed, "h": self.h}


def assess_restarts(
    matrix: npt.NDArray[np.uint8], bits_per_symbol: int, h_i: float, *, iid: bool = False
) -> RestartAssessment:
    """Return what the restart tests say; as in NIST's tool, rows and columns are estimated as symbols, not as bits.

    Parameters
    ----------
    matrix
        ``uint8[1000, 1000]``, of each restart the first samples.
    bits_per_symbol
        1 to 8.
    h_i
        H_I, bits per sample: what `assess_non_iid` or `assess_iid` gave, with the submitter's claim.
    iid
        Whether the source was found to be IID: then the most common value alone is estimated.

    Raises
    ------
    InputRefused
        If the matrix has another shape, the symbols are not what they are said to be, or H_I is none.
    """
    if matrix.shape != (RESTARTS, RESTARTS):
        raise InputRefused(f"restart data are {RESTARTS} x {RESTARTS} samples, not {list(matrix.shape)}")
    if not 0.0 < h_i <= bits_per_symbol:
        raise InputRefused(f"a sample of {bits_per_symbol} bits can't hold {h_i} bits of min-entropy", h_i=h_i)
    rows = checked(matrix.reshape(-1), bits_per_symbol)
    columns = np.ascontiguousarray(matrix.T).reshape(-1)
    sanity = sanity_check(matrix, h_i)
    if not sanity.passed:
        return RestartAssessment(h_i, sanity)
    if iid:  # the order is of no account then, and rows and columns have the same samples
        most_common = estimators.most_common_value(rows)
        h = most_common.min_entropy if most_common else 0.0
        return RestartAssessment(h_i, sanity, h, h)
    of_rows = assess_non_iid(rows, bits_per_symbol, bits_too=False)
    of_columns = assess_non_iid(columns, bits_per_symbol, bits_too=False)
    return RestartAssessment(h_i, sanity, of_rows.h_original, of_columns.h_original, of_rows, of_columns)


def sanity_check(matrix: npt.NDArray[np.uint8], h_i: float) -> SanityCheck:
    """Return the sanity check of ``uint8[k, k]`` (3.1.4.3), in which rows and columns have one cutoff.

    The standard takes a binomial cutoff; as in NIST's tool, this one is of the most frequent of all symbols.

    Raises
    ------
    InputRefused
        If rows and columns are not equally long.
    """
    if len(set(matrix.shape)) != 1:
        raise InputRefused(f"rows and columns of {list(matrix.shape)} samples have no cutoff in common")
    alpha = -math.expm1(math.log1p(-SANITY_ALPHA) / sum(matrix.shape))
    largest = max(_largest_count(matrix), _largest_count(matrix.T))
    return SanityCheck(largest, count_cutoff(h_i, matrix.shape[1], alpha), alpha)


def _largest_count(matrix: npt.NDArray[np.uint8]) -> int:
    return max(int(np.bincount(row).max()) for row in matrix)


def count_cutoff(h_i: float, samples: int, alpha: float) -> int:
    """Return the least count that the most frequent of `samples` symbols exceeds with probability `alpha` or less.

    The symbols are as uneven as `h_i` allows: as many as can be have probability 2**-h_i, one more has the rest. Exact:
    with counts of Poisson variables, what their sum is, given that each is small, is a product of polynomials; that it
    is `samples` has a known probability without that condition.

    Parameters
    ----------
    h_i
        Min-entropy, bits per sample, more than 0.
    samples
        Length of a row.
    alpha
        Probability of a false alarm, per row.
    """
    p = 2.0**-h_i
    equals = int(1.0 / p)
    laws = [(p, equals), (1.0 - equals * p, 1)]
    of_any_sum = _poisson(samples, np.array([samples]))[0]
    low, high = 0, samples
    while low < high:
        middle = (low + high) // 2
        if 1.0 - _all_small(laws, samples, middle) / of_any_sum <= alpha:
            high = middle
        else:
            low = middle + 1
    return low


def _all_small(laws: list[tuple[float, int]], samples: int, most: int) -> float:
    """Return the probability that Poisson counts are all `most` or fewer, and `samples` together.

    Parameters
    ----------
    laws
        Probability of a symbol, and how many symbols have it.
    """
    size = 4 * (samples + 64)  # what is more than that together would be taken for less, but has no probability
    product: npt.NDArray[np.complex128] = np.ones(size // 2 + 1, dtype=np.complex128)
    for p, symbols in laws:
        if p > 0:
            product *= np.fft.rfft(_poisson(samples * p, np.arange(most + 1)), size) ** symbols
    return float(np.fft.irfft(product, size)[samples])


def _poisson(mean: float, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    probabilities: npt.NDArray[np.float64] = np.exp(counts * math.log(mean) - mean - gammaln(counts + 1.0))
    return probabilities
