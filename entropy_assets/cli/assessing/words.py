"""What an assessment of samples says, in lines for a terminal: every input and result of every test."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from entropy_assets.cli.assessing.samples import HEALTH_ALPHA_BITS
from entropy_assets.core.sp800_90b.estimators import Estimate
from entropy_assets.core.sp800_90b.health_tests import HealthReport
from entropy_assets.core.sp800_90b.non_iid import SECTIONS, NonIidAssessment
from entropy_assets.core.sp800_90b.restarts import RESTARTS, RestartAssessment, SanityCheck

if TYPE_CHECKING:
    from entropy_assets.cli.assessing.restarts import AssessedSensor
    from entropy_assets.cli.assessing.samples import AssessedSamples, SampleFile
    from entropy_assets.core.credit.pair_matrix import FrameRestarts
    from entropy_assets.core.sp800_90b.iid.track import IidAssessment


def lines_about_samples(assessed: "AssessedSamples") -> Iterator[str]:
    """Yield what a track says of a file of samples."""
    yield from _head(assessed.file)
    if assessed.non_iid is not None:
        yield from _non_iid(assessed.non_iid)
        yield f"  {verdict_of(assessed)}"
    elif assessed.iid is not None:
        yield from _iid(assessed.iid)
        yield f"  {verdict_of(assessed)}"
    if assessed.health is not None:
        yield f"  {health_words(assessed.health)}"


def lines_about_matrix(file: "SampleFile", restarts: RestartAssessment) -> Iterator[str]:
    """Yield what the restart tests say of a matrix."""
    yield from _head(file)
    yield f"  sanity check (3.1.4.3): {sanity_words(restarts.sanity, 'row or column')}"
    yield from _both_ways(restarts.rows, restarts.columns)
    yield f"  {restart_verdict(restarts.h_i, restarts.h_r, restarts.h_c, restarts.h)}"


def lines_about_sensor(sensor: "AssessedSensor") -> Iterator[str]:
    """Yield what the restart tests say of frames of one sensor."""
    found = sensor.restarts
    yield f"{found.frames:,} frames x {found.columns:,} pixel pairs, the low {found.bits_per_symbol} bits of each"
    for name, reason in sensor.left_out.items():
        yield f"  left out {name}: {reason}"
    if sensor.consecutive is not None:
        yield (
            f"  H_I {found.h_i:.6f} bits per sample, of {sensor.consecutive.samples:,} consecutive samples"
            f", decided by {decider_words(sensor.consecutive)}"
        )
    for line in frame_words(sensor):
        yield f"  {line}"
    yield f"  sanity check of rows (3.1.4.3): {sanity_words(found.of_rows, 'row')}"
    yield f"  sanity check of columns: {sanity_words(found.of_columns, 'column')}"
    yield from _both_ways(found.rows, found.columns_assessed)
    yield f"  {sensor_verdict(found)}"
    if sensor.exported:
        yield f"  {sensor.exported}"


def frame_words(sensor: "AssessedSensor") -> Iterator[str]:
    """Yield what the number of frames and their fixed pattern mean."""
    found = sensor.restarts
    if not found.enough_frames:
        yield (
            f"{found.frames:,} frames are fewer than the {RESTARTS:,} restarts of 3.1.4.1: this is no restart test by"
            " the standard; cutoffs are those of this number"
        )
    if not found.columns_can_fail:
        yield f"no column can fail: of {found.frames} samples even equal ones are no surprise. Take more frames"
    if found.pattern is not None:
        yield (
            f"fixed pattern: {found.pattern.share:.2%} of the variance is the same in all frames"
            f" (standard error {found.pattern.error:.2%})"
        )
    if found.h_fresh is not None:
        yield f"to who has another frame of this camera: {found.h_fresh:.6f} bits per sample"


def verdict_of(assessed: "AssessedSamples") -> str:
    """Return the sentence for which the assessment is read."""
    bits = assessed.file.bits_per_symbol
    if (found := assessed.non_iid) is not None:
        if found.alphabet < 2:
            return "all samples are equal: min-entropy 0, nothing here is random"
        return f"min-entropy {found.h_i:.6f} of {bits} bits per sample, decided by {decider_words(found)}"
    if assessed.iid is None or assessed.iid.h_i is None:
        failed = ", ".join(assessed.iid.failed) if assessed.iid is not None else "nothing was tested"
        return f"the samples are not IID ({failed}): no min-entropy follows from this track; assess them without --iid"
    return f"nothing speaks against IID: min-entropy {assessed.iid.h_i:.6f} of {bits} bits per sample"


def decider_words(found: NonIidAssessment) -> str:
    """Return what is least."""
    of, _, name = found.decided_by.partition(".")
    if of not in ("literal", "of_bits"):
        return {"h_submitter": "H_submitter"}.get(of, of)
    return f"{spelled(name)} of the {'symbols' if of == 'literal' else 'bits'}"


def sensor_verdict(found: "FrameRestarts") -> str:
    """Return the sentence for which the tests on frames are read: of too few frames none passes."""
    h_r, h_c = (found.h_r, found.h_c) if found.is_sane else (None, None)
    words = restart_verdict(found.h_i, h_r, h_c, found.h)
    if found.enough_frames or not found.passed:
        return words
    return words.replace("the restart tests pass", f"nothing fails, as far as {found.frames:,} frames can tell")


def restart_verdict(h_i: float, h_r: float | None, h_c: float | None, h: float | None) -> str:
    """Return the sentence for which restart tests are read."""
    if h_r is None or h_c is None:
        return "the restart tests fail: a symbol is too frequent in a row or column. No min-entropy is left"
    both = f"H_r {h_r:.6f} of the rows, H_c {h_c:.6f} of the columns"
    if h is None:
        return f"the restart tests fail: {both}; one is under half of H_I {h_i:.6f}. No min-entropy is left"
    return f"the restart tests pass: {both}; min-entropy min(H_r, H_c, H_I) = {h:.6f} bits per sample"


def sanity_words(check: SanityCheck, line: str) -> str:
    """Return what the sanity check saw, beside its cutoff."""
    return (
        f"the most frequent symbol of any {line} comes {check.largest_count:,} times, more than {check.cutoff:,} fail:"
        f" {passed_words(check.passed)}"
    )


def health_words(report: HealthReport) -> str:
    """Return what the health tests saw, beside their cutoffs."""
    proportion = (
        f"most of a window of {report.window:,} {report.largest_count:,}, {report.apt_cutoff:,} fail"
        if report.windows
        else f"no window of {report.window:,}"
    )
    return (
        f"health tests at that min-entropy (4.4, alpha 2^-{HEALTH_ALPHA_BITS}): longest run"
        f" {report.longest_run:,}, {report.rct_cutoff:,} fail;"
        f" {proportion}: {passed_words(report.passed)}"
    )


def passed_words(passed: bool) -> str:
    """Return the word for a verdict."""
    return "passed" if passed else "FAILED"


def spelled(name: str) -> str:
    """Return the name of a test as words."""
    return name.replace("_", " ")


def number(value: float) -> str:
    """Return a count as it is, and any other number with six digits."""
    return f"{int(value):,}" if float(value).is_integer() else f"{value:.6g}"


def values_of(estimate: Estimate) -> str:
    """Return what an estimate follows from, by the standard's names."""
    return ", ".join(f"{name} {number(value)}" for name, value in estimate.values.items())


