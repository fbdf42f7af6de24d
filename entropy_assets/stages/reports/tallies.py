"""Counts of P-values, which add up over nights, and what they say together (SP 800-22 4.2).

The questions are those of `second_level`, and each has an exact answer from the counts alone: is the *proportion* of
P-values under .01 right (4.2.1), are they *uniform* over ten bins (4.2.2), is the *smallest* too small for so many. All
answers of a look are corrected together by Holm's method.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Self

import numpy as np

from entropy_assets.core.sp800_22.second_level.grain import too_coarse
from entropy_assets.core.sp800_22.second_level.tails import (
    ALPHA,
    BINS,
    LEAST_FOR_UNIFORMITY,
    binomial_p,
    extreme_p,
    histogram,
    holm,
    uneven_p,
)
from entropy_assets.core.sp800_22.suite import SUITE

TAIL_POWER: Final = 0.6
"""A good sequence has a P-value of p or less with a chance of p to this power at most. Chi-squares whose cells expect
few have wide tails: 1e-8 by the random excursions at x = 4 over 500 cycles, the widest, has a chance of 1.5e-6, and by
the longest run one of 2e-7. So the smallest P-value counts for less than it says; what is broken gives far smaller."""


class RowCounts(NamedTuple):
    """Counts of the P-values of one row of the suite.

    Attributes
    ----------
    grain
        About the largest chance of any single P-value of its test (`second_level.grain`).
    number
        P-values; a test that is not applicable to a sequence has none.
    low
        Those under .01.
    least
        The smallest; 1 without any.
    bins
        How many lie in each tenth of (0, 1).
    """

    grain: float
    number: int
    low: int
    least: float
    bins: tuple[int, ...]

    @classmethod
    def of(cls, p_values: Sequence[float], grain: float = 0.0) -> Self:
        """Count `p_values`."""
        values = np.array(p_values, dtype=np.float64)
        low = int(np.count_nonzero(values < ALPHA))
        return cls(grain, len(values), low, float(values.min(initial=1.0)), tuple(histogram(values).tolist()))

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """Return what `to_row` gave.

        Raises
        ------
        ValueError, TypeError
            If `row` is none of it.
        """
        grain, number, low, least, *bins = row
        if len(bins) != BINS or sum(bins) != number:
            raise ValueError(f"{len(bins)} bins with {sum(bins)} P-values of {number}")
        return cls(float(grain), int(number), int(low), float(least), tuple(int(part) for part in bins))

    def to_row(self) -> list[float]:
        """Return it as JSON-able numbers."""
        return [self.grain, self.number, self.low, self.least, *self.bins]

    def plus(self, other: Self) -> Self:
        """Return the counts of both."""
        bins = tuple(a + b for a, b in zip(self.bins, other.bins, strict=True))
        number, low = self.number + other.number, self.low + other.low
        return type(self)(max(self.grain, other.grain), number, low, min(self.least, other.least), bins)


Counts = Mapping[str, RowCounts]
"""Counts by the row of the suite, 188 of them: test and label."""


def summed(nights: Iterable[Counts]) -> dict[str, RowCounts]:
    """Return the counts of all nights together."""
    total: dict[str, RowCounts] = {}
    for night in nights:
        for row, tally in night.items():
            total[row] = total[row].plus(tally) if row in total else tally
    return total


def by_test(tallies: Counts) -> dict[str, RowCounts]:
    """Return the counts of each test, all its rows together, in the order of the standard.

    For the eye: the rows of one test depend on each other, and with them the bins.
    """
    found = summed({row.split()[0]: tally} for row, tally in tallies.items())
    return {test: found[test] for test in SUITE if test in found}


class Evidence(NamedTuple):
    """One question that was asked of one row.

    Attributes
    ----------
    row, question
        Which row of the suite; ``proportion``, ``uniformity`` or ``smallest``.
    p
        P-value of the answer.
    corrected_p
        The same after Holm's correction over all answers of the look.
    """

    row: str
    question: str
    p: float
    corrected_p: float


class LookVerdict(NamedTuple):
    """What a look says.

    Attributes
    ----------
    level
        An honest stream has a corrected P-value under this with this probability at most.
    evidence
        All answers, the smallest first.
    """

    level: float
    evidence: tuple[Evidence, ...]

    @property
    def smallest_p(self) -> float:
        """The smallest corrected P-value; 1 where nothing was asked."""
        return self.evidence[0].corrected_p if self.evidence else 1.0

    @property
    def alarms(self) -> tuple[Evidence, ...]:
        """Answers that are not those of an honest stream."""
        return tuple(one for one in self.evidence if one.corrected_p < self.level)


def verdict_on(counts: Counts, level: float, *, smallest_too: bool) -> LookVerdict:
    """Return what counts say at a level.

    Parameters
    ----------
    smallest_too
        Whether to ask for the smallest P-value; over a long run each night has asked already.
    """
    asked = {(row, question): p for row, each in counts.items() for question, p in _answers(each, smallest_too).items()}
    corrected = holm(asked)
    evidence = [Evidence(row, question, p, corrected[row, question]) for (row, question), p in asked.items()]
    evidence.sort(key=lambda one: (one.p, one))
    return LookVerdict(level, tuple(evidence))


def _answers(counts: RowCounts, smallest_too: bool) -> dict[str, float]:
    number = counts.number
    if not number:
        return {}
    answers = {"proportion": binomial_p(counts.low, number, ALPHA)}
    if smallest_too:
        answers["smallest"] = extreme_p(counts.least**TAIL_POWER, number)
    # a test whose P-values take few values would show that, and nothing else, over very many sequences
    if number >= LEAST_FOR_UNIFORMITY and not too_coarse(counts.grain, number):
        answers["uniformity"] = uneven_p(sum(part * part for part in counts.bins), number, BINS)
    return answers
