"""What ledger and batches tell of a published block, and of the newest batches. Never bytes of a block."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Self, TypedDict, cast

from entropy_assets.core.conditioning.records import BlockRecord
from entropy_assets.errors import BatchError
from entropy_assets.provenance.freshness import Freshness, SupplyAges
from entropy_assets.provenance.reveal import Reveal, reveal_of, sentence_of
from entropy_assets.provenance.summary import SIMULATED, BatchSummary, batch_summary
from entropy_assets.provenance.waiting import Waiting
from entropy_assets.recipe import recipe_named
from entropy_assets.sources.feeds.facts import doubts_of, facts_of_asked, figures_of
from entropy_assets.sources.feeds.journal import FeedJournals
from entropy_assets.stages.assessments import NoiseRow, noise_rows
from entropy_assets.stages.manifest import HashedRow, ImageRow, Manifest, binding_of, hashed_row
from entropy_assets.stages.state import naming_damage
from entropy_assets.stages.verdicts import VerdictRow, verdicts_of
from entropy_assets.stores.batches import INTAKE, MANIFEST, NOISE, RECORDS, VERDICTS, Batch, BatchStore, thumbnail_of
from entropy_assets.stores.blobs.refusals import BlobUnreadable, StoreError
from entropy_assets.stores.home import Home
from entropy_assets.stores.images import ImageStore
from entropy_assets.stores.lanes import DEFAULT_TTL_S, Fate, Lane
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import PublishedBlock
from entropy_assets.stores.removals import BatchRemoved

MOST_THUMBNAIL_BYTES: Final = 1 << 16
"""Largest thumbnail that is shown, bytes: 128 x 128 pixels of three colours and what PNG adds."""


class PublishedFields(TypedDict):
    """What the ledger tells of a published block and its publication."""

    block_id: str
    block_sha256: str
    link: str
    index: int
    batch: str
    run_id: str
    chain_head: str
    ledger_link: str
    published_at_us: int


class RecordFields(TypedDict):
    """What the record of a block tells, beyond what the ledger has of it."""

    recipe: str
    timestamp_us: int
    previous_link: str
    manifest_sha256: str
    credit_bits: int
    slices: list[list[int]]
    block_nonce: str


class LimitFields(TypedDict):
    """Limits that decided which files of a batch were refused: bytes of a file, pixels of a plane."""

    max_file_bytes: int
    max_pixels: int


class ImageOfBatch(TypedDict):
    """A readable image of a batch, where it was sampled, and what its noise was worth.

    ``reason`` says why it has no credit, None if it has; ``in_block`` whether its noise is in the block that is asked
    for; ``memory`` what the frames before it show of its noise (`Recollection`), None where nobody looked; ``origin``
    where a feed fetched it, as the batch has it (`Origin`), None if no feed brought it.
    """

    file: str
    image_sha256: str
    pixel_sha256: str | None
    source: str
    sampling_nonce: str | None
    noise_sha256: str | None
    samples: int
    min_entropy: float
    credit_bits: int
    reason: str | None
    memory: dict[str, Any] | None
    in_block: bool
    origin: dict[str, str] | None


class BlockProvenance(PublishedFields, RecordFields):
    """Where a published block comes from, and all that is needed to make it again, but for the images.

    It tells the nonces of this block alone and of the images, which all blocks of the batch have in common; never the
    seed of the batch, with which the nonces of its other blocks could be made.

    Attributes
    ----------
    declared_source
        Source that was declared for the batch; a file may say of itself that it is simulated.
    manifest
        What the hash of the manifest covers, in its order.
    images
        One for each readable image of the manifest, in its order: from their credit follows what each block hashes.
    """

    declared_source: str
    limits: LimitFields
    manifest: list[HashedRow]
    images: list[ImageOfBatch]
    verdict: VerdictRow


class UnrevealedProvenance(PublishedFields, Reveal):
    """What is told of a block before it reveals: what the ledger has, and in ``problem`` why there is no more.

    ``simulated`` says whether a simulated camera is behind some of its batch, as a draw from it does.
    """

    recipe: str
    simulated: bool
    problem: str


class DamagedProvenance(PublishedFields):
    """What is left when a file of the batch is missing or damaged: ``problem`` names it."""

    problem: str


class RemovedFields(TypedDict):
    """When a batch was removed (ISO 8601, UTC), why, and what it was of."""

    at: str
    why: str
    recipe: str
    lane: Lane


class RemovedProvenance(PublishedFields):
    """What is left when retention has removed the batch: what the ledger has, and in ``problem`` that in words."""

    removed: RemovedFields
    problem: str


class DamagedBatch(TypedDict):
    """A batch that can't be read."""

    key: str
    problem: str


