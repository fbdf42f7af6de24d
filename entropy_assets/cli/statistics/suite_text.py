"""The outcome of the suite for people in a terminal of 80 columns."""

import textwrap
from collections.abc import Iterator

from entropy_assets.cli.statistics.outcome import SuiteOutcome
from entropy_assets.core.sp800_22.second_level.tails import LEAST_FOR_UNIFORMITY

WIDTH = 80
SHORT = {"not judged": "-", "not applicable": "n/a"}
"""Verdicts whose reason stands below the table."""
MEANING = (
    "That bits pass says that nothing is broken which these tests see; it doesn't say that nobody can predict them: a"
    " hashed counter passes too."
)


def lines_of(outcome: SuiteOutcome) -> Iterator[str]:
    """Yield the lines that tell of it."""
    tally = outcome.tally
    count = "1 sequence" if tally.sequences == 1 else f"{tally.sequences:,} sequences"
    yield f"SP 800-22 rev 1a, {tally.asked.compat}: {outcome.name}"
    yield f"{count} of {tally.n:,} bits, layout {outcome.layout}"
    yield f"SHA-256 of the {outcome.bytes_read:,} bytes read:"
    yield f"  {outcome.sha256}"
    yield ""
    yield from _one(outcome) if tally.sequences == 1 else _many(outcome)
    notes = dict(_notes(outcome))
    if notes:
        yield ""
    for test, note in notes.items():
        yield from _wrapped(f"{test}: {note}", "  ")
    if lines := outcome.program_lines:
        yield ""
        yield from _wrapped("finalAnalysisReport of sts-2.1.2: C1 to C10, P-value_T, proportion, * where it marks")
        sections = {row.test: row.section for row in outcome.second_level.rows}
        yield from (f"{line.line()} {sections[line.test]} {line.label}".rstrip() for line in lines)
    yield ""
    yield from _wrapped(outcome.verdict)
    yield from _wrapped(MEANING)


def _one(outcome: SuiteOutcome) -> Iterator[str]:
    """Yield the table of one sequence: the smallest P-value of each test, and what is left of it when corrected."""
    yield f"{'test':<26} {'section':<8}{'P-values':>8}  {'smallest':>10} {'corrected':>10}"
    for summary in outcome.by_test():
        yield (
            f"{summary.test:<26} {summary.section:<8}{len(summary.rows):>8}  {_p(summary.smallest_p):>10}"
            f" {_p(summary.corrected_p):>10}  {SHORT.get(summary.verdict, summary.verdict)}"
        )


def _many(outcome: SuiteOutcome) -> Iterator[str]:
    """Yield the table of many sequences: the worst P-value of each test in each respect."""
    yield f"{'':<26} {'P-':>6} {'sequences':>9} {'fewest':>7} {'least':>9} {'least':>9}"
    yield f"{'test':<26} {'values':>6} {'counted':>9} {'>= 0.01':>7} {'uniform':>9} {'corrected':>9}"
    for summary in outcome.by_test():
        shares = [row.passed / row.counted for row in summary.rows if row.counted]
        uniform = min((row.uniformity_p for row in summary.rows if row.uniformity_p is not None), default=None)
        share = f"{min(shares):.3f}" if shares else "-"
        yield (
            f"{summary.test:<26} {len(summary.rows):>6} {summary.counted:>9,} {share:>7}"
            f" {_p(uniform):>9} {_p(summary.corrected_p):>9} {SHORT.get(summary.verdict, summary.verdict)}"
        )


def _p(value: float | None) -> str:
    """Return a P-value in nine characters, without hiding how small it is."""
    if value is None:
        return "-"
    return f"{value:.6f}" if value >= 1e-4 else f"{value:.2e}"


def _notes(outcome: SuiteOutcome) -> Iterator[tuple[str, str]]:
    """Yield each test that isn't applicable everywhere, or not asked everything, with the reason."""
    few = outcome.tally.sequences < LEAST_FOR_UNIFORMITY
    if few and outcome.tally.sequences > 1:
        yield "uniformity", f"asked from {LEAST_FOR_UNIFORMITY} sequences on (4.2.2)"
    for summary in outcome.by_test():
        if reason := outcome.second_level.reasons.get(summary.test):
            left = outcome.tally.sequences - summary.counted
            some = f" to {left:,} of {outcome.tally.sequences:,} sequences" if summary.counted else ""
            yield summary.test, f"not applicable{some}: {reason}"
        elif (note := summary.rows[0].note) and not (few and note.startswith("uniformity")):
            yield summary.test, note


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent * 2, break_on_hyphens=False)
