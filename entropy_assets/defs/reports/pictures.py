"""One picture for each report, WebP inside Markdown, under 50 KB."""

from typing import Any, Final

import dagster as dg
import numpy as np

from entropy_assets.core.sp800_22.second_level.tails import BINS
from entropy_assets.defs.plots import ACCENT, BAD, INK, as_markdown, new_figure
from entropy_assets.stages.reports.nights import StreamReport
from entropy_assets.stages.reports.sources import SourceReport
from entropy_assets.stages.reports.tallies import by_test

_LOWEST: Final = 1e-15
_ACROSS: Final = 5


def worth_of_sources(report: SourceReport) -> dg.MarkdownMetadataValue:
    """Show for each sensor what was credited, as a bar, and all that was assessed, as marks that must lie beyond it."""
    figure, axes = new_figure(height=1.3 + 0.45 * max(1, len(report.sensors)))
    axis = axes[0, 0]
    places = range(len(report.sensors))
    axis.barh(places, [each.credited for each in report.sensors], color=ACCENT, height=0.5, label="credited")
    _marks(axis, [each.least_of_frames for each in report.sensors], "o", "worst frame")
    _marks(axis, [each.glued.h_i for each in report.sensors], "D", "frames in a row")
    _marks(axis, [each.h_restart for each in report.sensors], "s", "frames side by side")
    _marks(axis, [each.claim for each in report.sensors], "|", "claim of the source")
    names = [each.name if len(each.name) <= 40 else f"{each.name[:39]}…" for each in report.sensors]
    axis.set_yticks(places, names, parse_math=False)
    axis.set_xlim(left=0)
    axis.invert_yaxis()
    axis.set_xlabel("min-entropy, bits per sample")
    axis.tick_params(labelsize=7)
    figure.legend(loc="outside lower center", ncols=5, fontsize=7)
    return as_markdown(figure, "what each sensor was credited, and what it is assessed at")


def _marks(axis: Any, values: list[float | None], marker: str, label: str) -> None:
    there = [(value, place) for place, value in enumerate(values) if value is not None]
    x, y = zip(*there, strict=True) if there else ((), ())
    axis.plot(x, y, marker, color=INK, fillstyle="none", markersize=7, label=label)


def p_values_of_stream(report: StreamReport) -> dg.MarkdownMetadataValue:
    """Show the P-values of each test over the life of the stream, and the smallest of each night."""
    figure, axes = new_figure(_ACROSS, 4, width=8.0, height=6.0)
    panels = list(axes.flat)
    for axis, (test, tally) in zip(panels, by_test(report.life).items(), strict=False):
        expected = tally.number / BINS
        axis.bar(np.arange(BINS) / BINS, tally.bins, width=1 / BINS, align="edge", color=ACCENT)
        axis.axhline(expected, color=INK, linewidth=0.8)
        axis.set_title(test.replace("_", " "), fontsize=7, color=INK)
        axis.set_yticks([])
        axis.set_xticks([0, 1])
        axis.tick_params(labelsize=6)
    rest = panels[3 * _ACROSS :]
    for axis in rest:
        axis.remove()
    axis = figure.add_subplot(rest[0].get_gridspec()[3, :])
    smallest = [max(_LOWEST, night.smallest_p) for night in report.of_each_night]
    alarms = [bool(night.alarms) for night in report.of_each_night]
    axis.semilogy(smallest, ".-", color=ACCENT, linewidth=0.8)
    axis.semilogy([n for n, alarm in enumerate(alarms) if alarm], [_LOWEST] * sum(alarms), "x", color=BAD)
    axis.axhline(report.of_night.level, color=BAD, linewidth=0.8)
    axis.set_ylim(_LOWEST / 3, 3)
    axis.set_title("smallest corrected P-value of each night; under the line is an alarm", fontsize=7, color=INK)
    axis.set_xticks(range(len(smallest)), [night.night[5:] for night in report.nights[-len(smallest) :]], rotation=90)
    axis.tick_params(labelsize=6)
    return as_markdown(figure, f"P-values of {report.sequences} sequences, by test, and of each night")
