"""What is released for publication: the blocks whose chain and tests hold when everything is looked at again.

Nothing here trusts what an earlier stage said of its own work. The checks in the Dagster UI, `validated_blocks` and
`published_blocks` all come through here, so a bad batch is refused whichever way it is run.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from entropy_assets.core.conditioning.records import BlockRecord
from entropy_assets.core.validation.second_level import BatchReport, batch_report
from entropy_assets.core.validation.validator import EntropyValidator
from entropy_assets.core.validation.verdicts import BlockVerdicts
from entropy_assets.errors import BlockRefused
from entropy_assets.stages.assessments import NoiseRow, noise_rows
from entropy_assets.stages.conditioning import HashedBlocks, read_blocks
from entropy_assets.stages.verdicts import VerdictRow, Verdicts, verdicts_of
from entropy_assets.stores.batches import VERDICTS, Batch


@dataclass(frozen=True, slots=True)
class Examination:
    """The results of every test on every block of a batch, and what they say of the batch as a whole."""

    verdicts: BlockVerdicts
    report: BatchReport


def examine_blocks(hashed: HashedBlocks) -> Examination:
    """Run the four tests on every block, and the batch tests of SP 800-22 4.2 on their P-values."""
    verdicts = EntropyValidator().validate_blocks(hashed.blocks)
    return Examination(verdicts, batch_report(verdicts))


def noise_score(min_entropy: float) -> float:
    """Return the noise score of an image, 0 to 10, from its min-entropy in bits per sample: 10 from 4 bits upwards."""
    return min(10.0, 2.5 * min_entropy)


def verdict_again(data: bytes, record: BlockRecord, noise: Iterable[NoiseRow]) -> dict[str, Any]:
    """Return the row of one block in the verdicts of its batch, made from its bytes and the noise of all its images."""
    verdict = EntropyValidator().validate(data)
    behind = [row.min_entropy for row in noise if row.accepted and row.image_sha256 in record.image_sha256s]
    quality = min(verdict["score"], *map(noise_score, behind))
    return verdict | {"block_id": record.block_id, "quality": quality}


@dataclass(frozen=True, slots=True)
class Validation:
    """The verdicts of a batch and which of its blocks are released.

    Attributes
    ----------
    released
        Positions of the blocks that may be published.
    quality
        Quality of every block, 0 to 10: the lower of its test score and the noise score of its images.
    """

    hashed: HashedBlocks
    examination: Examination
    released: tuple[int, ...]
    quality: tuple[float, ...]


def validate(batch: Batch) -> Validation:
    """Walk the chain again, run every test again, and say which blocks are released: none, if the batch fails.

    Raises
    ------
    ChainBroken
        If a block or record is not what the noise gives.
    """
    hashed = read_blocks(batch)
    examination = examine_blocks(hashed)
    noise = {row.image_sha256: noise_score(row.min_entropy) for row in noise_rows(batch) if row.accepted}
    verdicts = examination.verdicts
    quality = tuple(
        min(float(score), *(noise[image] for image in record.image_sha256s))
        for score, record in zip(verdicts.score, hashed.records, strict=True)
    )
    passed = verdicts.passed & examination.report.passed
    return Validation(hashed, examination, tuple(np.flatnonzero(passed).tolist()), quality)


def refuse_if_failed(batch: Batch, validation: Validation) -> None:
    """Raise if the batch fails as a whole.

    Raises
    ------
    BlockRefused
        With the tests that failed.
    """
    failed = validation.examination.report.failed_tests
    if failed:
        raise BlockRefused(
            f"batch {batch.key} fails {', '.join(failed)} and none of its blocks is released",
            batch=batch.key,
            failed=list(failed),
        )


def validate_blocks(batch: Batch) -> Validation:
    """Keep the verdict on every block of the batch, and then refuse the batch if it fails as a whole.

    A published batch keeps the report by which it was released.

    Raises
    ------
    ChainBroken
        As `validate`; then nothing is kept.
    BlockRefused
        If the batch fails; its verdicts are kept, with no block released.
    """
    validation = validate(batch)
    kept = _kept(validation)
    if batch.frozen and batch.has(VERDICTS):
        # it was published by the report of then; a later version may work out its numbers in another way
        kept["report"] = verdicts_of(batch)["report"]
    batch.write_json(VERDICTS, kept)
    refuse_if_failed(batch, validation)
    return validation


def _kept(validation: Validation) -> Verdicts:
    """Return what is kept of `validation`."""
    rows = validation.examination.verdicts.to_rows()
    for row, record, quality in zip(rows, validation.hashed.records, validation.quality, strict=True):
        row.update(block_id=record.block_id, quality=quality)
    return Verdicts(
        chain_head=validation.hashed.chain_head,
        released=[validation.hashed.records[position].block_id for position in validation.released],
        report=validation.examination.report.to_row(),
        rows=cast(list[VerdictRow], rows),
    )
