"""What the suite said of a file: the same for people, for machines and for a page."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from entropy_assets.core.sp800_22.second_level.across import AcrossSequences, SecondLevel, Tally, second_level
from entropy_assets.core.sp800_22.second_level.final_analysis import FinalAnalysis, final_analysis
from entropy_assets.core.sp800_22.suite import SuiteReport


class SummarisedTest(NamedTuple):
    """What one of the fifteen tests said, over all of its P-values."""

    test: str
    section: str
    rows: tuple[AcrossSequences, ...]

    @property
    def judged(self) -> tuple[AcrossSequences, ...]:
        """The rows with a P-value of the second level."""
        return tuple(row for row in self.rows if row.corrected_p is not None)

    @property
    def counted(self) -> int:
        """Sequences that count: where rows differ, in the one that has most."""
        return max(row.counted for row in self.rows)

    @property
    def corrected_p(self) -> float | None:
        """The smallest of all."""
        return min((row.corrected_p for row in self.judged if row.corrected_p is not None), default=None)

    @property
    def smallest_p(self) -> float | None:
        """The smallest P-value of a sequence."""
        return min((row.smallest_p for row in self.rows if row.smallest_p is not None), default=None)

    @property
    def failed(self) -> bool:
        """Whether one of the rows failed."""
        return any(row.failed for row in self.rows)

    @property
    def verdict(self) -> str:
        """One word or two."""
        if self.failed:
            return "FAILS"
        if self.judged:
            return "passes"
        return "not judged" if self.counted else "not applicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteOutcome:
    """What the suite said of the sequences of a file.

    Attributes
    ----------
    name
        Of the file, safe to print; ``-`` for standard input.
    layout, sha256, bytes_read
        How the bits lay, and which bytes were read.
    only
        The report of the sequence, where there is one alone.
    tally
        The P-values of all sequences.
    interrupted
        Whether more were asked for.
    """

    name: str
    layout: str
    sha256: str
    bytes_read: int
    only: SuiteReport | None
    tally: Tally
    second_level: SecondLevel
    interrupted: bool = False

    def by_test(self) -> Iterator[SummarisedTest]:
        """Give the tests in the order of their sections."""
        names = dict.fromkeys((row.test, row.section) for row in self.second_level.rows)
        for test, section in names:
            yield SummarisedTest(test, section, tuple(row for row in self.second_level.rows if row.test == test))

    @property
    def program_lines(self) -> tuple[FinalAnalysis, ...]:
        """The lines of finalAnalysisReport, where many sequences were tested as sts-2.1.2 does; else none."""
        return final_analysis(self.tally) if self.tally.asked.compat == "sts" and self.tally.sequences > 1 else ()

    @property
    def verdict(self) -> str:
        """One sentence."""
        level = self.second_level
        if not level.answers:
            return "Nothing was judged: no test is applicable to so few bits."
        if not level.failed:
            return (
                f"Consistent with random bits: corrected for their number, none of {level.answers:,} P-values is"
                " below 0.001."
            )
        failed = dict.fromkeys(f"{row.test} ({row.section})" for row in level.failed)
        return (
            f"NOT consistent with random bits: {', '.join(failed)}. After correction for {level.answers:,} P-values"
            " good bits give this once in 1,000 reports."
        )

    def to_row(self) -> dict[str, Any]:
        """Return everything, JSON-serialisable."""
        asked, given = self.tally.asked, self.tally.asked.parameters
        return {
            "file": self.name,
            "layout": self.layout,
            "sha256": self.sha256,
            "bytes_read": self.bytes_read,
            "n": self.tally.n,
            "sequences": self.tally.sequences,
            "interrupted": self.interrupted,
            "compat": asked.compat,
            "parameters": {name: getattr(given, name) for name in given.__dataclass_fields__},
            "consistent": not self.second_level.failed,
            "verdict": self.verdict,
            "findings": [finding.to_row() for finding in self.only.findings] if self.only else [],
            "second_level": self.second_level.to_row(),
            "final_analysis": [
                {name: getattr(line, name) for name in line.__dataclass_fields__} for line in self.program_lines
            ],
            "p_values": [
                {"test": test, "label": label, "p": [None if np.isnan(value) else value for value in p.tolist()]}
                for (test, label), _, p in self.tally.columns()
            ],
        }


def suite_outcome(tally: Tally, only: SuiteReport | None, **read: Any) -> SuiteOutcome:
    """Return the outcome of these sequences; `read` says of which file."""
    return SuiteOutcome(tally=tally, only=only, second_level=second_level(tally), **read)
