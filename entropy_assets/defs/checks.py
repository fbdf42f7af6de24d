"""Asset checks. Those on the blocks gate the run; `validated_blocks` and `published_blocks` verify again by themselves.

Every check carries the partition: an un-partitioned check on a partitioned asset lets the pass of one batch hide the
failure of another.
"""

from collections.abc import Iterator
from typing import Final

import dagster as dg

from entropy_assets.core.validation.block_tests import TESTS
from entropy_assets.core.validation.second_level import FAMILY_ALPHA, SecondLevelResult
from entropy_assets.defs import plots
from entropy_assets.defs.assets import hashed_blocks, noise_arrays, raw_images
from entropy_assets.defs.partitions import image_batches
from entropy_assets.defs.resources import Stores
from entropy_assets.errors import EntropyAssetsError
from entropy_assets.stages import assessments, conditioning, extraction, validation
from entropy_assets.stages.manifest import Manifest

_ABOUT: Final = {
    "shannon_entropy": "Entropy of the bytes of a block, against its exact null distribution at the block's length.",
    "chi_square": "Evenness of the 256 byte values, two-sided: too even is a defect too.",
    "runs": "Number of runs of equal bits (SP 800-22 2.3), given the number of ones.",
    "autocorrelation": "Agreement of the bits with themselves, over lags that cover words and rows.",
}


def _spec(name: str, asset: dg.AssetsDefinition, description: str, *, blocking: bool) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        name, asset=asset, description=description, blocking=blocking, partitions_def=image_batches
    )


@dg.multi_asset_check(
    name="block_tests",
    specs=[_spec(name, hashed_blocks, _ABOUT[name], blocking=True) for name in TESTS],
    can_subset=True,
)
def block_tests(context: dg.AssetCheckExecutionContext, stores: Stores) -> Iterator[dg.AssetCheckResult]:
    """Test every block of the batch once, and report each test over the batch."""
    selected = sorted(key.name for key in context.selected_asset_check_keys)
    try:
        examination = validation.examine_blocks(conditioning.read_blocks(stores.batch(context.partition_key)))
    except EntropyAssetsError as error:
        # Without a result Dagster would go on downstream with a warning.
        for name in selected:
            yield dg.AssetCheckResult(
                check_name=name,
                asset_key=hashed_blocks.key,
                passed=False,
                description=error.message,
                metadata={"error": error.code},
            )
        return
    for name in selected:
        yield _result(examination, name)


def _result(examination: validation.Examination, name: str) -> dg.AssetCheckResult:
    report, verdicts = examination.report, examination.verdicts
    test = report.tests[name]
    empty = test.blocks == 0
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=hashed_blocks.key,
        passed=test.passed and not empty,
        # A batch without blocks has nothing to gate; it is shown, not failed.
        severity=dg.AssetCheckSeverity.WARN if empty else dg.AssetCheckSeverity.ERROR,
        description=_summary(test),
        metadata={
            **_numbers(test),
            "blocks_rejected": float(report.rejected),
            "rejection_alarm": report.alarm,
            "p_values": plots.p_values({name: verdicts.p_values[name]}, 1e-6),
        },
    )


def _summary(test: SecondLevelResult) -> str:
    if test.smallest_p is None:
        return test.note
    return "; ".join(filter(None, (f"{test.blocks} blocks, smallest P-value {test.smallest_p:.3g}", test.note)))


def _numbers(test: SecondLevelResult) -> dict[str, float]:
    numbers = {
        "blocks": test.blocks,
        "smallest_p": test.smallest_p,
        "median_p": test.median_p,
        "proportion_passing_at_0.01": test.proportion,
        "proportion_low": test.band[0],
        "proportion_high": test.band[1],
        "proportion_p": test.proportion_p,
        "uniformity_p": test.uniformity_p,
        "extreme_p": test.extreme_p,
        "corrected_p": test.corrected_p,
        "alpha": FAMILY_ALPHA,
    }
    return {name: float(value) for name, value in numbers.items() if value is not None}