class Trail:
    """The way from a block to its images.

    Parameters
    ----------
    ledger, batches, images
        Where it leads along.
    waiting
        What waits before it; None where the inboxes are nobody's concern.
    life_s
        Life of a block in the pool, seconds: a block of which the pool knows nothing counts as unserved for so long.
    clock
        Seconds since 1970.
    feeds
        What is remembered of the feeds; None where they are nobody's concern.
    """

    def __init__(
        self,
        ledger: Ledger,
        batches: BatchStore,
        images: ImageStore,
        waiting: Waiting | None = None,
        life_s: float = DEFAULT_TTL_S,
        clock: Callable[[], float] = time.time,
        feeds: FeedJournals | None = None,
    ) -> None:
        self.ledger = ledger
        self.batches = batches
        self.images = images
        self._life_s = life_s
        self._clock = clock
        self._ages = Freshness(batches, ledger)
        self._waiting = waiting
        self._feeds = feeds

    @classmethod
    def of(cls, home: Home, waiting: Waiting | None = None, life_s: float = DEFAULT_TTL_S) -> Self:
        """Return the way through the stores of `home`, which only reads them."""
        feeds = FeedJournals(home.feeds())
        return cls(home.ledger(readonly=True), home.batches(), home.images(), waiting, life_s, feeds=feeds)

    def freshness(self) -> SupplyAges:
        """Return how old the newest image, block and failed health test are, what waits, and what feeds yield."""
        ages = self._ages.now()
        if self._waiting is not None:
            ages["doubts"] = [*ages["doubts"], *self._waiting.doubts()]
        if self._feeds is not None:
            now = self._clock()
            try:
                told = facts_of_asked(self._feeds, now)
            except StoreError:  # the ages tell of it: batches lie there too
                told = []
            figures, credited = figures_of(told, now), ages["feeds"]
            ages["feeds"] = {
                feed: figures.get(feed, {}) | credited.get(feed, {}) for feed in sorted({*figures, *credited})
            }
            ages["doubts"] = [*ages["doubts"], *doubts_of(told, now)]
        return ages

    def tell(self, block_id: str, fate: Fate | None) -> Mapping[str, object] | None:
        """Return what everybody may know of a published block; None if no such block was published.

        That is what `find` returns, once the block revealed; before that an `UnrevealedProvenance`.

        Parameters
        ----------
        block_id
            The block.
        fate
            Where the pool says that it is; None if the pool does not answer.
        """
        published = self.ledger.find_block(block_id)
        if published is None:
            return None
        try:
            batch = self.batches.batch(published.publication.batch_key)
            with naming_damage(batch, INTAKE.file):
                intake, recipe = batch.intake, recipe_named(batch.intake.recipe)
            with naming_damage(batch, MANIFEST.file):
                self._require_bound(batch)
            reveal = reveal_of(
                intake.lane,
                fate,
                has_own_nonce=recipe.block_nonces,
                age_s=self._clock() - published.publication.published_at_us / 1e6,
                life_s=self._life_s,
            )
            if reveal["revealed"]:
                return {**self.provenance_of(published), **reveal}
            with naming_damage(batch, MANIFEST.file):
                simulated = any(row.source == SIMULATED for row in Manifest.of(batch).rows)
        except BatchError as error:
            return _without_batch(published, error)
        why = sentence_of(reveal, fate.state if fate else None)
        told: UnrevealedProvenance = {
            **_of_ledger(published),
            **reveal,
            "recipe": intake.recipe,
            "simulated": simulated,
            "problem": why,
        }
        return told

    def _require_bound(self, batch: Batch) -> None:
        """Raise `BatchError` unless the ledger binds a published batch to its intake, whose lane decides what is told.

        Who may write to the batches alone must not make a private block reveal.
        """
        if self.ledger.binding_of(batch.key) != binding_of(batch):
            raise BatchError(
                f"intake and manifest of batch {batch.key} are not those that the ledger binds it to", batch=batch.key
            )

    def thumbnail(self, block_id: str, image_sha256: str, fate: Fate | None) -> bytes | None:
        """Return a small picture of an image behind a block as PNG, once the block revealed; None if there is none.

        Before that no picture of it is shown, and a private block never reveals.
        """
        told = self.tell(block_id, fate)
        if told is None or "images" not in told:
            return None
        images = cast(list[ImageOfBatch], told["images"])
        if not any(image["in_block"] and image["image_sha256"] == image_sha256 for image in images):
            return None
        try:
            return self.batches.batch(str(told["batch"])).read_picture(thumbnail_of(image_sha256), MOST_THUMBNAIL_BYTES)
        except BatchError:
            return None

    def find(self, block_id: str) -> BlockProvenance | DamagedProvenance | RemovedProvenance | None:
        """Return what is known here of a published block, without its bytes; None if no such block was published.

        It is for who may read the batches anyway: it tells where a block was sampled before that reveals.
        """
        published = self.ledger.find_block(block_id)
        if published is None:
            return None
        try:
            return self.provenance_of(published)
        except BatchError as error:
            return _without_batch(published, error)

    def provenance_of(self, published: PublishedBlock) -> BlockProvenance:
        """Return what `find` tells of a block that the ledger has.

        Raises
        ------
        BatchError
            If a file of its batch is missing or damaged.
        """
        batch, index = self.batches.batch(published.publication.batch_key), published.block.index
        with naming_damage(batch, INTAKE.file):
            intake = batch.intake
        with naming_damage(batch, RECORDS.file):
            record = BlockRecord.from_row(batch.read_json(RECORDS)["rows"][index])
        with naming_damage(batch, VERDICTS.file):
            verdict = cast(VerdictRow, dict(verdicts_of(batch)["rows"][index]))
        with naming_damage(batch, MANIFEST.file):
            seen = Manifest.of(batch).rows
        with naming_damage(batch, NOISE.file):
            readable = zip((row for row in seen if row.accepted), noise_rows(batch), strict=True)
            images = [_of_image(row, noise, record) for row, noise in readable]
        return {
            **_of_ledger(published),
            **_of_record(record),
            "declared_source": intake.source,
            "limits": {"max_file_bytes": intake.max_file_bytes, "max_pixels": intake.max_pixels},
            "manifest": [hashed_row(row) for row in seen],
            "images": images,
            "verdict": verdict,
        }

    def recent(self, limit: int) -> list[BatchSummary | DamagedBatch]:
        """Return what became of the newest batches, newest first; one that can't be read names its problem."""
        return [self._summary(batch) for batch in self.batches.newest(limit)]

    def _summary(self, batch: Batch) -> BatchSummary | DamagedBatch:
        try:
            with naming_damage(batch):
                return batch_summary(batch, self.ledger)
        except BatchError as error:
            return {"key": batch.key, "problem": error.message}
        except BlobUnreadable as error:
            return {"key": batch.key, "problem": error.public_message}


