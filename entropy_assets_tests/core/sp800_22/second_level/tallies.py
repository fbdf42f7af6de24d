"""Tallies of P-values that are made up, to see what the second level says of them."""

from collections.abc import Sequence

from entropy_assets.core.sp800_22.findings import Asked, Compat, Finding, PValue
from entropy_assets.core.sp800_22.second_level.across import Tally
from entropy_assets.core.sp800_22.suite import SuiteReport


def tally_of(
    p_values: Sequence[float | None], *, test: str = "serial", compat: Compat = "strict", n: int = 1_000_000
) -> Tally:
    """Return the tally of sequences with one P-value each; None where the test is not applicable."""
    tally = Tally()
    for p in p_values:
        reason = "for no reason" if p is None else ""
        finding = Finding(name=test, section="2.11", reason=reason, p_values=(PValue("one", p, None),))
        tally.add(SuiteReport(n=n, asked=Asked(compat=compat), findings=(finding,)))
    return tally
