"""The suite of SP 800-22 as a further suite of `EntropyValidator`.

What votes for a block of one length is settled by the length, never by the bits: the same names each time, as the
validator asks. So the random excursions, to which a block has too few cycles by chance, have no vote; nor have the
templates in blocks of less than 32 KiB, whose small P-values come several times too often (`second_level.grain`), where
a block is rejected for one in millions.
"""

from collections.abc import Callable, Iterable
from typing import Final

from entropy_assets.core.sp800_22.findings import Finding, Parameters
from entropy_assets.core.sp800_22.second_level.grain import grain, heavy_tail
from entropy_assets.core.sp800_22.suite import SUITE, names_of, run_suite
from entropy_assets.errors import InputRefused

BY_THE_BITS: Final = frozenset({"random_excursions", "random_excursions_variant"})
"""Tests whose applicability depends on the bits."""
PREFIX: Final = "sp800_22_"
"""Of the names, since the validator has a test of runs itself."""


def sp800_22_suite(
    tests: Iterable[str] | None = None, parameters: Parameters | None = None
) -> Callable[[bytes], dict[str, float]]:
    """Return a suite for ``EntropyValidator(suites=[...])``: from the bytes of a block to named P-values.

    Every P-value votes in ``p*``, so with k more of them a block is rejected by a test at 1e-6 / (3 + k) instead of
    1e-6 / 3: seven more for 4,096 bytes. Good blocks are still lost about once or twice in a million, since the laws of
    the standard are approximations so far out; broken ones are found by more tests, each a little later. Where
    the runs test has no P-value since the ones are too many or too few (2.3.4 step 2), it votes 1, and the frequency
    test says why.

    Parameters
    ----------
    tests
        Names out of `SUITE`; all that may vote if not given. What is not applicable to a length has no name there.
    parameters
        Those of the standard's program if not given.

    Raises
    ------
    InputRefused
        If a test is named that can't vote; by the suite itself, if no test is applicable to a block so short.
    ValueError
        If a name is unknown.
    """
    wanted = names_of(SUITE.keys() - BY_THE_BITS if tests is None else tests)
    if refused := sorted(BY_THE_BITS & set(wanted)):
        raise InputRefused(f"{', '.join(refused)}: not applicable to some blocks of any length, so there is no vote")

    def suite(block: bytes) -> dict[str, float]:
        report = run_suite(block, parameters=parameters, tests=wanted)
        voting = [finding for finding in report.findings if _votes(finding, report.n)]
        if not voting:
            raise InputRefused(f"no test of SP 800-22 is applicable to {len(block)} bytes", length=len(block))
        return {
            _name(finding.name, value.label): 1.0 if value.p is None else value.p
            for finding in voting
            for value in finding.p_values
        }

    return suite


def _votes(finding: Finding, n: int) -> bool:
    """Tell whether a test votes: the same for all blocks of `n` bits."""
    if finding.name == "runs":
        return bool(finding.counts)
    return finding.applicable and grain(finding, n) < 1.0 and not heavy_tail(finding)


def _name(test: str, label: str) -> str:
    return f"{PREFIX}{test}_{label}" if label else f"{PREFIX}{test}"
