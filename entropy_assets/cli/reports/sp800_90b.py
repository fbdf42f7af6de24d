"""The report of SP 800-90B: every estimate with what it follows from, and pictures of symbols and verdicts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from entropy_assets.cli.reports.figures import ACCENT, BAD, DIM, INK, figure
from entropy_assets.cli.reports.page import Cell, Markup, facts, paragraph, table, verdict
from entropy_assets.core.sp800_90b.estimators import Estimate
from entropy_assets.core.sp800_90b.iid.track import IidAssessment
from entropy_assets.core.sp800_90b.non_iid import SECTIONS, NonIidAssessment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from entropy_assets.core.sp800_90b.alphabets import Symbols

Section = tuple[str, Sequence[Markup]]


@dataclass(frozen=True, slots=True)
class Said:
    """What a section says in words: the sentence that it is read for, whether it is good news, facts, and remarks."""

    verdict: str
    good: bool
    facts: Sequence[tuple[str, Cell]]
    remarks: Sequence[str] = ()


def section_of(
    name: str,
    said: Said,
    *,
    non_iid: Mapping[str, NonIidAssessment] | None = None,
    iid: IidAssessment | None = None,
    symbols: "Symbols | None" = None,
    bits_per_symbol: int = 8,
) -> Section:
    """Return the section of one file or sensor.

    Parameters
    ----------
    name
        Its heading.
    non_iid
        Assessments by what they are of, such as ``rows``.
    iid
        What the IID track says.
    symbols
        ``uint8[n]``, of which a histogram is drawn; none if None.
    bits_per_symbol
        1 to 8.
    """
    parts: list[Markup] = [verdict(said.verdict, good=said.good), facts(said.facts), *map(paragraph, said.remarks)]
    for title, assessment in (non_iid or {}).items():
        parts += _non_iid_parts(name, title, assessment)
    if iid is not None:
        parts += _iid_parts(name, iid)
    if symbols is not None:
        parts.append(_histogram(name, symbols, bits_per_symbol))
    return name, parts


def _non_iid_parts(name: str, title: str, found: NonIidAssessment) -> Iterator[Markup]:
    """Yield the tables of an assessment, and a picture of all its estimates."""
    if found.literal:
        yield _estimates(found.literal, f"Of the {title}, bits per symbol")
    if found.of_bits:
        yield _estimates(found.of_bits, f"Of the bits of the {title}, bits per bit")
    if not found.literal:
        return
    scale = found.bits_per_symbol
    bars = [(f"{key} (symbols)".replace("_", " "), one.min_entropy) for key, one in found.literal.items()]
    bars += [(f"{key} (bits)".replace("_", " "), scale * one.min_entropy) for key, one in found.of_bits.items()]
    least = min(value for _, value in bars)

    def draw(made: "Figure") -> None:
        axes = made.subplots()
        axes.barh(
            [label for label, _ in bars], [v for _, v in bars], color=[BAD if v == least else ACCENT for _, v in bars]
        )
        axes.axvline(scale, color=DIM, linewidth=1, linestyle="--")
        axes.invert_yaxis()
        axes.set_xlabel(f"bits per symbol, of {scale}")

    yield figure(
        draw,
        alternative=f"{name}: estimates of the {title}, from {least:.3f} bits per symbol upwards",
        caption="All estimates, bits per symbol; the least one decides. The dashed line is what a symbol can hold.",
        height=0.6 + 0.22 * len(bars),
    )


def _estimates(estimates: Mapping[str, Estimate], caption: str) -> Markup:
    rows: list[Sequence[Cell]] = [
        (
            *(name.replace("_", " "), SECTIONS[name], found.min_entropy),
            ", ".join(f"{key} {value:.10g}" for key, value in found.values.items()),
        )
        for name, found in estimates.items()
    ]
    lowest = min(range(len(rows)), key=lambda place: float(rows[place][2] or 0.0))
    return table(("estimator", "section", "min-entropy", "follows from"), rows, caption=caption, marked=[lowest])


def _iid_parts(name: str, found: IidAssessment) -> Iterator[Markup]:
    """Yield the tables of the IID track, and the counts C of its permutation tests."""
    chi, fit, repeats = found.independence, found.goodness_of_fit, found.repeats
    tests = (
        ("independence, chi-square", chi.statistic, chi.p_value, chi.passed),
        ("goodness of fit, chi-square", fit.statistic, fit.p_value, fit.passed),
        ("longest repeated substring", repeats.longest, repeats.p_value, repeats.passed),
    )
    yield table(
        ("test of 5.2", "statistic", "P-value", "verdict"),
        [(test, value, p, "passed" if passed else "failed") for test, value, p, passed in tests],
        marked=[place for place, (*_, passed) in enumerate(tests) if not passed],
    )
    permuted = found.permutations
    yield table(
        ("statistic of 5.1", "of the samples", "larger", "equal", "smaller", "verdict"),
        [
            (key.replace("_", " "), value, *permuted.counts[key], "failed" if key in permuted.failed else "passed")
            for key, value in permuted.statistics.items()
        ],
        caption=f"{permuted.rule.name}: how many permutations had a larger, an equal and a smaller value."
        f" {permuted.permutations:,} were made from seed {permuted.seed}; a statistic that can't fail any more is"
        " counted no further.",
        marked=[place for place, key in enumerate(permuted.statistics) if key in permuted.failed],
    )
    shares = np.array([permuted.counts[key] for key in permuted.statistics], dtype=np.float64)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1)

    def draw(made: "Figure") -> None:
        axes = made.subplots()
        labels = [key.replace("_", " ") for key in permuted.statistics]
        left = np.zeros(len(labels))
        for share, colour, label in zip(shares.T, (ACCENT, INK, DIM), ("larger", "equal", "smaller"), strict=True):
            axes.barh(labels, share, left=left, color=colour, label=label)
            left += share
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.set_xlabel("share of the permutations")
        made.legend(loc="outside upper right", ncols=3)

    yield figure(
        draw,
        alternative=f"{name}: how many permutations had a larger, an equal and a smaller value of each statistic",
        caption="Of IID samples the border between larger and smaller lies anywhere; at an edge the statistic fails.",
        height=5.0,
    )


def _histogram(name: str, symbols: "Symbols", bits_per_symbol: int) -> Markup:
    counts = np.bincount(symbols, minlength=1 << bits_per_symbol)

    def draw(made: "Figure") -> None:
        axes = made.subplots()
        axes.bar(np.arange(len(counts)), counts, width=1.0, color=ACCENT)
        axes.axhline(len(symbols) / len(counts), color=DIM, linewidth=1, linestyle="--")
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel("symbol")
        axes.set_ylabel("samples")

    return figure(
        draw,
        alternative=f"{name}: how often each of {len(counts)} symbols occurs, {int(counts.max()):,} times at most",
        caption="How often each symbol occurs; the dashed line is where all would be if they were equally frequent.",
    )


def titled(count: int) -> str:
    """Return the title of a report of so many files."""
    return "SP 800-90B assessment" if count == 1 else f"SP 800-90B assessments of {count} files"
