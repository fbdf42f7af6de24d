"""The verdict on each block of a batch, and the thresholds that decide it.

A block is rejected if the family value of its tests, ``p* = 1 - (1 - min p)**k``, is under one in a million, or if its
Shannon entropy lies under 7.8 bits per byte at a length that allows that demand. So a good block is lost once in a
million, and what counts is the *rate* of small P-values over many blocks, see ``second_level``.

Chi-square, runs and autocorrelation vote in ``p*``, so ``k`` is 3, plus one for every P-value of a further suite.
Shannon entropy does not vote: it is a function of the same byte counts as chi-square, correlates with it at -0.99, and
would count one fact twice. It keeps its own P-value, its own batch check and the floor.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from entropy_assets.core.validation.block_tests import BlockStatistics

REJECT_BELOW: Final = 1e-6
"""``p*`` under which a block is rejected: the share of good blocks that is lost."""
WARN_BELOW: Final = 1e-3
"""``p*`` under which a block is marked."""
FULL_SCORE_FROM: Final = 1e-2
"""``p*`` from which the score is 10: 99 in 100 good blocks."""


@dataclass(frozen=True, slots=True, eq=False)
class BlockVerdicts:
    """What the tests say about `m` blocks of one length, one array of `m` values per column.

    Attributes
    ----------
    length
        Length of each block, bytes.
    values
        Statistics of the four tests.
    p_values
        P-value of each test of ``TESTS`` and of each further suite.
    p_star
        Family value.
    score
        0 to 10, a function of `p_star` alone: consistency with uniform, not entropy.
    passed, warned
        The block may be published; the block is marked.
    below_floor
        Shannon entropy is under the floor of 7.8 bits per byte, at a length where that is a defect.
    """

    length: int
    values: BlockStatistics
    p_values: Mapping[str, NDArray[np.float64]]
    p_star: NDArray[np.float64]
    score: NDArray[np.float64]
    passed: NDArray[np.bool_]
    warned: NDArray[np.bool_]
    below_floor: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.p_star)

    def to_rows(self) -> list[dict[str, Any]]:
        """Return one JSON-able row per block."""
        columns = {name: column.tolist() for name, column in self._columns().items()}
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return [{"length": self.length, **row, "reasons": self._reasons(row)} for row in rows]

    def _columns(self) -> dict[str, NDArray[Any]]:
        p_values = dict(self.p_values)
        return {
            "shannon_entropy": self.values.shannon_bits,
            "shannon_entropy_p": p_values.pop("shannon_entropy"),
            **p_values,
            "p_star": self.p_star,
            "score": self.score,
            "passed": self.passed,
            "warned": self.warned,
            "below_floor": self.below_floor,
            "chi_square_statistic": self.values.chi_square,
            "ones": self.values.ones,
            "runs_count": self.values.runs,
            "runs_sp80022": self.values.runs_sp80022,
            "worst_lag": self.values.worst_lag,
            "worst_lag_z": self.values.worst_lag_z,
        }

    def _reasons(self, row: Mapping[str, Any]) -> list[str]:
        """Return the names of what a rejected block was rejected for."""
        voters = [name for name in self.p_values if name != "shannon_entropy"]
        low = [name for name in voters if row["p_star"] < REJECT_BELOW and row[name] < REJECT_BELOW]
        return low + ["shannon_entropy"] * bool(row["below_floor"])


def score_of(p_star: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the score of each family value: 10 from 0.01 upwards, falling linearly in log10 to 0 at 1e-6."""
    decades = np.log10(np.clip(p_star, REJECT_BELOW, FULL_SCORE_FROM) / REJECT_BELOW)
    return np.asarray(10.0 * decades / np.log10(FULL_SCORE_FROM / REJECT_BELOW))
