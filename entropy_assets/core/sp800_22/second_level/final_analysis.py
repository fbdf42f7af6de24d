"""The second level as sts-2.1.2 computes it: the lines of its finalAnalysisReport.

What it does otherwise than 4.2 says, and `across` doesn't:

- It reads P-values back from its own files, with six digits and in single precision. So 0.01 itself is below 0.01, and
  0.7 lies in the bin of 0.6.
- A test that is not applicable has P = 0: it counts as failed, but for the random excursions, where each 0 is dropped.
- The expectation of a bin is a whole number, m / 10 cut down, so P_T is wrong unless 10 divides m; under 10 sequences
  there is none.
- The band of 4.2.1 is cut to whole numbers: of 100 sequences 96 pass, though .96 is below .9601.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from entropy_assets.core.sp800_22.findings import chi_square_tail
from entropy_assets.core.sp800_22.second_level.across import Tally
from entropy_assets.core.sp800_22.second_level.tails import ALPHA, BINS, histogram

ORDER: Final = (
    "frequency",
    "block_frequency",
    "cumulative_sums",
    "runs",
    "longest_run",
    "rank",
    "spectral",
    "non_overlapping_template",
    "overlapping_template",
    "universal",
    "approximate_entropy",
    "random_excursions",
    "random_excursions_variant",
    "serial",
    "linear_complexity",
)
"""The tests in the order of the program's report."""
DROPS_ZEROS: Final = ("random_excursions", "random_excursions_variant")
LEAST_UNIFORM: Final = 1e-4
"""P_T under which the program marks a line (4.2.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalAnalysis:
    """One line of finalAnalysisReport.

    Attributes
    ----------
    test, label
        Which P-value of the suite.
    bins
        C1 to C10.
    uniformity_p
        P-value_T; None where the program prints dashes.
    passed, counted
        The proportion.
    least, most
        Passing sequences between which the program sets no mark, both included; they are cut to whole numbers.
    """

    test: str
    label: str
    bins: tuple[int, ...]
    uniformity_p: float | None
    passed: int
    counted: int
    least: int
    most: int

    @property
    def uneven(self) -> bool:
        """Whether the program marks the uniformity."""
        return self.uniformity_p is not None and self.uniformity_p < LEAST_UNIFORM

    @property
    def out_of_band(self) -> bool:
        """Whether the program marks the proportion."""
        return self.counted > 0 and not self.least <= self.passed <= self.most

    def line(self) -> str:
        """Return the line as text, without the name."""
        bins = " ".join(f"{count:3d}" for count in self.bins)
        uniform = "   ----    " if self.uniformity_p is None else f"{self.uniformity_p:8.6f} {' *'[self.uneven]} "
        proportion = f"{self.passed:4d}/{self.counted:<4d}" if self.counted else "  ------ "
        return f"{bins}  {uniform}{proportion} {' *'[self.out_of_band]}"


def final_analysis(tally: Tally) -> tuple[FinalAnalysis, ...]:
    """Return the lines of finalAnalysisReport, 188 with the parameters of the standard, in its order.

    The P-values are to be those of ``compat="sts"``.
    """
    columns = {name: p for name, _, p in tally.columns()}
    return tuple(
        _line(test, label, _as_read(columns[test, label], drop_zeros=test in DROPS_ZEROS))
        for wanted in ORDER
        for test, label in columns
        if test == wanted
    )


def _as_read(p_values: NDArray[np.float64], *, drop_zeros: bool) -> NDArray[np.float64]:
    """Return P-values as the program reads them back: of six digits, in single precision."""
    printed = [f"{0.0 if math.isnan(p) else p:.6f}" for p in p_values.tolist()]
    read = np.array(printed, dtype=np.float32).astype(np.float64)
    return read[read > 0.0] if drop_zeros else read


def _line(test: str, label: str, read: NDArray[np.float64]) -> FinalAnalysis:
    counted, share = len(read), 1.0 - ALPHA
    bins = histogram(read)
    expected = counted // BINS
    chi_square = float(((bins - expected) ** 2).sum()) / expected if expected else 0.0
    band = 3.0 * math.sqrt(share * ALPHA / counted) if counted else 0.0
    return FinalAnalysis(
        test=test,
        label=label,
        bins=tuple(bins.tolist()),
        uniformity_p=chi_square_tail(chi_square, BINS - 1) if expected else None,
        passed=int((read >= ALPHA).sum()),
        counted=counted,
        least=int((share - band) * counted),
        most=int((share + band) * counted),
    )
