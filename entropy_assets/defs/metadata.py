"""What an auditor sees at each asset: numbers that chart over batches, a short table, one picture.

Never a block's bytes. Numbers are floats, since Dagster's UI does not plot integers beyond 32 bits. Events stay for as
long as their run, so each thing is shown once, and as much of a list as the eye takes in; all of it is in the documents
of the batch (`stores.batches`).
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, takewhile
from typing import Any, Final, TypeAlias

import dagster as dg
import numpy as np
from numpy.typing import NDArray

from entropy_assets.core.conditioning.records import BlockRecord
from entropy_assets.core.credit.photon_transfer import LIMITS
from entropy_assets.core.encoding import sha256_of_json
from entropy_assets.core.extraction.squares import Verdict
from entropy_assets.defs import plots
from entropy_assets.errors import ImageRejected
from entropy_assets.images.decode import decode
from entropy_assets.provenance.summary import SIMULATED
from entropy_assets.recipe import recipe_named
from entropy_assets.stages.assessments import NoiseRow, computed_by, live_maps, recollections_of_row
from entropy_assets.stages.conditioning import HashedBlocks
from entropy_assets.stages.manifest import ImageRow, Manifest
from entropy_assets.stages.publication import PublishedBatch
from entropy_assets.stages.validation import Validation
from entropy_assets.stores.batches import MANIFEST, NOISE, RECORDS, VERDICTS, Batch, Document
from entropy_assets.stores.file_names import printable
from entropy_assets.stores.images import ImageStore
from entropy_assets.stores.intakes import Intake
from entropy_assets.stores.lanes import LANES
from entropy_assets.stores.ledger.frames import SpentFrames
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.pool.blocks import ShardState

TABLE_ROWS: Final = 20
LISTED_ROWS: Final = plots.MAX_PICTURES
"""Rows of what each batch leaves, those that matter most first: as many as it shows pictures."""
LONGEST_CELL: Final = 200
"""Longest text of a table, characters: words of other people's servers are among them."""
LISTED_BYTES: Final = 900
"""What a list takes of an event at most, bytes of JSON: what its texts need beyond that is in the document."""
_SHORTER: Final = ((LISTED_ROWS, LONGEST_CELL), *((LISTED_ROWS, n) for n in (96, 48, 32, 24)), (3, 24), (1, 24))
"""Rows and longest text of a list, characters, from the best to what still fits."""
SHOWN_DIGITS: Final = 4
"""Of numbers that are no counts; the documents of the batch have them all."""
_LONG_START: Final = 20
"""What cells begin alike with is said once if it has so many characters."""
_START_ENDS: Final = re.compile(r".*[/_-]", re.DOTALL)
"""Where it ends: addresses and names of files have these between their parts."""
_NAMED: Final = 3
"""Of all that is wrong in one way, so many are named."""
_SHORT_HASH: Final = 16
"""Hex digits of a hash that a table shows: enough to find it by."""
_SIGNS: Final = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_{}[]<>|~&"})
"""What Markdown would read in a text, each behind a backslash."""
_MIB: Final = 2**20

Cell: TypeAlias = str | float | bool | None


def listed(rows: Iterable[Mapping[str, Cell]], document: Document) -> dg.MarkdownMetadataValue:
    """Return the first rows as Markdown: what all rows have alike in a line, the rest as a table.

    It has `LISTED_BYTES` at most: long texts lose their middle, then rows are left out. A column of `table` costs 190
    bytes of each event, whatever is in it.

    Parameters
    ----------
    rows
        Those that matter most come first. A value that is missing is left empty, a column without any is left out.
    document
        Where all of them are.
    """
    cells = [{column: _cell(value) for column, value in row.items()} for row in rows]
    texts = (_listed(cells, document, most, longest) for most, longest in _SHORTER)
    fitting = (text for text in texts if len(json.dumps(text)) <= LISTED_BYTES)
    return dg.MetadataValue.md(next(fitting, f"{len(cells)} in {document.file}"))


