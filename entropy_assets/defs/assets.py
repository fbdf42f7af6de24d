"""The five assets of a batch and the pool that they end in. Each body is a call of its stage and what it shows."""

import time
from typing import Final

import dagster as dg

from entropy_assets.core.advice import ADVICE
from entropy_assets.core.extraction.agreement import NO_CARD, arrays_for
from entropy_assets.defs import metadata
from entropy_assets.defs.anchors import known_to_dagster
from entropy_assets.defs.partitions import image_batches
from entropy_assets.defs.resources import RETRIES, Pool, Stores, typed_failures
from entropy_assets.stages import assessments, conditioning, extraction, ingest, validation
from entropy_assets.stages.publication import publish_batch
from entropy_assets.stages.state import sound_ledger
from entropy_assets.stores.batches import BLOCKS, INTAKE, MANIFEST, NOISE, RECEIPT, RECORDS, VERDICTS, Document

OWNERS: Final = ["team:entropy"]
GPU: Final = "gpu"
"""Concurrency pool of the steps that a card computes, where an installation says that one does."""
POOL_KEY: Final = dg.AssetKey("entropy_pool")
WHAT_TO_DO: Final = "\n".join(
    ("| reason | what to do |", "|---|---|", *(f"| `{reason}` | {advice} |" for reason, advice in ADVICE.items()))
)
"""What stands in a description, once, and not with every batch that refuses an image."""


def _in_full(*documents: Document) -> dict[str, str]:
    """Return what an asset shows of itself, not with each batch: where all is of which a batch shows a part."""
    return {"in_full": ", ".join(f"batches/<partition>/{document.file}" for document in documents)}


entropy_pool = dg.AssetSpec(
    POOL_KEY,
    group_name="publication",
    kinds={"redis"},
    owners=OWNERS,
    deps=["published_blocks"],
    description="The Redis pool that the HTTP service leases blocks from. Each block is handed out at most once.",
)


@dg.asset(
    partitions_def=image_batches,
    group_name="ingest",
    kinds={"pillow", "astropy"},
    owners=OWNERS,
    code_version="1",
    metadata=_in_full(INTAKE, MANIFEST),
    retry_policy=RETRIES,
    description=(
        "The files of a batch as they came, decoded to the sensor's own integers. One row per file: its shape, depth, "
        "ADC step and hashes, or the one reason why it can't be read. Nothing is judged random here."
        f"\n\n{WHAT_TO_DO}"
    ),
)
def raw_images(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult[None]:
    """Decode the files of the batch."""
    with typed_failures():
        batch = stores.batch(context.partition_key)
        manifest = ingest.read_images(batch, stores.layout.images(), batch.intake.limits)
        return metadata.kept_once(context, metadata.raw_images(batch, manifest, stores.layout.images()))


def make_noise_arrays(pool: str | None = None) -> dg.AssetsDefinition:
    """Return the asset `noise_arrays`; its steps take turns in the concurrency pool called `pool`, if there is one."""

    @dg.asset(
        partitions_def=image_batches,
        deps=[raw_images],
        pool=pool,
        group_name="extraction",
        kinds={"numpy", "scipy"},
        owners=OWNERS,
        code_version="1",
        metadata=_in_full(NOISE),
        retry_policy=RETRIES,
        description=(
            "What is left of each image when the picture is taken away, region by region, and how much min-entropy "
            "that noise is worth (SP 800-90B). This is the step that refuses a dead, denoised, saturated or replayed "
            f"image.\n\n{WHAT_TO_DO}"
        ),
    )
    def noise_arrays(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult[None]:
        """Extract and assess the noise of each image, and settle the inbox."""
        with typed_failures():
            batch = stores.batch(context.partition_key)
            ledger = sound_ledger(stores.layout, known_to_dagster(context.instance))
            arrays = arrays_for(
                stores.arrays, stores.arrays_memory_bytes, lambda error: context.log.warning(NO_CARD, error)
            )
            rows = extraction.extract_noise(
                batch, stores.layout.images(), ledger, batch.intake.limits, workers=stores.workers, arrays=arrays
            )
            stores.settle(batch, context.log.warning)
            return metadata.kept_once(context, metadata.noise_arrays(batch, rows, ledger))

    return noise_arrays


noise_arrays = make_noise_arrays()


@dg.asset(
    partitions_def=image_batches,
    deps=[noise_arrays],
    group_name="conditioning",
    kinds={"blake3", "numpy"},
    owners=OWNERS,
    code_version="1",
    metadata=_in_full(RECORDS, BLOCKS),
    retry_policy=RETRIES,
    description=(
        "Blocks of 4096 bytes: 128 SHA-256 digests, each over its own slice of noise that carries at least 320 bits "
        "of credit, and the hash chain that ties every block to its images. Never longer than the credit allows."
    ),
)
def hashed_blocks(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult[None]:
    """Condition the noise into blocks and chain their records."""
    with typed_failures():
        batch = stores.batch(context.partition_key)
        conditioning.hash_blocks(batch)
        shown = metadata.hashed_blocks(batch, conditioning.read_blocks(batch), assessments.credits(batch))
        return metadata.kept_once(context, shown)


@dg.asset(
    partitions_def=image_batches,
    deps=[hashed_blocks],
    group_name="validation",
    kinds={"numpy"},
    owners=OWNERS,
    code_version="1",
    metadata=_in_full(VERDICTS),
    retry_policy=RETRIES,
    description=(
        "The verdict on every block. The chain is walked again and all tests are run again on what is stored, so a "
        "batch that failed its checks is refused here whichever way it came."
    ),
)
def validated_blocks(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult[None]:
    """Verify and test the blocks again, and release those that pass."""
    with typed_failures():
        batch = stores.batch(context.partition_key)
        validated = validation.validate_blocks(batch)
        return metadata.kept_once(context, metadata.validated_blocks(batch, validated))


@dg.asset(
    partitions_def=image_batches,
    deps=[validated_blocks],
    group_name="publication",
    kinds={"redis", "sqlite"},
    owners=OWNERS,
    code_version="1",
    metadata=_in_full(RECEIPT),
    retry_policy=RETRIES,
    description=(
        "The batch in the ledger and its blocks in the pool, in this order: a batch that the ledger knows is never "
        "pushed again, so a retry or a backfill can lose blocks and never repeat them. A ledger that lacks what "
        "a receipt, the pool's server or Dagster knows of stops it."
    ),
)
def published_blocks(context: dg.AssetExecutionContext, stores: Stores, pool: Pool) -> dg.MaterializeResult[None]:
    """Verify once more, append to the ledger, push to the pool."""
    with typed_failures(), pool.connect() as client:
        anchors = list(known_to_dagster(context.instance))
        batch = stores.batch(context.partition_key)
        publication = publish_batch(
            batch,
            stores.layout.ledger(),
            client,
            run_id=context.run.run_id,
            now_us=time.time_ns() // 1000,
            anchors=anchors,
        )
        context.log_event(
            dg.AssetObservation(POOL_KEY, metadata=metadata.pool_depth(publication.depth_after, publication.shards))
        )
        return metadata.kept_once(context, metadata.published_blocks(batch, publication, stores.layout.ledger().head()))


ASSETS: Final = (raw_images, noise_arrays, hashed_blocks, validated_blocks, published_blocks)