def least_of(estimates: Mapping[str, Estimate]) -> str | None:
    """Return the name of the least estimate."""
    return min(estimates, key=lambda name: estimates[name].min_entropy, default=None)


def file_words(file: "SampleFile") -> str:
    """Return how many samples there are, and how they were read."""
    words = f"{len(file.symbols):,} samples of {file.sample_bits} bit{'s' if file.sample_bits > 1 else ''}"
    if not file.kept:
        return words
    places = ", ".join(map(str, file.kept))
    return f"{words}, reduced by 6.4 to the {len(file.kept)} most balanced bits, places {places} (0 is the lowest)"


def _head(file: "SampleFile") -> Iterator[str]:
    yield f"{file.name}: {file_words(file)}"
    yield f"  sha256 {file.sha256}"
    yield from (f"  {remark}" for remark in file.remarks)


def _non_iid(found: NonIidAssessment) -> Iterator[str]:
    yield f"  non-IID track (SP 800-90B 6.3), {found.alphabet:,} different symbols"
    if found.literal:
        yield from _estimates(found.literal, "of the symbols, bits per symbol")
    if found.of_bits:
        bits = found.samples * found.bits_per_symbol
        yield from _estimates(found.of_bits, f"of their {bits:,} bits, bits per bit")
    heard = [f"H_original {found.h_original:.6f}"]
    if found.h_bitstring is not None:
        heard.append(f"H_bitstring {found.h_bitstring:.6f}, times {found.bits_per_symbol}")
    if found.h_submitter is not None:
        heard.append(f"H_submitter {found.h_submitter:.6f}")
    yield f"  {'; '.join(heard)}"