def _listed(cells: Sequence[Mapping[str, str]], document: Document, most: int, longest: int) -> str:
    """Return a list of `most` rows whose texts have `longest` characters."""
    columns = dict.fromkeys(column for row in cells for column, text in row.items() if text)
    alike = [column for column in columns if len({row.get(column, "") for row in cells}) == 1]
    apart = [column for column in columns if column not in alike]
    starts = {column: _start([text for row in cells if (text := row.get(column))]) for column in apart}
    said = {column: cells[0][column] for column in alike}
    said |= {f"{column} begins with": start for column, start in starts.items() if start}
    parts = ["; ".join(f"{what}: {_shown(text, longest)}" for what, text in said.items())]
    if apart:
        rows = ([row.get(column, "").removeprefix(starts[column]) for column in apart] for row in cells[:most])
        lines = [apart, ["-"] * len(apart), *([_shown(text, longest) for text in row] for row in rows)]
        parts.append("\n".join("|".join(line) + "|" for line in lines))
    if apart and len(cells) > most:
        parts.append(f"{len(cells) - most} more in {document.file}")
    return "\n\n".join(filter(None, parts)) or "none"


def _start(texts: Sequence[str]) -> str:
    """Return the parts that several addresses or names begin with, if they are long enough to be said once."""
    if len(texts) < 2:
        return ""
    first, last = min(texts), max(texts)  # what these two begin with, all between them do
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))
    parts = _START_ENDS.match(first[:alike])
    return parts[0] if parts and len(parts[0]) > _LONG_START else ""


def _cell(value: Cell) -> str:
    if value is None or isinstance(value, bool):
        return {None: "", True: "yes", False: "no"}[value]
    if isinstance(value, str):
        return " ".join(value.split())
    return f"{value:.0f}" if value == int(value) else f"{value:.{SHOWN_DIGITS}g}"


def _shown(text: str, longest: int) -> str:
    return plots.shortened(text, longest).translate(_SIGNS)


def table(rows: Iterable[Mapping[str, Cell]]) -> dg.TableMetadataValue:
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


def some_of(told: Sequence[str], between: str = ", ") -> str:
    """Return the first of what is wrong, and how much more there is: an event holds such a text three times."""
    more = len(told) - _NAMED
    return between.join([*told[:_NAMED], *([f"{more} more"] if more > 0 else [])])


def rounded(value: float | np.floating[Any], digits: int = SHOWN_DIGITS) -> float:
    """Return a number with as many digits as are shown of it."""
    return float(f"{value:.{digits}g}")


def _reasons(reasons: Iterable[str | None]) -> dict[str, dg.JsonMetadataValue]:
    """Return how often there is each reason, if there is any."""
    counts = Counter(reason for reason in reasons if reason)
    return {"reasons": dg.MetadataValue.json(dict(counts))} if counts else {}


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
            "rejected": float(sum(not row.accepted for row in rows)),
            "simulated": float(sum(row.source == SIMULATED for row in rows)),
            "megabytes": rounded(sum(row.file_bytes for row in rows) / _MIB),
            **_reasons(row.reason for row in rows),
            "manifest": listed(
                (
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
                        "image_sha256": _hash_of(row),
                        **_of_origin(row),
                    }
                    for row in sorted(rows, key=lambda row: row.accepted)
                ),
                MANIFEST,
            ),
            "pictures": plots.thumbnails(pictures),
        },
        data_version=dg.DataVersion(manifest.sha256),
    )


def _hash_of(row: ImageRow) -> str | None:
    """Return what an image is found by, unless its name has it, as those of feeds do."""
    short = row.image_sha256[:_SHORT_HASH]
    return None if short in row.file else short


def _of_origin(row: ImageRow) -> dict[str, str | None]:
    """Return the columns that an image fetched by a feed has beside the others: where from, and whose it is."""
    if row.origin is None:
        return {}
    texts = {"url": row.origin.url, "fetched": row.origin.fetched_at, "instrument": row.origin.instrument}
    return texts | {"credit line": row.origin.credit, "licence": row.origin.licence}


def _titled(row: ImageRow) -> str:
    """Return what stands over the picture of an image: a mock sky can look like a real one."""
    return f"{SIMULATED}: {row.file}" if row.source == SIMULATED else row.file


