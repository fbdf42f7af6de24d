"""Asset checks. Those on the blocks gate the run; `validated_blocks` and `published_blocks` verify again by themselves.

Every check carries the partition: an un-partitioned check on a partitioned asset lets the pass of one batch hide the
failure of another. Those on one asset share a step, since a step is five events of each batch, for ever.

While a store or the ledger's server is away nobody knows what a check would say: its step fails and is tried again.
"""

from collections.abc import Iterator
from typing import Any, Final

import dagster as dg

from entropy_assets.core.validation.block_tests import TESTS
from entropy_assets.core.validation.second_level import FAMILY_ALPHA, BatchReport, SecondLevelResult
from entropy_assets.defs import plots
from entropy_assets.defs.assets import hashed_blocks, noise_arrays, raw_images
from entropy_assets.defs.partitions import image_batches
from entropy_assets.defs.resources import RETRIES, EntropyStores, Stores, typed_failures
from entropy_assets.errors import EntropyAssetsError, ImageAltered, ImageMissing
from entropy_assets.stages import assessments, conditioning, validation
from entropy_assets.stages.manifest import Manifest
from entropy_assets.stores.batches import Batch
from entropy_assets.stores.blobs.refusals import StoreError
from entropy_assets.stores.ledger.storage import LedgerUnavailable

_ABOUT: Final = {
    "shannon_entropy": "Entropy of the bytes of a block, against its exact null distribution at the block's length.",
    "chi_square": "Evenness of the 256 byte values, two-sided: too even is a defect too.",
    "runs": "Number of runs of equal bits (SP 800-22 2.3), given the number of ones.",
    "autocorrelation": "Agreement of the bits with themselves, over lags that cover words and rows.",
}

_FAILS: Final = f"It fails a batch whose corrected_p is below {FAMILY_ALPHA:g}."


def _spec(name: str, asset: dg.AssetsDefinition, description: str, *, blocking: bool) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        name, asset=asset, description=description, blocking=blocking, partitions_def=image_batches
    )


def _selected(context: dg.AssetCheckExecutionContext) -> list[str]:
    """Return the names of the checks that are asked for: the UI can ask for some of those that share a step."""
    return sorted(key.name for key in context.selected_asset_check_keys)


_UNKNOWN: Final = (StoreError, LedgerUnavailable)
"""What says nothing of the batch, so no check has failed by it."""
REJECTION_RATE: Final = "rejection_rate"


@dg.multi_asset_check(
    name="block_tests",
    specs=[
        *(_spec(name, hashed_blocks, f"{_ABOUT[name]} {_FAILS}", blocking=True) for name in TESTS),
        _spec(
            REJECTION_RATE,
            hashed_blocks,
            "As many blocks are rejected, and as many come near it, as chance would have. A warning: the tests gate "
            "the batch, this asks to look at its source.",
            blocking=False,
        ),
    ],
    can_subset=True,
    retry_policy=RETRIES,
)
def block_tests(context: dg.AssetCheckExecutionContext, stores: Stores) -> Iterator[dg.AssetCheckResult]:
    """Test every block of the batch once, and report each test over the batch."""
    selected = _selected(context)
    with typed_failures():
        try:
            examination = validation.examine_blocks(conditioning.read_blocks(stores.batch(context.partition_key)))
        except _UNKNOWN:
            raise
        except EntropyAssetsError as error:
            # Without a result Dagster would go on downstream with a warning.
            yield from (_refused(name, error) for name in selected)
            return
    for name in selected:
        yield _rejections(examination.report) if name == REJECTION_RATE else _result(examination, name)


def _refused(name: str, error: EntropyAssetsError) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=hashed_blocks.key,
        passed=False,
        severity=dg.AssetCheckSeverity.WARN if name == REJECTION_RATE else dg.AssetCheckSeverity.ERROR,
        description=error.message,
        metadata={"error": error.code},
    )


def _result(examination: validation.Examination, name: str) -> dg.AssetCheckResult:
    test = examination.report.tests[name]
    empty = test.blocks == 0
    shown: dict[str, dg.MetadataValue[Any] | float] = {**_numbers(test)}
    if not test.passed:  # else `validated_blocks` shows it: a run that this check stops has none
        shown["p_values"] = plots.p_values({name: examination.verdicts.p_values[name]}, 1e-6)
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=hashed_blocks.key,
        passed=test.passed and not empty,
        # A batch without blocks has nothing to gate; it is shown, not failed.
        severity=dg.AssetCheckSeverity.WARN if empty else dg.AssetCheckSeverity.ERROR,
        description=_summary(test),
        metadata=shown,
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
    }
    return {name: float(value) for name, value in numbers.items() if value is not None}


