"""All fifteen tests of SP 800-22 rev 1a on one sequence."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.sp800_22 import linear, ones, patterns, spectral, templates, walks
from entropy_assets.core.sp800_22.findings import Asked, Compat, Finding, Parameters
from entropy_assets.core.sp800_22.packed import PackedBits

Bits = PackedBits | bytes | bytearray | memoryview | npt.NDArray[np.uint8]

SUITE: Final[dict[str, Callable[[PackedBits, Asked], Finding]]] = {
    "frequency": ones.frequency,
    "block_frequency": ones.block_frequency,
    "runs": ones.runs,
    "longest_run": ones.longest_run,
    "rank": linear.rank,
    "spectral": spectral.spectral,
    "non_overlapping_template": templates.non_overlapping_template,
    "overlapping_template": templates.overlapping_template,
    "universal": patterns.universal,
    "linear_complexity": linear.linear_complexity_test,
    "serial": patterns.serial,
    "approximate_entropy": patterns.approximate_entropy,
    "cumulative_sums": walks.cumulative_sums,
    "random_excursions": walks.random_excursions,
    "random_excursions_variant": walks.random_excursions_variant,
}
"""The tests by name, in the order of their sections, 2.1 to 2.15."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteReport:
    """What the tests say of one sequence.

    Parameters
    ----------
    n
        Bits of the sequence.
    asked
        How the tests were made.
    findings
        One for each test, in the order of the sections.
    """

    n: int
    asked: Asked
    findings: tuple[Finding, ...]

    def __getitem__(self, name: str) -> Finding:
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(name)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Give one flat row a P-value, 188 with the parameters of the standard, JSON-serialisable."""
        for finding in self.findings:
            yield from finding.rows()

    def to_row(self) -> dict[str, Any]:
        """Return everything, JSON-serialisable."""
        given = self.asked.parameters
        return {
            "n": self.n,
            "compat": self.asked.compat,
            "sizes": self.asked.sizes,
            "parameters": {name: getattr(given, name) for name in given.__dataclass_fields__},
            "findings": [finding.to_row() for finding in self.findings],
        }


def run_suite(
    bits: Bits,
    n: int | None = None,
    *,
    compat: Compat = "strict",
    parameters: Parameters | None = None,
    tests: Iterable[str] | None = None,
    sizes: bool | None = None,
) -> SuiteReport:
    """Return what the tests of SP 800-22 say of a sequence.

    Parameters
    ----------
    bits
        Packed bits, the most significant of each byte first, or `PackedBits`.
    n
        How many of them; all if not given. Any number will do.
    compat
        ``strict`` for the constants that the standard means and no P-value below its minimum sizes; ``sts`` for those
        of NIST's program sts-2.1.2, whose numbers it gives.
    parameters
        Those of the standard's program if not given.
    tests
        Names out of `SUITE`; all fifteen if not given.
    sizes
        Whether a test that the standard does not recommend for so few bits has no P-value. If not given, as `compat`
        says: True for ``strict``.

    Raises
    ------
    ValueError
        If there are fewer bits than `n`, or a name or `compat` is unknown.
    """
    packed, asked = _asked(bits, n, compat, parameters, sizes)
    findings = tuple(_each(packed, asked, names_of(tests)))
    return SuiteReport(n=packed.n, asked=asked, findings=findings)


def iterate_suite(
    bits: Bits,
    n: int | None = None,
    *,
    compat: Compat = "strict",
    parameters: Parameters | None = None,
    tests: Iterable[str] | None = None,
    sizes: bool | None = None,
) -> Iterator[Finding]:
    """Give what `run_suite` collects, each test when it is done, so that its caller may show how far it is, or stop."""
    packed, asked = _asked(bits, n, compat, parameters, sizes)
    return _each(packed, asked, names_of(tests))


def names_of(tests: Iterable[str] | None) -> tuple[str, ...]:
    """Return the names of tests in the order of their sections, all of them for None.

    Raises
    ------
    ValueError
        If one is unknown.
    """
    wanted = set(SUITE if tests is None else tests)
    if unknown := sorted(wanted - SUITE.keys()):
        raise ValueError(f"{', '.join(unknown)}: no test of SP 800-22; there are {', '.join(SUITE)}")
    return tuple(name for name in SUITE if name in wanted)


def _asked(
    bits: Bits, n: int | None, compat: Compat, parameters: Parameters | None, sizes: bool | None
) -> tuple[PackedBits, Asked]:
    if compat not in ("strict", "sts"):
        raise ValueError(f"compat is 'strict' or 'sts', not {compat!r}")
    if isinstance(bits, PackedBits):
        packed = bits if n is None or n == bits.n else PackedBits(bits.data, n)
    else:
        packed = PackedBits(bits, n)
    limits = compat == "strict" if sizes is None else sizes
    return packed, Asked(compat=compat, parameters=parameters or Parameters(), sizes=limits)


def _each(packed: PackedBits, asked: Asked, names: tuple[str, ...]) -> Iterator[Finding]:
    for name in names:
        yield SUITE[name](packed, asked)
