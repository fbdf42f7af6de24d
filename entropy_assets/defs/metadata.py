"""What an auditor sees at each asset: numbers that chart over batches, a short table, one picture.

Never a block's bytes. Numbers are floats, since Dagster's UI does not plot integers beyond 32 bits.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import dagster as dg
import numpy as np

from entropy_assets.core.encoding import sha256_of_json
from entropy_assets.core.extraction.squares import Verdict
from entropy_assets.defs import plots
from entropy_assets.errors import ImageRejected
from entropy_assets.images.decode import decode
from entropy_assets.provenance.summary import SIMULATED
from entropy_assets.recipe import recipe_named
from entropy_assets.stages.assessments import NoiseRow, computed_by, live_maps
from entropy_assets.stages.conditioning import HashedBlocks
from entropy_assets.stages.manifest import ImageRow, Manifest
from entropy_assets.stages.publication import PublishedBatch
from entropy_assets.stages.validation import Validation
from entropy_assets.stores.batches import Batch
from entropy_assets.stores.file_names import printable
from entropy_assets.stores.images import ImageStore
from entropy_assets.stores.intakes import Intake
from entropy_assets.stores.lanes import LANES
from entropy_assets.stores.ledger.frames import SpentFrames
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.pool.blocks import ShardState

TABLE_ROWS: Final = 20
LONGEST_CELL: Final = 200
"""Longest text of other people's servers in a table, characters."""
_THUMBNAIL_PIXELS: Final = 96
_MIB: Final = 2**20


def table(rows: Iterable[Mapping[str, str | float | bool | None]]) -> dg.TableMetadataValue:
    """Return the first rows as a table; a missing value is left empty, and a column without any value is left out.

    A column costs 200 bytes of each event that shows it, whatever is in it.
    """
    kept = [row for _, row in zip(range(TABLE_ROWS), rows, strict=False)]
    columns = dict.fromkeys(column for row in kept for column, value in row.items() if value not in (None, ""))
    shown = [{column: row.get(column) for column in columns} for row in kept]
    records = [dg.TableRecord({key: "" if value is None else value for key, value in row.items()}) for row in shown]
    if records:
        return dg.MetadataValue.table(records)
    return dg.MetadataValue.table(records, schema=dg.TableSchema([dg.TableColumn("nothing", "string")]))


def _reasons(reasons: Iterable[str | None]) -> dg.JsonMetadataValue:
    return dg.MetadataValue.json(dict(Counter(str(reason) for reason in reasons if reason)))


def pool_depth(blocks: int, shards: Sequence[ShardState] = ()) -> dict[str, Any]:
    """Return the metadata of an observation of the pool; of several shards with a row for each."""
    if not shards:
        return {"ready_blocks": float(blocks)}
    rows: list[dict[str, str | float]] = [
        {
            "shard": each.place,
            "state": each.reason or "well",
            **{f"ready_{lane}": each.stats.lanes[lane].blocks if each.stats else 0 for lane in LANES},
        }
        for each in shards
    ]
    well = sum(each.reason is None for each in shards)
    return {"ready_blocks": float(blocks), "shards_well": float(well), "shards": table(rows)}


def kept_once(context: dg.AssetExecutionContext, result: dg.MaterializeResult[Any]) -> dg.MaterializeResult[Any]:
    """Return `result` without what it shows, which goes into the event of the materialisation alone.

    What a result holds would be stored with the output of its step as well, where nobody looks.
    """
    context.add_asset_metadata(result.metadata or {})
    return dg.MaterializeResult(data_version=result.data_version)