def _thumbnail(image_sha256: str, images: ImageStore, intake: Intake) -> Any:
    try:
        frame = decode(images.get(image_sha256), limits=intake.limits, reading=recipe_named(intake.recipe).reading)
    except ImageRejected:
        return None
    step = -(-max(frame.pixels.shape) // plots.LONGEST_SIDE)
    return plots.means_of(frame.pixels[0], step)


def noise_arrays(batch: Batch, rows: tuple[NoiseRow, ...], ledger: Ledger) -> dg.MaterializeResult[Any]:
    """Show what the noise is worth: one row per image, the map of its live area, and what its sensor repeats."""
    accepted = [row for row in rows if row.accepted]
    sources = {row.image_sha256: row.source for row in Manifest.of(batch).rows}
    return dg.MaterializeResult(
        metadata={
            "accepted": float(len(accepted)),
            "rejected": float(len(rows) - len(accepted)),
            "credit_kilobits": sum(row.credit_bits for row in accepted) / 1000,
            "samples": float(sum(row.samples for row in accepted)),
            "lowest_min_entropy": rounded(min((row.min_entropy for row in accepted), default=0.0)),
            **_reasons(row.reason for row in rows),
            "computed_by": "; ".join(f"{what}: {images} images" for what, images in computed_by(batch).items()),
            "assessment": listed(
                (
                    {
                        "file": row.file,
                        "accepted": row.accepted,
                        "reason": row.reason,
                        "detail": row.detail,
                        "live": f"{row.live_fraction:.0%}",
                        "samples": row.samples,
                        "bits per sample": row.min_entropy,
                        "limited by": row.assessment.get("limited_by"),
                        "source": sources.get(row.image_sha256),
                        "claim, bits per sample": row.assessment.get("caps", {}).get("claim"),
                        "shared with others": _shared(row),
                        "credit, bits": row.credit_bits,
                    }
                    for row in sorted(rows, key=lambda row: row.accepted)
                ),
                NOISE,
            ),
            "sensors": listed(_sensor_rows(accepted, ledger), NOISE),
            "live_area": plots.live_areas(
                list(islice(live_maps(batch), plots.MAX_PICTURES)),
                [verdict.name.lower().replace("_", " ") for verdict in Verdict],
            ),
        },
        data_version=dg.DataVersion(sha256_of_json([row.noise_sha256 for row in accepted])),
    )


def _shared(row: NoiseRow) -> str | None:
    """Return what an image shares with those before it, in words; the sensors tell how many of its own these are."""
    before = recollections_of_row(row.assessment["memory"]) if "memory" in row.assessment else []
    found_nothing = before and all(each.frames and each.of is None for each in before)
    return "nothing" if found_nothing and row.assessment["limited_by"] not in LIMITS else row.assessment.get("repeats")


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
    spent = sum(record.credit_bits for record in hashed.records)
    return dg.MaterializeResult(
        metadata={
            "blocks": float(len(hashed)),
            "credit_spent_kilobits": spent / 1000,
            "bits_out_per_credit_bit": rounded(hashed.blocks.size * 8 / spent if spent else 0.0),
            "chain_head": hashed.chain_head,
            "recipe": batch.intake.recipe,
            "credit_by_image": plots.credit_by_image(credits),
        },
        data_version=dg.DataVersion(hashed.chain_head),
    )


def lowest(records: Sequence[BlockRecord], p_values: NDArray[np.float64]) -> dg.MarkdownMetadataValue:
    """Show the blocks of the lowest P-values of one test."""
    order = np.argsort(p_values, kind="stable")
    return listed(({"block_id": records[n].block_id, "P-value": float(p_values[n])} for n in order), RECORDS)


def validated_blocks(batch: Batch, validation: Validation) -> dg.MaterializeResult[Any]:
    """Show the verdicts."""
    verdicts, records = validation.examination.verdicts, validation.hashed.records
    released = set(validation.released)
    return dg.MaterializeResult(
        metadata={
            "released": float(len(released)),
            "rejected": float(len(records) - len(released)),
            "lowest_p_star": rounded(np.min(verdicts.p_star, initial=1.0)),
            "mean_quality": rounded(np.mean(validation.quality)) if records else 0.0,
            "verdicts": listed(
                (
                    {
                        "block_id": records[position].block_id,
                        "released": position in released,
                        "p*": rounded(verdicts.p_star[position], 2),
                        "score": float(verdicts.score[position]),
                        "quality": validation.quality[position],
                    }
                    for position in sorted(range(len(records)), key=lambda position: verdicts.p_star[position])
                ),
                VERDICTS,
            ),
            "p_values": plots.p_values(verdicts.p_values, 1e-6),
        },
        data_version=dg.DataVersion(sha256_of_json([records[position].block_id for position in validation.released])),
    )


def published_blocks(batch: Batch, publication: PublishedBatch, ledger_head: str) -> dg.MaterializeResult[Any]:
    """Show what entered the pool, and the ledger's head after it; the pool's depth after it is observed of the pool."""
    return dg.MaterializeResult(
        metadata={
            "newly_published": publication.newly_published,
            "pushed": float(publication.pushed),
            "refused_by_pool": float(publication.refused),
            "depth_before": float(publication.depth_before),
            "ledger_head": ledger_head,
        },
        data_version=dg.DataVersion(ledger_head),
    )