def _iid(found: "IidAssessment") -> Iterator[str]:
    binary = found.alphabet == 2
    yield f"  IID track (SP 800-90B 5), {found.alphabet:,} different symbols"
    for name, test, section in (
        ("independence", found.independence, "5.2.3" if binary else "5.2.1"),
        ("goodness of fit", found.goodness_of_fit, "5.2.4" if binary else "5.2.2"),
    ):
        if test.p_value is None:
            yield f"    {name} {section}: too few samples to test it"
            continue
        yield (
            f"    {name} {section}: T {test.statistic:.6f}, {test.degrees_of_freedom:,} degrees of freedom, P-value"
            f" {test.p_value:.6g}: {passed_words(test.passed)}"
        )
    yield (
        f"    longest repeated substring 5.2.5: W {found.repeats.longest}, p_col {found.repeats.p_col:.6g}, Pr(X >= 1)"
        f" {found.repeats.p_value:.6g}: {passed_words(found.repeats.passed)}"
    )
    permuted = found.permutations
    yield (
        f"    permutation tests, {permuted.rule.name}: {permuted.permutations:,} permutations, seed {permuted.seed}"
        f" ({permuted.algorithm}): {passed_words(permuted.passed)}"
    )
    yield (
        f"    IID samples fail one statistic at a rate of {permuted.rule.false_rejection_rate:.3%}, any of them at"
        f" {permuted.false_rejection_bound:.2%} at most"
    )
    rows = [
        ("*" if name in permuted.failed else "", spelled(name), number(value), *map(number, permuted.counts[name]))
        for name, value in permuted.statistics.items()
    ]
    yield from _table(("", "statistic", "of the samples", "larger", "equal", "smaller"), rows, right=range(2, 6))


def _both_ways(rows: NonIidAssessment | None, columns: NonIidAssessment | None) -> Iterator[str]:
    for found, name in ((rows, "row"), (columns, "column")):
        if found is not None and found.literal:
            yield from _estimates(found.literal, f"{name} by {name}, bits per symbol")


def _estimates(estimates: Mapping[str, Estimate], title: str) -> Iterator[str]:
    least = least_of(estimates)
    yield f"  {title}"
    rows = [
        ("*" if name == least else "", spelled(name), SECTIONS[name], f"{found.min_entropy:.6f}", values_of(found))
        for name, found in estimates.items()
    ]
    yield from _table(("", "estimator", "section", "estimate", "from"), rows, right=(3,))


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int]) -> Iterator[str]:
    lines = [titles, *rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(titles))]
    to_the_right = set(right)
    for line in lines:
        cells = (
            cell.rjust(width) if place in to_the_right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        yield f"    {'  '.join(cells).rstrip()}"
