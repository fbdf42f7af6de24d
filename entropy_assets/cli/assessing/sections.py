"""An assessment as a section of a report: the same words as in a terminal, with tables and pictures."""

from entropy_assets.cli.assessing.restarts import AssessedSensor
from entropy_assets.cli.assessing.samples import AssessedSamples, SampleFile
from entropy_assets.cli.assessing.words import (
    file_words,
    frame_words,
    health_words,
    restart_verdict,
    sanity_words,
    sensor_verdict,
    verdict_of,
)
from entropy_assets.cli.reports.page import Cell
from entropy_assets.cli.reports.sp800_90b import Said, Section, section_of
from entropy_assets.core.sp800_90b.non_iid import NonIidAssessment
from entropy_assets.core.sp800_90b.restarts import RestartAssessment


def section_of_samples(assessed: AssessedSamples) -> Section:
    """Return the section of a file of samples."""
    file, found = assessed.file, assessed.non_iid
    facts = _facts(file)
    if found is not None:
        facts += [("different symbols", found.alphabet), ("H_original, bits per symbol", found.h_original)]
        facts += [("H_bitstring, bits per bit", found.h_bitstring), ("H_submitter", found.h_submitter)]
    if assessed.iid is not None:
        permuted = assessed.iid.permutations
        facts += [("different symbols", assessed.iid.alphabet), ("H_submitter", assessed.iid.h_submitter)]
        facts += [("seed of the permutations", permuted.seed), ("decided by the rule", permuted.rule.name)]
        facts += [("IID samples fail at a rate of, at most", permuted.false_rejection_bound)]
    remarks = [*file.remarks, *([health_words(assessed.health)] if assessed.health else [])]
    said = Said(verdict_of(assessed), bool(assessed.min_entropy), facts, remarks)
    return section_of(
        file.name,
        said,
        non_iid={"symbols": found} if found else None,
        iid=assessed.iid,
        symbols=file.symbols,
        bits_per_symbol=file.bits_per_symbol,
    )


def section_of_matrix(file: SampleFile, found: RestartAssessment) -> Section:
    """Return the section of a restart matrix."""
    said = Said(
        restart_verdict(found.h_i, found.h_r, found.h_c, found.h),
        found.passed,
        [*_facts(file), ("H_I, bits per sample", found.h_i)],
        [*file.remarks, sanity_words(found.sanity, "row or column")],
    )
    both = _both(found.rows, found.columns)
    return section_of(file.name, said, non_iid=both, symbols=file.symbols, bits_per_symbol=file.bits_per_symbol)


def section_of_sensor(sensor: AssessedSensor) -> Section:
    """Return the section of frames of one sensor."""
    found = sensor.restarts
    facts: list[tuple[str, Cell]] = [("frames", found.frames), ("pixel pairs", found.columns)]
    facts += [("low bits of each", found.bits_per_symbol), ("H_I, bits per sample", found.h_i)]
    facts += [(f"left out: {name}", reason) for name, reason in sensor.left_out.items()]
    checks = [sanity_words(found.of_rows, "row"), sanity_words(found.of_columns, "column")]
    said = Said(
        sensor_verdict(found),
        found.passed,
        facts,
        [*frame_words(sensor), *checks],
    )
    return section_of(f"{found.frames} frames", said, non_iid=_both(found.rows, found.columns_assessed))


def _facts(file: SampleFile) -> list[tuple[str, Cell]]:
    return [("samples", file_words(file)), ("SHA-256", file.sha256)]


def _both(rows: NonIidAssessment | None, columns: NonIidAssessment | None) -> dict[str, NonIidAssessment]:
    return {name: found for name, found in (("rows", rows), ("columns", columns)) if found is not None}