def _of_ledger(published: PublishedBlock) -> PublishedFields:
    block, publication = published.block, published.publication
    return {
        "block_id": block.block_id,
        "block_sha256": block.block_sha256,
        "link": block.link,
        "index": block.index,
        "batch": publication.batch_key,
        "run_id": publication.run_id,
        "chain_head": publication.chain_head,
        "ledger_link": publication.ledger_link,
        "published_at_us": publication.published_at_us,
    }


def _without_batch(published: PublishedBlock, error: BatchError) -> DamagedProvenance | RemovedProvenance:
    removal = error.removal if isinstance(error, BatchRemoved) else None
    if removal is None:
        return {**_of_ledger(published), "problem": error.message}
    return {
        **_of_ledger(published),
        "removed": {"at": removal.removed_at, "why": removal.why, "recipe": removal.recipe, "lane": removal.lane},
        "problem": f"{error.message}; the ledger still binds the SHA-256 of the block and its link",
    }


def _of_record(record: BlockRecord) -> RecordFields:
    return {
        "recipe": record.recipe,
        "timestamp_us": record.timestamp_us,
        "previous_link": record.previous_link,
        "manifest_sha256": record.manifest_sha256,
        "credit_bits": record.credit_bits,
        "slices": [list(each) for each in record.slices],
        "block_nonce": record.nonce,
    }


def _of_image(seen: ImageRow, noise: NoiseRow, record: BlockRecord) -> ImageOfBatch:
    return {
        "file": noise.file,
        "image_sha256": noise.image_sha256,
        "pixel_sha256": seen.pixel_sha256,
        "source": seen.source,
        "sampling_nonce": noise.nonce,
        "noise_sha256": noise.noise_sha256,
        "samples": noise.samples,
        "min_entropy": noise.min_entropy,
        "credit_bits": noise.credit_bits,
        "reason": noise.reason,
        "memory": noise.assessment.get("memory"),
        "in_block": noise.accepted and noise.image_sha256 in record.image_sha256s,
        "origin": seen.origin.told() if seen.origin else None,
    }
