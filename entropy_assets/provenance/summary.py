"""What became of a batch, for people: its images with their verdicts, its blocks in numbers. Never their bytes."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypedDict

from entropy_assets.core.advice import advice_on
from entropy_assets.stages.assessments import noise_rows
from entropy_assets.stages.manifest import ImageRow, Manifest
from entropy_assets.stages.state import BatchState, Stage, state_of
from entropy_assets.stages.verdicts import Verdicts, verdicts_of
from entropy_assets.stores.batches import MANIFEST, NOISE, Batch
from entropy_assets.stores.lanes import Lane
from entropy_assets.stores.ledger.record import Ledger

ShownState = Literal["working", "validated", "published", "rejected"]
"""`BatchState` in one word for people. A batch counts as rejected as soon as none of its images is left."""
SIMULATED: Final = "simulated"
MOST_IMAGES: Final = 64
MOST_BLOCKS: Final = 8
"""Images and published blocks of a batch that its summary names; it counts all."""
LONGEST_LINE: Final = 300
"""Longest line on whose an image is, characters: a server may choose it, and everybody may ask for 50 batches."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ImageSummary(TypedDict):
    """What became of one file; ``accepted`` is None until that is known.

    ``credit_line`` and ``licence`` must be shown with an image that a feed brought. Where it was fetched is told with a
    block that revealed alone.
    """

    file: str
    image_sha256: str
    simulated: bool
    accepted: bool | None
    reason: str | None
    detail: str | None
    advice: str | None
    credit_bits: int
    min_entropy: float
    credit_line: str | None
    licence: str | None


class BlockCounts(TypedDict):
    """The blocks in numbers; ``failed_tests`` names the tests for which the whole batch was refused."""

    blocks: int
    passed: int
    rejected: int
    block_ids: list[str]
    failed_tests: list[str]


class BatchSummary(BlockCounts):
    """What became of a batch. Its times are ISO 8601; ``block_ids`` are those of published blocks."""

    key: str
    source: str
    recipe: str
    lane: Lane
    time: str
    state: ShownState
    simulated: bool
    images: list[ImageSummary]
    image_count: int
    accepted_images: int
    published_at: str | None
    published_blocks: int


def utc_text(time_us: int) -> str:
    """Return a time in microseconds since 1970 as ISO 8601, UTC, to the second."""
    return (_EPOCH + timedelta(microseconds=time_us)).isoformat(timespec="seconds")


def batch_summary(batch: Batch, ledger: Ledger) -> BatchSummary:
    """Return what is known of a batch that may still be at work.

    Raises
    ------
    BatchError
        If a file of the batch is damaged.
    LedgerError
        If the ledger can't be read.
    """
    state = state_of(batch, ledger)
    images = list(_images(batch))
    publication = state.publication
    return {
        "key": batch.key,
        "source": batch.intake.source,
        "recipe": batch.intake.recipe,
        "lane": batch.intake.lane,
        "time": utc_text(batch.intake.timestamp_us),
        "state": _shown(state, images),
        "simulated": any(image["simulated"] for image in images),
        "images": images[:MOST_IMAGES],
        "image_count": len(images),
        "accepted_images": sum(image["accepted"] is True for image in images),
        **_block_counts(
            verdicts_of(batch) if state.stage is Stage.VALIDATED else None,
            # by the ledger: whoever changes the verdicts afterwards does not decide what is called published
            [block.block_id for block in ledger.published_blocks(batch.key, MOST_BLOCKS)] if publication else [],
        ),
        "published_at": utc_text(publication.published_at_us) if publication else None,
        "published_blocks": publication.block_count if publication else 0,
    }


def _images(batch: Batch) -> Iterator[ImageSummary]:
    """Yield one row per file of the batch, as far as it was looked at."""
    seen: Iterable[ImageRow | None] = [None] * len(batch.intake.files)
    if batch.has(MANIFEST):
        seen = Manifest.of(batch).rows
    noise = iter(noise_rows(batch)) if batch.has(NOISE) else None
    for file, row in zip(batch.intake.files, seen, strict=True):
        assessed = next(noise, None) if noise and row and row.accepted else None
        last = assessed or (row if row and not row.accepted else None)
        yield {
            "file": file.file,
            "image_sha256": file.image_sha256,
            "simulated": (row.source if row else batch.intake.source) == SIMULATED,
            "accepted": last.accepted if last else None,
            "reason": last.reason if last else None,
            "detail": last.detail if last else None,
            "advice": advice_on(last.reason) if last else None,
            "credit_bits": assessed.credit_bits if assessed else 0,
            "min_entropy": assessed.min_entropy if assessed else 0.0,
            "credit_line": _line(file.origin.credit) if file.origin else None,
            "licence": _line(file.origin.licence) if file.origin else None,
        }


def _line(text: str | None) -> str | None:
    return text if text is None or len(text) <= LONGEST_LINE else f"{text[: LONGEST_LINE - 1]}…"


def _shown(state: BatchState, images: list[ImageSummary]) -> ShownState:
    if state.publication is not None:
        return "published"
    if state.awaits_publication:
        return "validated"
    none_is_left = all(image["accepted"] is False for image in images)
    return "rejected" if state.is_rejected or none_is_left else "working"


def _block_counts(verdicts: Verdicts | None, published: list[str]) -> BlockCounts:
    rows = verdicts["rows"] if verdicts else []
    passed = sum(bool(row["passed"]) for row in rows)
    tests = verdicts["report"]["tests"] if verdicts else {}
    return {
        "blocks": len(rows),
        "passed": passed,
        "rejected": len(rows) - passed,
        "block_ids": published,
        "failed_tests": sorted(name for name, test in tests.items() if not test["passed"]),
    }
