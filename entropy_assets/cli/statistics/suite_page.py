"""The outcome of the suite as a page for a browser, with plots."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from entropy_assets.cli.reports.figures import ACCENT, BAD, DIM, INK, figure
from entropy_assets.cli.reports.page import Cell, Markup, facts, page, paragraph, table, verdict
from entropy_assets.cli.statistics.outcome import SuiteOutcome, SummarisedTest
from entropy_assets.cli.statistics.suite_text import MEANING
from entropy_assets.core.sp800_22.second_level.across import AcrossSequences
from entropy_assets.core.sp800_22.second_level.tails import ALPHA

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STANDARD = "SP 800-22 rev 1a"
OF_P_VALUES = (
    "A P-value is the chance that good bits give what was seen, or something rarer. Of good bits, one P-value in a"
    " hundred is below 0.01, so among 188 one or two are: that alone says nothing. Holm's method multiplies each by the"
    " number of questions asked; what is below 0.001 then fails, as one in a thousand reports on good bits does."
)
OF_SEQUENCES = (
    "Of each P-value of the suite three things are asked over the sequences: is the share of 0.01 or more what it"
    " should be (4.2.1, by the exact binomial law), do the P-values spread evenly over ten bins (4.2.2, by the exact"
    " multinomial law, from 55 sequences on), and is the smallest too small for so many. A sequence to which a test is"
    " not applicable doesn't count in it."
)


def page_of(outcome: SuiteOutcome) -> str:
    """Return the page. The same bits give the same page."""
    tally = outcome.tally
    given = tally.asked.parameters
    parameters = [(name, getattr(given, name)) for name in given.__dataclass_fields__]
    lead = [
        verdict(outcome.verdict, good=not outcome.second_level.failed),
        paragraph(MEANING),
        facts(
            [
                ("file", outcome.name),
                ("sequences", f"{tally.sequences:,} of {tally.n:,} bits, layout {outcome.layout}"),
                ("constants", tally.asked.compat),
                ("SHA-256", f"{outcome.sha256}, of the {outcome.bytes_read:,} bytes read"),
            ]
        ),
    ]
    if outcome.interrupted:
        lead.append(paragraph("It was interrupted: more sequences were asked for."))
    sections = [
        ("The tests", [_tests(outcome), *_figures(outcome)]),
        ("Every P-value", [_rows(outcome)]),
        *([("finalAnalysisReport of sts-2.1.2", [_program(outcome)])] if outcome.program_lines else []),
        ("How it was asked", [facts([(name, "by the length" if v is None else str(v)) for name, v in parameters])]),
        ("How it is judged", [paragraph(text) for text in _explained(outcome)]),
    ]
    return page(f"{STANDARD}: {outcome.name}", sections, lead=lead)


def _tests(outcome: SuiteOutcome) -> Markup:
    summaries = list(outcome.by_test())
    headers = ("test", "section", "P-values", "sequences counted", "smallest P-value", "corrected", "verdict", "")
    reasons = outcome.second_level.reasons
    rows: list[Sequence[Cell]] = [
        (
            summary.test.replace("_", " "),
            summary.section,
            len(summary.rows),
            summary.counted,
            summary.smallest_p,
            summary.corrected_p,
            summary.verdict,
            reasons.get(summary.test, summary.rows[0].note),
        )
        for summary in summaries
    ]
    return table(headers, rows, marked=[i for i, summary in enumerate(summaries) if summary.failed])


def _rows(outcome: SuiteOutcome) -> Markup:
    rows = outcome.second_level.rows
    if outcome.tally.sequences == 1:
        cells: list[Sequence[Cell]] = [(row.test, row.label, row.smallest_p, row.corrected_p) for row in rows]
        return table(("test", "which", "P-value", "corrected"), cells, marked=_failed(rows))
    headers = ("test", "which", "counted", ">= 0.01", *(f"C{i + 1}" for i in range(10)))
    told = ("proportion P", "uniformity P", "smallest P", "corrected")
    cells = [(row.test, row.label, row.counted, row.passed, *row.bins, *_answers(row)) for row in rows]
    return table((*headers, *told), cells, marked=_failed(rows))


def _answers(row: AcrossSequences) -> tuple[float | None, ...]:
    return row.proportion_p, row.uniformity_p, row.extreme_p, row.corrected_p


def _failed(rows: Sequence[AcrossSequences]) -> list[int]:
    return [i for i, row in enumerate(rows) if row.failed]


def _program(outcome: SuiteOutcome) -> Markup:
    lines = outcome.program_lines
    headers = (*(f"C{i + 1}" for i in range(10)), "P-value_T", "proportion", "test")
    cells: list[Sequence[Cell]] = [
        (*line.bins, line.uniformity_p, f"{line.passed}/{line.counted}", line.test) for line in lines
    ]
    return table(headers, cells, marked=[i for i, line in enumerate(lines) if line.uneven or line.out_of_band])


def _figures(outcome: SuiteOutcome) -> list[Markup]:
    summaries = [summary for summary in outcome.by_test() if summary.counted]
    if not summaries:
        return []
    if outcome.tally.sequences == 1:
        return [
            figure(
                lambda made: _strips(made, summaries),
                alternative="the P-values of each test between 0 and 1",
                caption="Each dot is a P-value; good bits spread them evenly. A fail, corrected for all, is a cross.",
                height=0.9 + 0.28 * len(summaries),
            )
        ]
    return [
        figure(
            lambda made: _shares(made, outcome),
            alternative="share of sequences that pass at 0.01, for each P-value of the suite",
            caption="Share of the sequences with a P-value of 0.01 or more (4.2.1), a dot for each P-value of the"
            " suite in the order of the sections. Of the dots of good bits the band holds about 99.7 %.",
        ),
        figure(
            lambda made: _ordered(made, outcome),
            alternative="all P-values of each test in their order, against those of good bits",
            caption="All P-values of each test in their order: those of good bits follow the line (4.2.2).",
            height=1.3 * -(-len(summaries) // 5) + 0.4,
        ),
    ]


def _strips(made: "Figure", summaries: list[SummarisedTest]) -> None:
    axes: Axes = made.subplots()
    for place, summary in enumerate(summaries):
        for colour, mark, rows in (
            (ACCENT, ".", [row for row in summary.rows if not row.failed]),
            (BAD, "x", [row for row in summary.rows if row.failed]),
        ):
            values = [row.smallest_p for row in rows if row.smallest_p is not None]
            axes.plot(values, [place] * len(values), mark, color=colour, markersize=5)
    axes.axvline(ALPHA, color=DIM, linewidth=0.8)
    axes.set_yticks(range(len(summaries)), [summary.test.replace("_", " ") for summary in summaries])
    axes.invert_yaxis()
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("P-value")


def _shares(made: "Figure", outcome: SuiteOutcome) -> None:
    axes: Axes = made.subplots()
    rows = [(i, row) for i, row in enumerate(outcome.second_level.rows) if row.counted]
    places = np.array([i for i, _ in rows])
    counted = np.array([row.counted for _, row in rows])
    spread = 3 * np.sqrt(ALPHA * (1 - ALPHA) / counted)
    low, high = 1 - ALPHA - spread, np.minimum(1.0, 1 - ALPHA + spread)
    axes.fill_between(places, low, high, color=DIM, alpha=0.15, step="mid", linewidth=0)
    for failed, colour, mark in ((False, ACCENT, "."), (True, BAD, "x")):
        chosen = [(i, row.passed / row.counted) for i, row in rows if row.failed is failed]
        axes.plot([i for i, _ in chosen], [share for _, share in chosen], mark, color=colour, markersize=4)
    axes.axhline(1 - ALPHA, color=INK, linewidth=0.6)
    axes.set_xlabel("P-value of the suite, by number")
    axes.set_ylabel("share that passes")


def _ordered(made: "Figure", outcome: SuiteOutcome) -> None:
    gathered: dict[str, list[np.ndarray]] = {}
    for (test, _), _, p in outcome.tally.columns():
        gathered.setdefault(test, []).append(p[~np.isnan(p)])
    pooled = {test: np.sort(np.concatenate(parts)) for test, parts in gathered.items()}
    shown = {test: values for test, values in pooled.items() if len(values)}
    failed = {row.test for row in outcome.second_level.failed}
    grid = made.subplots(-(-len(shown) // 5), 5, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat:
        axes.axis("off")
    for axes, (test, values) in zip(grid.flat, shown.items(), strict=False):
        axes.axis("on")
        at = np.linspace(0, 1, min(200, len(values)))
        axes.plot([0, 1], [0, 1], color=DIM, linewidth=0.8)
        axes.plot(at, np.quantile(values, at), color=BAD if test in failed else ACCENT, linewidth=1.4)
        axes.set_title(test.replace("_", " "), fontsize=7)
        axes.tick_params(labelsize=6)


def _explained(outcome: SuiteOutcome) -> list[str]:
    said = [OF_P_VALUES]
    return [*said, OF_SEQUENCES] if outcome.tally.sequences > 1 else said