def raw_images(batch: Batch, manifest: Manifest, images: ImageStore) -> dg.MaterializeResult[Any]:
    """Show what came: one row per file and small pictures."""
    rows = manifest.rows
    pictures = [
        (_titled(row), _thumbnail(row.image_sha256, images, batch.intake)) for row in rows[: plots.MAX_PICTURES]
    ]
    return dg.MaterializeResult(
        metadata={
            "images": float(len(rows)),
            "readable": float(sum(row.accepted for row in rows)),
            "rejected": float(sum(not row.accepted for row in rows)),
            "simulated": float(sum(row.source == SIMULATED for row in rows)),
            "megabytes": sum(row.file_bytes for row in rows) / _MIB,
            "megapixels": sum((row.width or 0) * (row.height or 0) for row in rows) / 1e6,
            "reasons": _reasons(row.reason for row in rows),
            "source": batch.intake.source,
            "recipe": batch.intake.recipe,
            "manifest": table(
                {
                    "file": row.file,
                    "readable": row.accepted,
                    "reason": row.reason,
                    "detail": row.detail,
                    "source": row.source,
                    "shape": f"{row.channels} x {row.height} x {row.width}" if row.width else None,
                    "bits": row.bit_depth,
                    "ADC step": row.adc_step,
                    "lossy": row.lossy,
                    "selection": row.selection,
                    "image_sha256": row.image_sha256,
                    **_of_origin(row),
                }
                for row in rows
            ),
            "pictures": plots.thumbnails(pictures),
        },
        data_version=dg.DataVersion(manifest.sha256),
    )


def _of_origin(row: ImageRow) -> dict[str, str | None]:
    """Return the columns that an image fetched by a feed has beside the others: where from, and whose it is."""
    if row.origin is None:
        return {}
    texts = {"url": row.origin.url, "fetched": row.origin.fetched_at, "instrument": row.origin.instrument}
    texts |= {"credit line": row.origin.credit, "licence": row.origin.licence}
    return {column: text and text[:LONGEST_CELL] for column, text in texts.items()}


def _titled(row: ImageRow) -> str:
    """Return what stands over the picture of an image: a mock sky can look like a real one."""
    return f"{SIMULATED}:\n{row.file[:24]}" if row.source == SIMULATED else row.file[:24]


