"""The strict second level: what the P-values of many sequences say together, by exact laws (SP 800-22 4.2).

For each of the 188 P-values of the suite three questions: is the *proportion* of sequences that pass at alpha = 0.01
what it should be (4.2.1; exact binomial, too few and too many), are the P-values *uniform* (4.2.2; exact, ten bins,
from 55 sequences on), and is the *smallest* one too small for so many (by `widened` tails). Holm's method corrects all
answers together, so a good source fails once in a thousand reports at most, whatever the dependence between the tests.

Where a test is not applicable to a sequence, that sequence doesn't count in it; how many did is told.
"""

import math
from array import array
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from entropy_assets.core.sp800_22.findings import Asked
from entropy_assets.core.sp800_22.second_level.grain import grain, heavy_tail, too_coarse
from entropy_assets.core.sp800_22.second_level.tails import (
    ALPHA,
    LEAST_FOR_UNIFORMITY,
    binomial_p,
    extreme_p,
    histogram,
    holm,
    uniformity_p,
)
from entropy_assets.core.sp800_22.suite import SuiteReport

REPORT_ALPHA: Final = 1e-3
"""Corrected P-value under which a row fails: of the reports on good sequences, one in a thousand."""
WIDE_UNDER: Final = 1e-5
"""P-value under which good bits have smaller ones more often than they say: see `widened`."""
TAIL_POWER: Final = 0.6
"""Power of what is left of a P-value under that."""
Name = tuple[str, str]
"""Test and label of a P-value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcrossSequences:
    """What one of the P-values of the suite says over many sequences.

    Attributes
    ----------
    test, section, label
        Which one.
    counted, left_out
        Sequences that have it, and those to which the test is not applicable.
    passed
        Those counted whose P-value is 0.01 or more.
    bins
        Number of P-values in each tenth of (0, 1).
    smallest_p
        None without a sequence.
    proportion_p, uniformity_p, extreme_p
        The three P-values of the second level; None where there are too few sequences to ask.
    corrected_p
        The smallest of them after Holm's correction over the whole report; None where there is none.
    note
        What was not asked, and why; empty if everything was.
    """

    test: str
    section: str
    label: str
    counted: int
    left_out: int
    passed: int
    bins: tuple[int, ...]
    smallest_p: float | None
    proportion_p: float | None
    uniformity_p: float | None
    extreme_p: float | None
    corrected_p: float | None
    note: str

    @property
    def failed(self) -> bool:
        """Whether a good source gives this once in a thousand reports at most."""
        return self.corrected_p is not None and self.corrected_p < REPORT_ALPHA


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondLevel:
    """What the suite says over many sequences.

    Attributes
    ----------
    sequences, n
        How many, and the bits of each.
    asked
        How the tests were made.
    answers
        Number of P-values of the second level that are corrected together.
    rows
        One for each P-value of the suite.
    reasons
        Why a test is not applicable, by its name: the reason of the first sequence for which it is not.
    """

    sequences: int
    n: int
    asked: Asked
    answers: int
    rows: tuple[AcrossSequences, ...]
    reasons: dict[str, str]

    @property
    def failed(self) -> tuple[AcrossSequences, ...]:
        """The rows that fail."""
        return tuple(row for row in self.rows if row.failed)

    def to_row(self) -> dict[str, Any]:
        """Return everything, JSON-serialisable."""
        return {
            "sequences": self.sequences,
            "n": self.n,
            "compat": self.asked.compat,
            "answers": self.answers,
            "corrected_p_limit": REPORT_ALPHA,
            "failed": len(self.failed),
            "reasons": self.reasons,
            "rows": [{**asdict(row), "bins": list(row.bins), "failed": row.failed} for row in self.rows],
        }


class Tally:
    """The P-values of many sequences, eight bytes for each; nothing else of a report is kept."""

    def __init__(self) -> None:
        self.sequences = 0
        self.n = 0
        self.asked = Asked()
        self.reasons: dict[str, str] = {}
        self.grains: dict[str, float] = {}
        self.heavy_tails: set[str] = set()
        self._sections: dict[Name, str] = {}
        self._values: dict[Name, array[float]] = {}

    def add(self, report: SuiteReport) -> None:
        """Take the P-values of one more sequence.

        Raises
        ------
        ValueError
            If it is of another length than those before, or was asked otherwise.
        """
        if not self.sequences:
            self.n, self.asked = report.n, report.asked
            self._sections = {(row["test"], row["label"]): row["section"] for row in report.rows()}
            self._values = {name: array("d") for name in self._sections}
        rows = {(row["test"], row["label"]): row["p"] for row in report.rows()}
        if (report.n, report.asked) != (self.n, self.asked) or rows.keys() != self._values.keys():
            raise ValueError("sequences of one tally have the same length, and were asked for the same")
        for finding in report.findings:
            if finding.applicable:
                self.grains[finding.name] = max(self.grains.get(finding.name, 0.0), grain(finding, report.n))
                self.heavy_tails |= {finding.name} if heavy_tail(finding) else set()
            else:
                self.reasons.setdefault(finding.name, finding.reason)
        for name, p in rows.items():
            self._values[name].append(math.nan if p is None else p)
        self.sequences += 1

    def columns(self) -> Iterator[tuple[Name, str, NDArray[np.float64]]]:
        """Give test and label, section, and the P-values in the order of the sequences; NaN where there is none."""
        for name, values in self._values.items():
            # An interrupted `add` has left more in some of them.
            yield name, self._sections[name], np.array(values[: self.sequences], dtype=np.float64)


def second_level(tally: Tally) -> SecondLevel:
    """Return what the P-values say together. With one sequence only the smallest P-value is a question."""
    evidence = {
        name: _evidence(p[~np.isnan(p)], tally.grains.get(name[0], 0.0), name[0] in tally.heavy_tails)
        for name, _, p in tally.columns()
    }
    corrected = holm({(*name, kind): p for name, (kinds, _) in evidence.items() for kind, p in kinds.items()})
    rows = []
    for name, section, p in tally.columns():
        there, (kinds, note) = p[~np.isnan(p)], evidence[name]
        rows.append(
            AcrossSequences(
                test=name[0],
                section=section,
                label=name[1],
                counted=len(there),
                left_out=len(p) - len(there),
                passed=int((there >= ALPHA).sum()),
                bins=tuple(histogram(there).tolist()),
                smallest_p=float(there.min()) if len(there) else None,
                proportion_p=kinds.get("proportion"),
                uniformity_p=kinds.get("uniformity"),
                extreme_p=kinds.get("extreme"),
                corrected_p=min((corrected[(*name, kind)] for kind in kinds), default=None),
                note=note,
            )
        )
    return SecondLevel(
        sequences=tally.sequences,
        n=tally.n,
        asked=tally.asked,
        answers=len(corrected),
        rows=tuple(rows),
        reasons=dict(tally.reasons),
    )


def widened(p: float) -> float:
    """Return how often a row of the suite is `p` or less on good bits, at most, in the mean over its 188 rows.

    Chi-squares whose cells expect few have wide tails: 1e-8 by the random excursions at x = 4 over 500 cycles has a
    chance of 1.4e-6. One sequence is decided at 5e-6, where the mean is a third above what it should be; the smallest
    of ten thousand sequences at 2e-10, where it would be ten times that. What is broken gives far smaller ones.
    """
    return p if p >= WIDE_UNDER else WIDE_UNDER * (p / WIDE_UNDER) ** TAIL_POWER


def _evidence(there: NDArray[np.float64], grain_of_p: float, heavy_tail_of_p: bool) -> tuple[dict[str, float], str]:
    """Return the answers that so many P-values allow, by kind, and what was not asked."""
    k = len(there)
    if not k:
        return {}, "not applicable"
    if grain_of_p >= 1.0:
        return {}, "not judged: of so few bits its P-values are small too often"
    notes = ["the smallest not asked: of so few bits there are too many of them"] if heavy_tail_of_p else []
    answers = {} if heavy_tail_of_p else {"extreme": extreme_p(widened(float(there.min())), k)}
    if k > 1:
        answers["proportion"] = binomial_p(int((there < ALPHA).sum()), k, ALPHA)
        if k < LEAST_FOR_UNIFORMITY:
            notes.append(f"uniformity not asked: {k} P-values, {LEAST_FOR_UNIFORMITY} needed (4.2.2)")
        elif too_coarse(grain_of_p, k):
            notes.append(f"uniformity not asked: of so few bits up to {grain_of_p:.1%} have the same P-value")
        else:
            answers["uniformity"] = uniformity_p(there)
    return answers, "; ".join(notes)
