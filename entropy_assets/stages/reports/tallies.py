"""Counts of P-values, which add up over nights, and what they say together (SP 800-22 4.2).

Every question has an exact answer from the counts alone: is the *proportion* of P-values under .01 right (4.2.1), are
they *uniform* over ten bins (4.2.2), is the *smallest* too small for so many. All answers of a look are corrected
together by Holm's method.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Self

import numpy as np

from entropy_assets.core.sp800_22.suite import SUITE
from entropy_assets.core.validation.occupancy import uneven_p
from entropy_assets.core.validation.second_level import ALPHA, BINS, LEAST_FOR_UNIFORMITY, binomial_p, histogram

ROW: Final = "{test} {label}"
"""How a P-value of a suite is called: its test, and which of several."""


class RowCounts(NamedTuple):
    """Counts of the P-values of one row of the suite.

    Attributes
    ----------
    number
        P-values; a test that is not applicable to a sequence has none.
    low
        Those under .01.
    least
        The smallest; 1 without any.
    bins
        How many lie in each tenth of (0, 1).
    """

    number: int
    low: int
    least: float
    bins: tuple[int, ...]

    @classmethod
    def of(cls, p_values: Sequence[float]) -> Self:
        """Count `p_values`."""
        values = np.array(p_values, dtype=np.float64)
        low = int(np.count_nonzero(values < ALPHA))
        return cls(len(values), low, float(values.min(initial=1.0)), tuple(histogram(values).tolist()))

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """Return what `to_row` gave.

        Raises
        ------
        ValueError, TypeError
            If `row` is none of it.
        """
        number, low, least, *bins = row
        if len(bins) != BINS or sum(bins) != number:
            raise ValueError(f"{len(bins)} bins with {sum(bins)} P-values of {number}")
        return cls(int(number), int(low), float(least), tuple(int(part) for part in bins))

    def to_row(self) -> list[float]:
        """Return it as JSON-able numbers."""
        return [self.number, self.low, self.least, *self.bins]

    def plus(self, other: Self) -> Self:
        """Return the counts of both."""
        bins = tuple(a + b for a, b in zip(self.bins, other.bins, strict=True))
        return type(self)(self.number + other.number, self.low + other.low, min(self.least, other.least), bins)


Counts = Mapping[str, RowCounts]
"""Counts by the row of the suite, 188 of them."""


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


def verdict_on(tallies: Counts, level: float, *, smallest_too: bool) -> LookVerdict:
    """Return what counts say at a level.

    Parameters
    ----------
    smallest_too
        Whether to ask for the smallest P-value; over a long run each night has asked already.
    """
    asked = [
        (row, question, p) for row, tally in tallies.items() for question, p in _answers(tally, smallest_too).items()
    ]
    asked.sort(key=lambda one: (one[2], one))
    evidence, largest = [], 0.0
    for rank, (row, question, p) in enumerate(asked):
        largest = max(largest, min(1.0, (len(asked) - rank) * p))
        evidence.append(Evidence(row, question, p, largest))
    return LookVerdict(level, tuple(evidence))


def _answers(tally: RowCounts, smallest_too: bool) -> dict[str, float]:
    if not tally.number:
        return {}
    answers = {"proportion": binomial_p(tally.low, tally.number, ALPHA)}
    if smallest_too:
        answers["smallest"] = 1.0 if tally.least >= 1.0 else -math.expm1(tally.number * math.log1p(-tally.least))
    if tally.number >= LEAST_FOR_UNIFORMITY:
        answers["uniformity"] = uneven_p(sum(part * part for part in tally.bins), tally.number, BINS)
    return answers
