"""What the two reports show: numbers that chart over nights, a table, one picture, and their checks. No byte."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from entropy_assets.core.sp800_90b.non_iid import WANTED_SAMPLES
from entropy_assets.defs.metadata import TABLE_ROWS, table
from entropy_assets.defs.reports import pictures
from entropy_assets.stages.reports.nights import (
    ALPHA_YEAR,
    JUDGED_SEQUENCES,
    LEVEL,
    MOST_SEQUENCES,
    StreamReport,
)
from entropy_assets.stages.reports.sources import SensorFinding, SourceReport
from entropy_assets.stages.reports.stream import SEQUENCE_BITS
from entropy_assets.stages.reports.tallies import LookVerdict, by_test

Cell = str | float | bool | None


def source_assessment(report: SourceReport) -> dict[str, Any]:
    """Return the metadata of the report on the sources."""
    bounds = report.bounds
    least: dict[str, SensorFinding] = {}
    for sensor in sorted(report.sensors, key=lambda each: each.margin, reverse=True):
        least[sensor.source] = sensor
    numbers = {
        "sensors": float(len(report.sensors)),
        "sensors_left_out": float(report.left_out),
        "frames": float(sum(len(each.frames) for each in report.sensors)),
        "sensors_with_too_few_samples": float(sum(not each.glued.enough_samples for each in report.sensors)),
        **{f"margin_{source}": sensor.margin for source, sensor in least.items()},
        **{f"h_i_{source}": sensor.glued.h_i for source, sensor in least.items()},
        **{f"credited_{source}": sensor.credited for source, sensor in least.items()},
    }
    if report.sensors:
        numbers["least_margin"] = min(each.margin for each in report.sensors)
    return {
        **numbers,
        "looked_at": (
            f"of the newest {bounds.batches} batches the {bounds.sensors} sensors used last; of each the newest"
            f" {bounds.frames} frames, {bounds.frame_samples:,} samples each; {bounds.glued_samples:,} samples in a"
            f" row; and side by side up to {bounds.matrix_frames:,} frames, {bounds.matrix_bytes >> 20} MiB of noise"
        ),
        "sources": table(_of_sensor(sensor) for sensor in report.sensors),
        "worth": pictures.worth_of_sources(report),
    }


def _of_sensor(sensor: SensorFinding) -> dict[str, Cell]:
    glued, restarts = sensor.glued, sensor.restarts
    bits = glued.h_bitstring
    row: dict[str, Cell] = {
        "source": sensor.source,
        "sensor": sensor.sensor,
        "bits of a symbol": float(sensor.symbol_bits),
        "claim": sensor.claim,
        "credited": round(sensor.credited, 4),
        "margin": round(sensor.margin, 4),
        "worst frame": round(sensor.least_of_frames, 4),
        "H_original": round(glued.h_original, 4),
        "H_bitstring": None if bits is None else round(bits, 4),
        "H_I": round(glued.h_i, 4),
        "decided by": glued.decided_by,
        "samples": _samples(sensor),
    }
    if restarts is None:
        return row | {"matrix": "none: two frames with live squares in common are needed"}
    return row | {
        "matrix": f"{restarts.frames} x {restarts.columns}"
        + ("" if restarts.frames >= restarts.columns else f"; 3.1.4 wants {restarts.columns} frames"),
        "H_r": round(restarts.h_r, 4),
        "H_c": round(restarts.h_c, 4),
        "H_restart": round(min(restarts.h_r, restarts.h_c), 4),
        "most in a frame, at most": f"{restarts.of_rows.largest_count}, {restarts.of_rows.cutoff}",
        "most at a pair, at most": f"{restarts.of_columns.largest_count}, {restarts.of_columns.cutoff}",
    }


def _samples(sensor: SensorFinding) -> str:
    there = f"{sensor.glued.samples:,} of {sensor.glued_frames} frames"
    return there if sensor.glued.enough_samples else f"{there}; 3.1.1 wants {WANTED_SAMPLES:,}"


def source_checks(report: SourceReport) -> Iterator[dg.AssetCheckResult]:
    """Yield the checks of the report on the sources."""
    few = sum(not each.glued.enough_samples for each in report.sensors)
    yield dg.AssetCheckResult(
        check_name="credit_is_covered",
        passed=not report.over_credited,
        description=_told(report.over_credited) or _quiet(report, few),
        metadata={"findings": float(len(report.over_credited)), "sensors_with_too_few_samples": float(few)},
    )
    tested = sum(each.restarts is not None for each in report.sensors)
    yield dg.AssetCheckResult(
        check_name="restarts",
        passed=not report.patterned,
        description=_told(report.patterned) or f"{tested} of {len(report.sensors)} sensors have a matrix, and pass",
        metadata={"findings": float(len(report.patterned)), "sensors": float(tested)},
    )


def _quiet(report: SourceReport, few: int) -> str:
    if not report.sensors:
        return "no frame was credited yet"
    short = f"; {few} have fewer than the {WANTED_SAMPLES:,} samples in a row that 3.1.1 wants" if few else ""
    return f"{len(report.sensors)} sensors are assessed at no less than they were credited{short}"


def _told(sentences: tuple[str, ...]) -> str:
    more = f"; and {len(sentences) - 3} more" if len(sentences) > 3 else ""
    return "; ".join(sentences[:3]) + more


def stream_report(report: StreamReport) -> dict[str, Any]:
    """Return the metadata of the report on the stream."""
    night, life = report.newest, report.life
    numbers = {
        "sequences_of_night": float(night.sequences if night else 0),
        "sequences_over_life": float(report.sequences),
        "sequences_judged": float(sum(each.sequences for each in report.judged)),
        "sequences_skipped": float(sum(each.skipped for each in report.nights)),
        "sequences_waiting": float(report.waiting),
        "nights": float(len(report.nights)),
        "p_values_over_life": float(sum(tally.number for tally in life.values())),
        "smallest_p_of_night": report.of_night.smallest_p,
        "smallest_p_of_long_run": report.of_long_run.smallest_p,
        "alarm_below": LEVEL,
        "alarms_per_year_of_an_honest_stream": ALPHA_YEAR,
        "batches_missing": float(night.missing if night else 0),
    }
    total = sum(tally.number for tally in life.values())
    if total:
        numbers["share_below_0.01"] = sum(tally.low for tally in life.values()) / total
    return {
        **numbers,
        "night": night.night if night else f"none: the stream has no {SEQUENCE_BITS:,} bits yet",
        "looked_at": (
            f"sequences of {SEQUENCE_BITS:,} bits; the newest {MOST_SEQUENCES} a night, once; the long run is judged on"
            f" the newest {JUDGED_SEQUENCES:,}"
        ),
        "tests": table(_of_tests(report)),
        "p_values": pictures.p_values_of_stream(report),
    }


def _of_tests(report: StreamReport) -> Iterator[dict[str, Cell]]:
    of_night = by_test(report.newest.tallies) if report.newest else {}
    for test, tally in by_test(report.life).items():
        here = of_night.get(test)
        yield {
            "test": test.replace("_", " "),
            "P-values": float(tally.number),
            "share below .01": round(tally.low / tally.number, 5) if tally.number else None,
            "least of this night": here.least if here and here.number else None,
            "this night, corrected": _least_of(report.of_night, test),
            "long run, corrected": _least_of(report.of_long_run, test),
        }


def _least_of(verdict: LookVerdict, test: str) -> float | None:
    return min((one.corrected_p for one in verdict.evidence if one.row.split()[0] == test), default=None)


def stream_checks(report: StreamReport) -> Iterator[dg.AssetCheckResult]:
    """Yield the checks of the report on the stream."""
    night = report.newest
    if night is None:
        about = f"the public stream has not {SEQUENCE_BITS:,} bits yet: nothing was tested"
        of_night = of_long_run = about
    else:
        of_night = f"{night.sequences} sequences on {night.night}"
        of_long_run = f"{sum(each.sequences for each in report.judged)} sequences of {len(report.judged)} nights"
    yield _stream_check("newest_sequences", report.of_night, of_night)
    yield _stream_check("long_run", report.of_long_run, of_long_run)


def _stream_check(name: str, verdict: LookVerdict, about: str) -> dg.AssetCheckResult:
    alarms = verdict.alarms
    told = "; ".join(f"{one.question} of {one.row}: corrected P-value {one.corrected_p:.3g}" for one in alarms[:3])
    if alarms:
        about = f"{about}: {len(alarms)} answers are not those of an honest stream: {told}"
    elif verdict.evidence:
        about = f"{about}; smallest corrected P-value {verdict.smallest_p:.3g}"
    return dg.AssetCheckResult(
        check_name=name,
        passed=not alarms,
        description=about,
        metadata={
            "smallest_p": verdict.smallest_p,
            "alarm_below": verdict.level,
            "questions": float(len(verdict.evidence)),
            "alarms": float(len(alarms)),
            "smallest": table(
                {"row": one.row, "question": one.question, "P-value": one.p, "corrected": one.corrected_p}
                for one in verdict.evidence[:TABLE_ROWS]
            ),
        },
    )
