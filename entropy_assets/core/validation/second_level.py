"""The tests of the tests: what the P-values of a whole batch say together (SP 800-22 section 4.2).

For each test three questions: is the *proportion* of blocks that pass at alpha = 0.01 what it should be (exact
binomial, too few and too many), are the P-values *uniform* (exact, 10 bins, from 55 blocks on), and is the *smallest*
P-value too small for so many blocks. All answers of all tests are corrected together by Holm's method, so an honest
batch fails any of its checks at most once in a million batches, whatever the dependence between the tests.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from entropy_assets.core.sp800_22.second_level.tails import (
    ALPHA,
    LEAST_FOR_UNIFORMITY,
    at_least,
    binomial_p,
    extreme_p,
    histogram,
    holm,
    uniformity_p,
)
from entropy_assets.core.validation.verdicts import FULL_SCORE_FROM, REJECT_BELOW, BlockVerdicts

FAMILY_ALPHA: Final = 1e-6
"""Corrected P-value under which a check fails and the batch is lost: among honest batches as rare as a rejected honest
block."""
ALARM_ALPHA: Final = 5e-5
"""P-value of the number of rejected or poor blocks under which the alarm is raised; it stops nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondLevelResult:
    """What the P-values of one test say over a batch.

    Attributes
    ----------
    name
        Name of the test.
    blocks
        Number of blocks.
    smallest_p, median_p
        Over the blocks; None without blocks.
    proportion
        Share of the blocks that pass at alpha = 0.01; None without blocks.
    band
        ``0.99 -+ 3 sqrt(0.01 * 0.99 / blocks)``, the interval of SP 800-22 4.2.1; for the eye, it decides nothing.
    bins
        Number of P-values in each tenth of (0, 1).
    proportion_p, uniformity_p, extreme_p
        The three P-values of the second level; None where the batch is too small to tell.
    corrected_p
        The smallest of them after Holm's correction over all tests of the batch; 1 without evidence.
    passed
        `corrected_p` is not under 1e-6.
    note
        What could not be tested; empty if everything was.
    """

    name: str
    blocks: int
    smallest_p: float | None
    median_p: float | None
    proportion: float | None
    band: tuple[float, float]
    bins: tuple[int, ...]
    proportion_p: float | None
    uniformity_p: float | None
    extreme_p: float | None
    corrected_p: float
    passed: bool
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """What the tests say over a batch.

    Attributes
    ----------
    blocks, rejected, warned
        Numbers of blocks.
    rejection_rate
        Share of blocks that were rejected; one in a million is right.
    rejection_p
        Probability of so many rejections or more among good blocks.
    low_p_star
        Number of blocks with ``p* < 0.01``, one in a hundred is right.
    low_p_star_p
        Two-sided exact binomial P-value of that number: too few is as wrong as too many.
    alarm
        Either of the two is under 5e-5: look at the source before anything else.
    tests
        One report per test, by name.
    passed
        Every test passed.
    """

    blocks: int
    rejected: int
    warned: int
    rejection_rate: float
    rejection_p: float
    low_p_star: int
    low_p_star_p: float
    alarm: bool
    tests: Mapping[str, SecondLevelResult]
    passed: bool

    @property
    def failed_tests(self) -> tuple[str, ...]:
        """Names of the tests that failed."""
        return tuple(name for name, test in self.tests.items() if not test.passed)

    def to_row(self) -> dict[str, Any]:
        """Return the report as JSON-able values."""
        tests = {
            name: {**asdict(test), "band": list(test.band), "bins": list(test.bins)}
            for name, test in self.tests.items()
        }
        return {name: getattr(self, name) for name in self.__slots__} | {"tests": tests}


def batch_report(verdicts: BlockVerdicts) -> BatchReport:
    """Return what `verdicts` say as a whole. Without blocks everything passes, and each test notes that."""
    evidence = {name: _evidence(p_value) for name, p_value in verdicts.p_values.items()}
    corrected = holm({(name, part): p for name, parts in evidence.items() for part, p in parts.items()})
    tests = {
        name: _test_report(
            name, verdicts.p_values[name], parts, min((corrected[name, part] for part in parts), default=1.0)
        )
        for name, parts in evidence.items()
    }
    blocks = len(verdicts)
    rejected = int(blocks - verdicts.passed.sum())
    low = int((verdicts.p_star < FULL_SCORE_FROM).sum())
    rejection_p = at_least(rejected, blocks, REJECT_BELOW)
    low_p = binomial_p(low, blocks, FULL_SCORE_FROM)
    return BatchReport(
        blocks=blocks,
        rejected=rejected,
        warned=int(verdicts.warned.sum()),
        rejection_rate=rejected / blocks if blocks else 0.0,
        rejection_p=rejection_p,
        low_p_star=low,
        low_p_star_p=low_p,
        alarm=min(rejection_p, low_p) < ALARM_ALPHA,
        tests=tests,
        passed=all(test.passed for test in tests.values()),
    )


def _evidence(p_values: NDArray[np.float64]) -> dict[str, float]:
    """Return the P-values of the second level that a batch of this size allows."""
    blocks = len(p_values)
    if blocks == 0:
        return {}
    evidence = {
        "proportion": binomial_p(int((p_values < ALPHA).sum()), blocks, ALPHA),
        "extreme": extreme_p(float(p_values.min()), blocks),
    }
    return evidence | ({"uniformity": uniformity_p(p_values)} if blocks >= LEAST_FOR_UNIFORMITY else {})


def _test_report(
    name: str, p_values: NDArray[np.float64], parts: Mapping[str, float], corrected_p: float
) -> SecondLevelResult:
    blocks = len(p_values)
    spread = 3.0 * float(np.sqrt(ALPHA * (1.0 - ALPHA) / max(blocks, 1)))
    return SecondLevelResult(
        name=name,
        blocks=blocks,
        smallest_p=float(p_values.min()) if blocks else None,
        median_p=float(np.median(p_values)) if blocks else None,
        proportion=float((p_values >= ALPHA).mean()) if blocks else None,
        band=(max(0.0, 1.0 - ALPHA - spread), min(1.0, 1.0 - ALPHA + spread)),
        bins=tuple(histogram(p_values).tolist()),
        proportion_p=parts.get("proportion"),
        uniformity_p=parts.get("uniformity"),
        extreme_p=parts.get("extreme"),
        corrected_p=corrected_p,
        passed=corrected_p >= FAMILY_ALPHA,
        note=_note(blocks),
    )


def _note(blocks: int) -> str:
    if blocks == 0:
        return "no blocks: nothing was tested"
    if blocks < LEAST_FOR_UNIFORMITY:
        return f"uniformity not applicable: {blocks} blocks, {LEAST_FOR_UNIFORMITY} needed (SP 800-22 4.2.2)"
    return ""
