"""Asset checks. Those on the blocks gate the run; `validated_blocks` and `published_blocks` verify again by themselves.

Every check carries the partition: an un-partitioned check on a partitioned asset lets the pass of one batch hide the
failure of another. A check is 4 kB of events of each batch, and a step of its own 2 kB more: what can be told as one
answer is one check, and the tests of the blocks share a step. A step's name is in each of its events nine times:
that of a single check is the check's, without the asset's that Dagster would set before it.

While a store or the ledger's server is away nobody knows what a check would say: its step fails and is tried again.
"""

from collections.abc import Iterator
from typing import Any, Final

import dagster as dg

from entropy_assets.core.validation.block_tests import TESTS
from entropy_assets.core.validation.second_level import FAMILY_ALPHA, BatchReport, SecondLevelResult
from entropy_assets.defs import metadata, plots
from entropy_assets.defs.assets import hashed_blocks, noise_arrays, raw_images
from entropy_assets.defs.partitions import image_batches
from entropy_assets.defs.resources import RETRIES, EntropyStores, Stores, typed_failures
from entropy_assets.errors import EntropyAssetsError, ImageAltered, ImageMissing
from entropy_assets.stages import assessments, conditioning, validation
from entropy_assets.stages.manifest import Manifest
from entropy_assets.stores.batches import VERDICTS, Batch
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
            hashed = conditioning.read_blocks(stores.batch(context.partition_key))
            examination = validation.examine_blocks(hashed)
        except _UNKNOWN:
            raise
        except EntropyAssetsError as error:
            # Without a result Dagster would go on downstream with a warning.
            yield from (_refused(name, error) for name in selected)
            return
    for name in selected:
        yield _rejections(examination.report) if name == REJECTION_RATE else _result(examination, hashed, name)


def _refused(name: str, error: EntropyAssetsError) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=hashed_blocks.key,
        passed=False,
        severity=dg.AssetCheckSeverity.WARN if name == REJECTION_RATE else dg.AssetCheckSeverity.ERROR,
        description=error.message,
        metadata={"error": error.code},
    )


def _result(examination: validation.Examination, hashed: conditioning.HashedBlocks, name: str) -> dg.AssetCheckResult:
    test = examination.report.tests[name]
    empty = test.blocks == 0
    charted = {"smallest_p": test.smallest_p, "corrected_p": test.corrected_p}
    shown: dict[str, dg.MetadataValue[Any] | float] = {
        **{label: metadata.rounded(value) for label, value in charted.items() if value is not None},
        "of_the_batch": metadata.listed([_numbers(test)], VERDICTS),
    }
    if not test.passed:  # else `validated_blocks` shows it: a run that this check stops has none
        shown["lowest"] = metadata.lowest(hashed.records, examination.verdicts.p_values[name])
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
    return f"{test.blocks} blocks, smallest P-value {test.smallest_p:.3g}"


def _numbers(test: SecondLevelResult) -> dict[str, str | float | None]:
    """Return the numbers of a test over the batch that share an entry: the UI charts those alone that have their own.

    The note is here, since an event holds the description three times.
    """
    return {
        "proportion_passing_at_0.01": test.proportion,
        "proportion_p": test.proportion_p,
        "uniformity_p": test.uniformity_p,
        "extreme_p": test.extreme_p,
        "note": test.note,
    }


def _rejections(report: BatchReport) -> dg.AssetCheckResult:
    """Tell all in the description, which an event holds three times: metadata would be a fourth."""
    return dg.AssetCheckResult(
        check_name=REJECTION_RATE,
        asset_key=hashed_blocks.key,
        passed=not report.alarm,
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            f"{report.rejected} of {report.blocks} blocks rejected (P-value {report.rejection_p:.3g}), "
            f"{report.low_p_star} with p* below 0.01 (P-value {report.low_p_star_p:.3g})"
        ),
    )


FILES_USABLE: Final = "files_usable"
HEALTH_TESTS: Final = "health_tests"


@dg.multi_asset_check(
    name=FILES_USABLE,
    specs=[
        _spec(
            FILES_USABLE,
            raw_images,
            "The images that are kept still have the hashes under which they came. It warns of files that can't be "
            "read: the others go on.",
            blocking=True,
        )
    ],
    retry_policy=RETRIES,
)
def files_usable(context: dg.AssetCheckExecutionContext, stores: Stores) -> dg.AssetCheckResult:
    """Fail if an image of the store is missing or altered, and warn if a file could not be read."""
    with typed_failures():
        batch = stores.batch(context.partition_key)
        altered = list(_altered(batch, stores))
        rows = Manifest.of(batch).rows
    readable = sum(row.accepted for row in rows)
    told = f"{readable} of {len(rows)} files are readable images"
    return dg.AssetCheckResult(
        passed=not altered and readable == len(rows),
        severity=dg.AssetCheckSeverity.ERROR if altered else dg.AssetCheckSeverity.WARN,
        description=metadata.some_of(altered, "; ") or f"{told}; all have their hashes",
        metadata={"altered": float(len(altered))} if altered else {},
    )


def _altered(batch: Batch, stores: EntropyStores) -> Iterator[str]:
    """Yield what is wrong with each image that is missing or altered."""
    for item in batch.intake.files:
        try:
            stores.layout.images().get(item.image_sha256)
        except (ImageMissing, ImageAltered) as error:
            yield error.message


@dg.multi_asset_check(
    name=HEALTH_TESTS,
    specs=[
        _spec(
            HEALTH_TESTS,
            noise_arrays,
            "Repetition count and adaptive proportion tests (SP 800-90B 4.4) on the raw noise of every credited image, "
            "run again on what is stored. It warns where there is none: a batch of dead images makes no block.",
            blocking=True,
        )
    ],
    retry_policy=RETRIES,
)
def health_tests(context: dg.AssetCheckExecutionContext, stores: Stores) -> dg.AssetCheckResult:
    """Fail if credited noise fails its tests, or is not the noise that was assessed; warn if there is none."""
    with typed_failures():
        batch = stores.batch(context.partition_key)
        try:
            reports = assessments.health_again(batch)
        except _UNKNOWN:
            raise
        except EntropyAssetsError as error:
            return dg.AssetCheckResult(passed=False, description=error.message, metadata={"error": error.code})
        rows = assessments.noise_rows(batch)
    failed = [name for name, report in reports if not report.passed]
    told = f"{sum(row.accepted for row in rows)} of {len(rows)} readable images are credited"
    return dg.AssetCheckResult(
        passed=bool(reports) and not failed,
        severity=dg.AssetCheckSeverity.ERROR if failed else dg.AssetCheckSeverity.WARN,
        description=f"failed on {metadata.some_of(failed)}" if failed else f"{told}; {len(reports)} sequences pass",
        metadata={"sequences": float(len(reports)), "failed": float(len(failed))} if failed else {},
    )


CHECKS: Final = (block_tests, files_usable, health_tests)