def _thumbnail(image_sha256: str, images: ImageStore, intake: Intake) -> Any:
    try:
        frame = decode(images.get(image_sha256), limits=intake.limits, reading=recipe_named(intake.recipe).reading)
    except ImageRejected:
        return None
    step = -(-max(frame.pixels.shape) // _THUMBNAIL_PIXELS)
    return plots.means_of(frame.pixels[0], step)


def noise_arrays(batch: Batch, rows: tuple[NoiseRow, ...], ledger: Ledger) -> dg.MaterializeResult[Any]:
    """Show what the noise is worth: one row per image, the map of its live area, and what its sensor repeats."""
    accepted = [row for row in rows if row.accepted]
    sources = {row.image_sha256: row.source for row in Manifest.of(batch).rows}
    return dg.MaterializeResult(
        metadata={
            "images": float(len(rows)),
            "accepted": float(len(accepted)),
            "rejected": float(len(rows) - len(accepted)),
            "credit_kilobits": sum(row.credit_bits for row in accepted) / 1000,
            "samples": float(sum(row.samples for row in accepted)),
            "lowest_min_entropy": float(min((row.min_entropy for row in accepted), default=0.0)),
            "reasons": _reasons(row.reason for row in rows),
            "computed_by": "; ".join(f"{what}: {images} images" for what, images in computed_by(batch).items()),
            "assessment": table(
                {
                    "file": row.file,
                    "accepted": row.accepted,
                    "reason": row.reason,
                    "detail": row.detail,
                    "live": f"{row.live_fraction:.0%}",
                    "samples": float(row.samples),
                    "bits per sample": round(row.min_entropy, 4),
                    "limited by": row.assessment.get("limited_by"),
                    "source": sources.get(row.image_sha256),
                    "claim, bits per sample": row.assessment.get("caps", {}).get("claim"),
                    "shared with others": row.assessment.get("repeats"),
                    "credit, bits": float(row.credit_bits),
                }
                for row in rows
            ),
            "sensors": table(_sensor_rows(accepted, ledger)),
            "live_area": plots.live_areas(
                [(name[:24], area) for name, area in live_maps(batch)],
                [verdict.name.lower().replace("_", " ") for verdict in Verdict],
            ),
        },
        data_version=dg.DataVersion(sha256_of_json([row.noise_sha256 for row in accepted])),
    )


def _sensor_rows(accepted: Iterable[NoiseRow], ledger: Ledger) -> Iterator[dict[str, str | float | None]]:
    """Yield how much of the noise of each sensor of a batch is the same in every frame, as its newest frames show it.

    It is the restart matrix of SP 800-90B 3.1.4: a row for each frame, a column for each pixel pair.
    """
    frames = SpentFrames(ledger, 1)
    for sensor, found in frames.sensors(row.image_sha256 for row in accepted).items():
        row: dict[str, str | float | None] = {"sensor": printable(sensor), "frames compared": 1.0}
        if found is not None:
            row["frames compared"] = float(found.frames)
            row["fixed pattern, %"] = round(100 * max(0.0, found.share), 2)
            row["uncertain by, %"] = round(200 * found.error, 2)
        yield row


def hashed_blocks(batch: Batch, hashed: HashedBlocks, credits: Mapping[str, int]) -> dg.MaterializeResult[Any]:
    """Show how credit became blocks."""
    credit = sum(credits.values())
    spent = sum(record.credit_bits for record in hashed.records)
    return dg.MaterializeResult(
        metadata={
            "blocks": float(len(hashed)),
            "dagster/partition_row_count": len(hashed),
            "kilobytes": hashed.blocks.size / 1024,
            "credit_kilobits": credit / 1000,
            "credit_spent_kilobits": spent / 1000,
            "bits_out_per_credit_bit": hashed.blocks.size * 8 / spent if spent else 0.0,
            "chain_head": hashed.chain_head,
            "recipe": batch.intake.recipe,
            "records": table(
                {
                    "block_id": record.block_id,
                    "block_sha256": record.block_sha256,
                    "link": record.link,
                    "images": float(len(record.image_sha256s)),
                    "credit, bits": float(record.credit_bits),
                }
                for record in hashed.records
            ),
            "credit_by_image": plots.credit_by_image(credits),
        },
        data_version=dg.DataVersion(hashed.chain_head),
    )


def validated_blocks(batch: Batch, validation: Validation) -> dg.MaterializeResult[Any]:
    """Show the verdicts."""
    verdicts, records = validation.examination.verdicts, validation.hashed.records
    released = set(validation.released)
    return dg.MaterializeResult(
        metadata={
            "blocks": float(len(records)),
            "released": float(len(released)),
            "rejected": float(len(records) - len(released)),
            "lowest_p_star": float(np.min(verdicts.p_star, initial=1.0)),
            "mean_quality": float(np.mean(validation.quality)) if records else 0.0,
            "verdicts": table(
                {
                    "block_id": record.block_id,
                    "released": position in released,
                    "p*": float(verdicts.p_star[position]),
                    "score": float(verdicts.score[position]),
                    "quality": validation.quality[position],
                }
                for position, record in enumerate(records)
            ),
            "p_values": plots.p_values(verdicts.p_values, 1e-6),
        },
        data_version=dg.DataVersion(sha256_of_json([records[position].block_id for position in validation.released])),
    )


def published_blocks(batch: Batch, publication: PublishedBatch, ledger_head: str) -> dg.MaterializeResult[Any]:
    """Show what entered the pool, and the ledger's head after it."""
    return dg.MaterializeResult(
        metadata={
            "newly_published": publication.newly_published,
            "pushed": float(publication.pushed),
            "refused_by_pool": float(publication.refused),
            "depth_before": float(publication.depth_before),
            "depth_after": float(publication.depth_after),
            "ledger_head": ledger_head,
            "depth": plots.depth_change(
                publication.depth_before, publication.depth_after, publication.pushed, publication.refused
            ),
        },
        data_version=dg.DataVersion(ledger_head),
    )
