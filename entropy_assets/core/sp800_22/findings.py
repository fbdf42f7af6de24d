"""What one test says of one sequence, and what it was asked."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

Compat = Literal["strict", "sts"]
"""``strict``: the constants that the standard means, and its least sizes. ``sts``: what the program sts-2.1.2 does."""

RUNS_LENGTHS: Final = (8, 128, 10_000)
"""Block lengths for which 2.4.2 has classes."""
LONGEST_PATTERN: Final = 24
"""Bits of a pattern whose histogram still fits into 128 MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The parameters of the tests, those of sts-2.1.2 where none is given.

    Parameters
    ----------
    block_frequency
        M of 2.2, bits of a block.
    longest_run
        M of 2.4: 8, 128 or 10,000; by the length of the sequence (2.4.2) if not given.
    longest_run_blocks
        N of 2.4: all whole blocks, as in sts-2.1.2, if not given; 2.4.4 has 16, 49 and 75.
    template
        m of 2.7, bits of a template.
    template_blocks
        N of 2.7.
    overlapping_template
        m of 2.8: so many ones.
    overlapping_block
        M of 2.8, bits of a block.
    universal, universal_first
        L and Q of 2.9; by the length of the sequence if not given.
    linear_complexity
        M of 2.10, bits of a block.
    serial
        m of 2.11.
    approximate_entropy
        m of 2.12.

    Raises
    ------
    ValueError
        If one is out of the range in which its test is defined or its counts fit into memory.
    """

    block_frequency: int = 128
    longest_run: int | None = None
    longest_run_blocks: int | None = None
    template: int = 9
    template_blocks: int = 8
    overlapping_template: int = 9
    overlapping_block: int = 1032
    universal: int | None = None
    universal_first: int | None = None
    linear_complexity: int = 500
    serial: int = 16
    approximate_entropy: int = 10

    def __post_init__(self) -> None:
        self._between(1, 1 << 40, "block_frequency", "longest_run_blocks", "overlapping_block", "universal_first")
        self._between(2, 16, "template")
        self._between(1, 1000, "template_blocks")
        self._between(1, 64, "overlapping_template")
        self._between(1, 16, "universal")
        self._between(1, 1 << 20, "linear_complexity")
        self._between(2, LONGEST_PATTERN, "serial")
        self._between(1, LONGEST_PATTERN - 1, "approximate_entropy")
        if self.longest_run not in (None, *RUNS_LENGTHS):
            raise ValueError(f"longest_run is one of {RUNS_LENGTHS}, not {self.longest_run}: see 2.4.2")

    def _between(self, least: int, most: int, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise ValueError(f"{name} is {least} to {most}, not {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How the tests are to be made.

    Parameters
    ----------
    sizes
        Whether a sequence that is shorter than the standard recommends has no P-value.
    """

    compat: Compat = "strict"
    parameters: Parameters = Parameters()
    sizes: bool = True

    @property
    def strict(self) -> bool:
        """Whether constants are those that the standard means."""
        return self.compat == "strict"


@dataclass(frozen=True, slots=True)
class PValue:
    """One P-value of a test.

    Parameters
    ----------
    label
        Which of several: a template, a state, a direction; empty where a test has one.
    p
        0 to 1, or None where the test is not applicable.
    statistic
        What it was computed from: chi-square, a normal deviate, a largest sum; None where there is no P-value.
    """

    label: str
    p: float | None
    statistic: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one test says of one sequence.

    Parameters
    ----------
    name
        The word of this project for the test, as in ``non_overlapping_template``.
    section
        Of SP 800-22 rev 1a, as in ``2.7``.
    parameters
        What was settled before: block lengths, numbers of blocks.
    counts
        What was counted in the sequence, integers and lists of them.
    statistics
        What was computed on the way to the P-values.
    p_values
        As many as the test has, also where it is not applicable.
    reason
        Why it is not applicable, one sentence; empty if it is.
    note
        What a reader must know of the P-values; empty if nothing.
    """

    name: str
    section: str
    parameters: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, Any] = field(default_factory=dict)
    statistics: Mapping[str, float] = field(default_factory=dict)
    p_values: tuple[PValue, ...] = ()
    reason: str = ""
    note: str = ""

    @property
    def applicable(self) -> bool:
        """Whether there are P-values."""
        return not self.reason

    @property
    def smallest_p(self) -> float | None:
        """The smallest P-value, None where the test is not applicable."""
        return min((value.p for value in self.p_values if value.p is not None), default=None)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Give one flat row a P-value, JSON-serialisable."""
        for value in self.p_values:
            yield {
                "test": self.name,
                "section": self.section,
                "label": value.label,
                "p": value.p,
                "statistic": value.statistic,
                "reason": self.reason,
            }

    def to_row(self) -> dict[str, Any]:
        """Return everything, JSON-serialisable."""
        return {
            "test": self.name,
            "section": self.section,
            "parameters": dict(self.parameters),
            "counts": dict(self.counts),
            "statistics": dict(self.statistics),
            "p_values": [{"label": one.label, "p": one.p, "statistic": one.statistic} for one in self.p_values],
            "reason": self.reason,
            "note": self.note,
        }

    def refused(self, reason: str, labels: tuple[str, ...] = ("",)) -> "Finding":
        """Return the same test as not applicable."""
        return replace(self, reason=reason, p_values=tuple(PValue(label, None, None) for label in labels))


def too_short(asked: Asked, n: int, least: int, section: str) -> str:
    """Return the reason why a test is not applicable to `n` bits, or nothing where it is."""
    if asked.sizes and n < least:
        return f"{n:,} bits; {section} asks for {least:,} or more"
    return ""


def chi_square_tail(chi_square: float, degrees: int) -> float:
    """Return the chance of `chi_square` or more with so many degrees of freedom: igamc(degrees / 2, chi_square / 2).

    Degrees of 0 leave nothing to chance: 1 for a chi-square of 0, else 0.
    """
    from scipy.special import gammaincc

    if not degrees:
        return float(chi_square <= 0)
    return float(gammaincc(degrees / 2, max(0.0, chi_square) / 2))


def normal_tails(deviate: float) -> float:
    """Return the chance of a normal deviate at least as far from 0 on either side: erfc(|deviate| / sqrt 2)."""
    return math.erfc(abs(deviate) / math.sqrt(2.0))


def chi_square_of(counts: list[int], chances: tuple[float, ...]) -> float:
    """Return the chi-square of classes with these chances."""
    total = sum(counts)
    return math.fsum((count - total * p) ** 2 / (total * p) for count, p in zip(counts, chances, strict=True))