def _rejections(report: BatchReport) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=REJECTION_RATE,
        asset_key=hashed_blocks.key,
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


FILES_READABLE: Final = "files_readable"
IMAGES_UNALTERED: Final = "images_unaltered"


@dg.multi_asset_check(
    name="image_checks",
    specs=[
        _spec(
            FILES_READABLE,
            raw_images,
            "Every file of the batch could be read. A warning: the readable ones go on.",
            blocking=False,
        ),
        _spec(
            IMAGES_UNALTERED,
            raw_images,
            "The images that are kept still have the hashes under which they came.",
            blocking=True,
        ),
    ],
    can_subset=True,
    retry_policy=RETRIES,
)
def image_checks(context: dg.AssetCheckExecutionContext, stores: Stores) -> Iterator[dg.AssetCheckResult]:
    """Look at the files of the batch as they are kept."""
    checks = {FILES_READABLE: _files_readable, IMAGES_UNALTERED: _images_unaltered}
    with typed_failures():
        batch = stores.batch(context.partition_key)
        results = [checks[name](batch, stores) for name in _selected(context)]
    yield from results


def _files_readable(batch: Batch, _: EntropyStores) -> dg.AssetCheckResult:
    """Warn if a file could not be read."""
    rows = Manifest.of(batch).rows
    bad = [row for row in rows if not row.accepted]
    return dg.AssetCheckResult(
        check_name=FILES_READABLE,
        asset_key=raw_images.key,
        passed=not bad,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(rows) - len(bad)} of {len(rows)} files are readable images",
    )


def _images_unaltered(batch: Batch, stores: EntropyStores) -> dg.AssetCheckResult:
    """Fail if an image of the store is missing or altered."""
    problems = []
    for item in batch.intake.files:
        try:
            stores.layout.images().get(item.image_sha256)
        except (ImageMissing, ImageAltered) as error:
            problems.append(error.message)
    return dg.AssetCheckResult(
        check_name=IMAGES_UNALTERED,
        asset_key=raw_images.key,
        passed=not problems,
        description="; ".join(problems[:3]) or f"{len(batch.intake.files)} images have their hashes",
        metadata={"altered": float(len(problems))},
    )


LIVE_NOISE: Final = "live_noise"
HEALTH_TESTS: Final = "health_tests"


@dg.multi_asset_check(
    name="noise_checks",
    specs=[
        _spec(
            LIVE_NOISE,
            noise_arrays,
            "Some image of the batch has live noise. A warning: a batch of dead images makes no block.",
            blocking=False,
        ),
        _spec(
            HEALTH_TESTS,
            noise_arrays,
            "Repetition count and adaptive proportion tests (SP 800-90B 4.4) on the raw noise of every credited image, "
            "run again on what is stored.",
            blocking=True,
        ),
    ],
    can_subset=True,
    retry_policy=RETRIES,
)
def noise_checks(context: dg.AssetCheckExecutionContext, stores: Stores) -> Iterator[dg.AssetCheckResult]:
    """Look at the noise of the batch as it is stored."""
    checks = {LIVE_NOISE: _live_noise, HEALTH_TESTS: _health_tests}
    with typed_failures():
        batch = stores.batch(context.partition_key)
        results = [checks[name](batch) for name in _selected(context)]
    yield from results


def _live_noise(batch: Batch) -> dg.AssetCheckResult:
    """Warn if no image of the batch is worth anything."""
    rows = assessments.noise_rows(batch)
    accepted = sum(row.accepted for row in rows)
    return dg.AssetCheckResult(
        check_name=LIVE_NOISE,
        asset_key=noise_arrays.key,
        passed=accepted > 0,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{accepted} of {len(rows)} readable images carry noise that is credited",
    )


def _health_tests(batch: Batch) -> dg.AssetCheckResult:
    """Fail if credited noise fails its health tests, or is not the noise that was assessed."""
    try:
        reports = assessments.health_again(batch)
    except _UNKNOWN:
        raise
    except EntropyAssetsError as error:
        passed, description = False, error.message
        shown: dict[str, str | float] = {"error": error.code}
    else:
        failed = [name for name, report in reports if not report.passed]
        passed, shown = not failed, {"sequences": float(len(reports)), "failed": float(len(failed))}
        description = f"failed on {', '.join(failed)}" if failed else f"passed on {len(reports)} sample sequences"
    return dg.AssetCheckResult(
        check_name=HEALTH_TESTS, asset_key=noise_arrays.key, passed=passed, description=description, metadata=shown
    )


CHECKS: Final = (block_tests, image_checks, noise_checks)