@dg.asset_check(
    asset=raw_images,
    partitions_def=image_batches,
    description="Every file of the batch could be read. A warning: the readable ones go on.",
)
def files_readable(context: dg.AssetCheckExecutionContext, stores: Stores) -> dg.AssetCheckResult:
    """Warn if a file could not be read."""
    rows = Manifest.of(stores.batch(context.partition_key)).rows
    bad = [row for row in rows if not row.accepted]
    return dg.AssetCheckResult(
        passed=not bad,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(rows) - len(bad)} of {len(rows)} files are readable images",
        metadata={"files": float(len(rows)), "unreadable": float(len(bad))},
    )


@dg.asset_check(
    asset=raw_images,
    partitions_def=image_batches,
    blocking=True,
    description="The images that are kept still have the hashes under which they came.",
)
def images_unaltered(context: dg.AssetCheckExecutionContext, stores: Stores) -> dg.AssetCheckResult:
    """Fail if an image of the store is missing or altered."""
    batch = stores.batch(context.partition_key)
    problems = []
    for item in batch.intake.files:
        try:
            stores.layout.images().get(item.image_sha256)
        except EntropyAssetsError as error:
            problems.append(error.message)
    return dg.AssetCheckResult(
        passed=not problems,
        description="; ".join(problems[:3]) or f"{len(batch.intake.files)} images have their hashes",
        metadata={"images": float(len(batch.intake.files)), "altered": float(len(problems))},
    )


@dg.asset_check(
    asset=noise_arrays,
    partitions_def=image_batches,
    description="Some image of the batch has live noise. A warning: a batch of dead images makes no block.",
)
def live_noise(context: dg.AssetCheckExecutionContext, stores: Stores) -> dg.AssetCheckResult:
    """Warn if no image of the batch is worth anything."""
    rows = assessments.noise_rows(stores.batch(context.partition_key))
    accepted = sum(row.accepted for row in rows)
    return dg.AssetCheckResult(
        passed=accepted > 0,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{accepted} of {len(rows)} readable images carry noise that is credited",
        metadata={"images": float(len(rows)), "accepted": float(accepted)},
    )


@dg.asset_check(
    asset=noise_arrays,
    partitions_def=image_batches,
    blocking=True,
    description=(
        "Repetition count and adaptive proportion tests (SP 800-90B 4.4) on the raw noise of every credited image, run "
        "again on what is stored."
    ),
)
def health_tests(context: dg.AssetCheckExecutionContext, stores: Stores) -> dg.AssetCheckResult:
    """Fail if credited noise fails its health tests, or is not the noise that was assessed."""
    try:
        reports = extraction.health_again(stores.batch(context.partition_key))
    except EntropyAssetsError as error:
        return dg.AssetCheckResult(passed=False, description=error.message, metadata={"error": error.code})
    failed = [name for name, report in reports if not report.passed]
    return dg.AssetCheckResult(
        passed=not failed,
        description=f"failed on {', '.join(failed)}" if failed else f"passed on {len(reports)} sample sequences",
        metadata={"sequences": float(len(reports)), "failed": float(len(failed))},
    )


@dg.asset_check(
    asset=hashed_blocks,
    partitions_def=image_batches,
    description=(
        "As many blocks are rejected, and as many come near it, as chance would have. A warning: the tests gate the "
        "batch, this asks to look at its source."
    ),
)
def rejection_rate(context: dg.AssetCheckExecutionContext, stores: Stores) -> dg.AssetCheckResult:
    """Warn if too many blocks fail their tests, or if too many or too few come near it."""
    try:
        report = validation.examine_blocks(conditioning.read_blocks(stores.batch(context.partition_key))).report
    except EntropyAssetsError as error:
        return dg.AssetCheckResult(
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description=error.message,
            metadata={"error": error.code},
        )
    return dg.AssetCheckResult(
        passed=not report.alarm,
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            f"{report.rejected} of {report.blocks} blocks rejected (P-value {report.rejection_p:.3g}), "
            f"{report.low_p_star} with p* below 0.01 (P-value {report.low_p_star_p:.3g})"
        ),
        metadata={
            "blocks": float(report.blocks),
            "rejected": float(report.rejected),
            "rejection_p": report.rejection_p,
            "low_p_star": float(report.low_p_star),
            "low_p_star_p": report.low_p_star_p,
        },
    )


CHECKS: Final = (block_tests, rejection_rate, files_readable, images_unaltered, live_noise, health_tests)
