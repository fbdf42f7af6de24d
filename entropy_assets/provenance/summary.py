"""What became of a batch, for people: its images with their verdicts, its blocks in numbers. Never their bytes."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from entropy_assets.stages.extraction import NoiseRow, noise_rows
from entropy_assets.stages.ingest import ImageRow, Manifest
from entropy_assets.stores.batches import Batch

State = Literal["working", "validated", "published", "rejected"]
SIMULATED: Final = "simulated"
MOST_IMAGES: Final = 64
MOST_BLOCKS: Final = 8
"""Images and released blocks of a batch that its summary names; it counts all."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def utc_text(time_us: int) -> str:
    """Return a time in microseconds since 1970 as ISO 8601, UTC, to the second."""
    return (_EPOCH + timedelta(microseconds=time_us)).isoformat(timespec="seconds")


def batch_summary(batch: Batch) -> dict[str, Any]:
    """Return what is known of a batch that may still be at work, as JSON-able fields.

    ``state`` is ``working`` until the last stage has said something, ``validated`` when blocks are released and
    ``rejected`` when none is; whoever knows the ledger knows which were published.

    Raises
    ------
    BatchError
        If a file of the batch is damaged.
    """
    images = list(_images(batch))
    verdicts = batch.read_json("verdicts.json", made_by="validated_blocks") if batch.has("verdicts.json") else None
    return {
        "key": batch.key,
        "source": batch.intake.source,
        "recipe": batch.intake.recipe,
        "time": utc_text(batch.intake.timestamp_us),
        "state": _state(images, verdicts),
        "simulated": any(image["simulated"] for image in images),
        "images": images[:MOST_IMAGES],
        "image_count": len(images),
        "accepted_images": sum(image["accepted"] is True for image in images),
        **_block_counts(verdicts),
    }


def _images(batch: Batch) -> Iterator[dict[str, Any]]:
    """Yield one row per file of the batch, as far as it was looked at; ``accepted`` is None until that is known."""
    seen: Iterable[ImageRow | None] = [None] * len(batch.intake.files)
    if batch.has("manifest.json"):
        seen = Manifest.of(batch).rows
    noise = iter(noise_rows(batch)) if batch.has("noise.json") else None
    for file, row in zip(batch.intake.files, seen, strict=True):
        assessed = next(noise, None) if noise and row and row.accepted else None
        source = row.source if row else batch.intake.source
        yield {
            "file": file.file,
            "image_sha256": file.image_sha256,
            "simulated": source == SIMULATED,
            **_outcome(row, assessed),
        }


def _outcome(seen: ImageRow | None, assessed: NoiseRow | None) -> dict[str, Any]:
    last = assessed or (seen if seen and not seen.accepted else None)
    return {
        "accepted": last and last.accepted,
        "reason": last and last.reason,
        "detail": last and last.detail,
        "credit_bits": assessed.credit_bits if assessed else 0,
        "min_entropy": assessed.min_entropy if assessed else 0.0,
    }


def _state(images: list[dict[str, Any]], verdicts: dict[str, Any] | None) -> State:
    if verdicts is not None:
        return "validated" if verdicts["released"] else "rejected"
    return "rejected" if all(image["accepted"] is False for image in images) else "working"


def _block_counts(verdicts: dict[str, Any] | None) -> dict[str, Any]:
    """Count the blocks; `failed_tests` names the tests for which a whole batch was refused."""
    rows = verdicts["rows"] if verdicts else []
    passed = sum(bool(row["passed"]) for row in rows)
    tests = verdicts["report"]["tests"] if verdicts else {}
    return {
        "blocks": len(rows),
        "passed": passed,
        "rejected": len(rows) - passed,
        "block_ids": verdicts["released"][:MOST_BLOCKS] if verdicts else [],
        "failed_tests": sorted(name for name, test in tests.items() if not test["passed"]),
    }
