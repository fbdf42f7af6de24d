"""Validated blocks into ledger and pool. The order is the promise: ledger first, so no block enters the pool twice."""

from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from dataclasses import dataclass

from entropy_assets.errors import BatchError, BlockRefused, ClaimRefused, LedgerError
from entropy_assets.stages.assessments import noise_rows
from entropy_assets.stages.manifest import Manifest, binding_of
from entropy_assets.stages.state import (
    Stage,
    keep_newest_receipt,
    keep_receipt,
    known_publications,
    losses_told,
    naming_damage,
    passing_over_damage,
    refuse_what_a_run_lost,
    state_of,
)
from entropy_assets.stages.validation import Validation, refuse_if_failed, validate
from entropy_assets.stages.verdicts import verdicts_of
from entropy_assets.stores.batches import INTAKE, MANIFEST, NOISE, RECEIPT, RECORDS, VERDICTS, Batch, BatchStore
from entropy_assets.stores.blobs.folder import refuse_if_full
from entropy_assets.stores.home import Home
from entropy_assets.stores.ledger.anchors import Anchor, lacking, refuse_if_behind
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import BURNED, NO_LINK, LedgerBlock
from entropy_assets.stores.ledger.storage import LedgerPromoted
from entropy_assets.stores.pool.blocks import PoolBlock, ShardState
from entropy_assets.stores.pool.shards import AnyPool, first_with_room
from entropy_assets.stores.removals import removal_of, removed_keys

Remember = Callable[[Batch, str], object]
"""Remembers what an image of a batch shows, by its SHA-256."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedBatch:
    """What publishing a batch did.

    Attributes
    ----------
    newly_published
        False if the ledger knew the batch already; then nothing was pushed.
    pushed
        Blocks that entered the pool.
    refused
        Blocks that the pool refused: there or consumed already, or expired before they came.
    depth_before, depth_after
        Blocks ready in the pool, before and after.
    shards
        What each of several pools said afterwards.
    """

    newly_published: bool
    pushed: int
    refused: int
    depth_before: int
    depth_after: int
    shards: tuple[ShardState, ...] = ()


def publish_batch(
    batch: Batch, ledger: Ledger, pool: AnyPool, *, run_id: str, now_us: int, anchors: Iterable[Anchor] = ()
) -> PublishedBatch:
    """Publish the released blocks of `batch`, once.

    Everything is verified and tested again from what is stored, whatever earlier runs said. A crash after the append
    to the ledger loses the blocks that were not pushed yet; nothing ever pushes them again. Of several shards one that
    has room is chosen before that, and no other one is ever offered these blocks: only who made the batch's row in the
    ledger pushes, and if that fails nobody does.

    Parameters
    ----------
    anchors
        What others know of the ledger, beside the receipts of the batches and the pool's server, which are asked here.

    Raises
    ------
    BlockRefused
        If the batch fails its tests now, differs from what was validated, or was made deterministically. Or if it was
        written to meanwhile: then it may be in the ledger, and nothing of it is pushed.
    ClaimRefused
        If an image behind its blocks was not spent by this batch, or its intake is not the one they were spent for.
    LedgerBehind
        If the ledger lacks a publication that somebody knows of; nothing was written then.
    PoolUnavailable
        If the pool doesn't answer, or has no room for the batch. Nothing was written then: a retry publishes.
    BlocksLost
        If what comes after the append to the ledger failed. A retry would find the batch in the ledger, and be content.
    """
    takers = pool.takers(batch.intake.lane)  # before all that takes time: by then everybody may make these blocks again
    documents = _digests(batch)
    validation = validate(batch)
    refuse_if_failed(batch, validation)
    _refuse_if_changed(batch, validation)
    _refuse_if_known_beforehand(batch)
    before = pool.depth().blocks
    batches = BatchStore(batch.blobs)
    known = [*anchors, *known_publications(batches).values(), *_told_to(pool)]
    refuse_if_behind(ledger, known)
    keep_newest_receipt(batches, ledger)
    _refuse_unspent(batch, ledger, validation)
    blocks = _pool_blocks(batch, validation)
    refuse_if_full(batch.blobs, batch.key)  # the receipt comes after the append, and the push after the receipt
    shard, latest_ms = first_with_room(takers, blocks)
    # By the clock that is ahead: should the pool forget a block, it counts as served by its age from here on.
    published_us = max(now_us, (latest_ms - shard.life_ms) * 1000)
    newly_published = _append(batch, ledger, validation, run_id, published_us)
    with losses_told(batch, len(blocks)) if newly_published else nullcontext():
        publication = ledger.publication_of(batch.key)
        if publication is not None:
            keep_receipt(batch, publication)
        if publication is None or not newly_published:
            refuse_what_a_run_lost(publication, run_id)
            return PublishedBatch(newly_published=False, pushed=0, refused=0, depth_before=before, depth_after=before)
        # From the receipt on the batch stays as it is. Another worker may have made it anew before: then what is in the
        # ledger can't be walked back from what is kept.
        if _digests(batch) != documents:
            raise BlockRefused(
                f"batch {batch.key} was written to while it was published: nothing is pushed", batch=batch.key
            )
        known += _told_to(pool)
        pool.keep_ledger_link(publication.ledger_link, publication.seq)
        # Once more, by its name: a row that went into a file that was removed or replaced meanwhile is nowhere. With
        # what the pool was told meanwhile: two servers that both took themselves for the ledger's learn of each other
        # here. By the receipt, which is made once: of two publishers with a ledger each, one finds the other's and
        # pushes nothing.
        kept = Anchor(str(batch.read_json(RECEIPT).get("ledger_link")), f"the receipt of batch {batch.key}")
        named = Anchor(publication.ledger_link, f"batch {batch.key}")
        refuse_if_behind(ledger, [*known, *_told_to(pool), named, kept])
        outcome = shard.push(blocks, latest_ms=latest_ms)
    after = pool.stats()
    return PublishedBatch(
        newly_published=True,
        pushed=len(outcome.pushed),
        refused=len(outcome.refused),
        depth_before=before,
        depth_after=after.blocks,
        shards=after.shards,
    )


def _digests(batch: Batch) -> list[str]:
    return [batch.digest(document) for document in (INTAKE, MANIFEST, NOISE, RECORDS, VERDICTS)]


def _told_to(pool: AnyPool) -> list[Anchor]:
    return [Anchor(link, "the pool's server") for link in pool.ledger_links()]


def _refuse_if_changed(batch: Batch, validation: Validation) -> None:
    verdicts = verdicts_of(batch)
    released = [validation.hashed.records[position].block_id for position in validation.released]
    if verdicts["chain_head"] != validation.hashed.chain_head or verdicts["released"] != released:
        raise BlockRefused(
            f"batch {batch.key} is not what was validated; materialise validated_blocks again", batch=batch.key
        )


def _refuse_if_known_beforehand(batch: Batch) -> None:
    if batch.intake.deterministic:
        raise BlockRefused(
            f"batch {batch.key} is deterministic: its bytes are known beforehand to everybody who has its images, so"
            " none is published",
            batch=batch.key,
        )


def _refuse_unspent(batch: Batch, ledger: Ledger, validation: Validation) -> None:
    """Raise unless the ledger says that the images behind the blocks were spent by this batch, as it stands.

    An older release spent images and bound nothing. Such a batch is bound now, to what is about to be published: it is
    published once all the same, and as nothing else afterwards.
    """
    images = {image for record in validation.hashed.records for image in record.image_sha256s}
    unspent = sorted(images - ledger.spent_by(batch.key, images))
    if unspent:
        raise ClaimRefused(
            f"batch {batch.key} did not spend {len(unspent)} of the {len(images)} images behind its blocks, by the"
            " ledger; images give blocks to the batch that spent them, once",
            batch=batch.key, images=unspent[:8],
        )  # fmt: skip
    if images:
        ledger.bind_batch(batch.key, binding_of(batch))


def _append(batch: Batch, ledger: Ledger, validation: Validation, run_id: str, now_us: int) -> bool:
    records = [validation.hashed.records[position] for position in validation.released]
    if not records:
        return False
    blocks = [LedgerBlock(row.block_id, row.index, row.block_sha256, row.link) for row in records]
    return ledger.append_publication(batch.key, validation.hashed.chain_head, blocks, run_id=run_id, time_us=now_us)


def accept_losses(
    home: Home,
    head: str,
    anchors: Iterable[Anchor],
    now_us: int,
    remember: Remember,
    epoch: str | None = None,
    *,
    is_restored: bool = False,
) -> tuple[list[str], list[str]]:
    """Go on with a ledger that lacks publications: burn all that may have been served, and give up what is lost.

    Every batch that may have been published is entered in the ledger as it is, and its images as spent: its blocks can
    be told again to who drew them, and nothing of it is ever pushed. That is each batch with a receipt, and, since an
    older release kept none, each one whose images were assessed. Run it while nothing else writes.

    On a server that took over that server is accepted too. If no publication is lacking then, only those batches are
    burned whose images the ledger does not have as spent: the others never left the old server's word.

    Parameters
    ----------
    head
        The head of the ledger as whoever accepts it saw it.
    anchors
        What others know of the ledger, read before.
    now_us
        The time, microseconds since 1970.
    remember
        Makes the sketch of an image of a batch again, as `extraction.remember_again`: what decodes images is not
        loaded here.
    epoch
        The epoch of the server that took over, as whoever accepts it saw it.
    is_restored
        Whether ledger and batches were put back from one backup. Then nobody need know of a publication that was made
        since, and each batch that was not finished in it may have been published: its intake fixed every byte.

    Returns
    -------
    tuple of list of str
        Keys of the batches that were burned, and links that were given up.

    Raises
    ------
    LedgerError
        If the ledger has another head, or can't be written; `LedgerPromoted` if it is in another epoch than `epoch`.
    StoreError
        If a store of images or batches does not answer; the batch that was looked at is not burned then. Repeat it.
    """
    is_promoted = _is_promoted(home.ledger(readonly=True))
    ledger = home.ledger(accepts=epoch)
    ledger.refuse_if_promoted()
    if ledger.head() != head:
        raise LedgerError(
            f"the head of the ledger is {ledger.head()}, not {head}: look at it with 'entropy-assets ledger check'",
            head=ledger.head(),
        )
    lost = lacking(ledger, anchors)
    burned = []
    if lost or is_promoted or is_restored:
        is_doubtful = _may_have_been_published if lost else _lost_its_claims
        if is_restored:
            is_doubtful = _is_unfinished
        for batch in home.batches().oldest_first(without=ledger.published_keys()):
            if is_doubtful(batch, ledger):
                _burn(batch, ledger, remember, now_us)
                burned.append(batch.key)
            elif is_promoted and _may_have_been_published(batch, ledger):
                _remember(batch, remember)  # the last claim may have come over without the sketch behind it
        burned += _burn_removed(home, ledger, now_us, every=bool(lost) or is_restored)
        # Last: whoever is interrupted before it is still refused, and does it all again.
        ledger.accept_losses(lost)
    return burned, list(lost)


def _burn_removed(home: Home, ledger: Ledger, now_us: int, *, every: bool) -> list[str]:
    """Burn batches that were published once and then removed: their images are spent, whatever is left of them.

    Unless `every`, only those whose spent images the ledger does not have.
    """
    blobs, burned = home.batches().blobs, []
    for key in sorted(removed_keys(blobs) - ledger.published_keys()):
        removal = removal_of(blobs, key)
        if removal is None or removal.ledger_link is None:
            continue
        if every or ledger.spent_by(key, removal.spent_images) != removal.spent_images.keys():
            ledger.spend_images(removal.spent_images, key)
            ledger.append_publication(key, NO_LINK, [], run_id=BURNED, time_us=now_us)
            burned.append(key)
    return burned


def _is_promoted(ledger: Ledger) -> bool:
    try:
        ledger.refuse_if_promoted()
    except LedgerPromoted:
        return True
    return False


def _lost_its_claims(batch: Batch, ledger: Ledger) -> bool:
    if not _may_have_been_published(batch, ledger):
        return False
    images = _images_of(batch).keys()
    return ledger.spent_by(batch.key, images) != images


def _is_unfinished(batch: Batch, ledger: Ledger) -> bool:
    try:
        return batch.has(RECEIPT) or not state_of(batch, ledger).is_finished
    except BatchError:
        return True


def _may_have_been_published(batch: Batch, ledger: Ledger) -> bool:
    try:
        state = state_of(batch, ledger)
    except BatchError:
        return True
    return batch.has(RECEIPT) or (state.stage >= Stage.ASSESSED and not state.is_rejected)


def _burn(batch: Batch, ledger: Ledger, remember: Remember, now_us: int) -> None:
    """Enter `batch` as published by nobody, with its blocks where they verify, and its images as spent.

    What its images show is remembered again: else the pattern of old frames would be new, and a changed copy fresh.
    """
    validation = None
    # The ledger forgets no entry, so the stores are asked first: while one does not answer nothing is entered.
    _remember(batch, remember)
    with passing_over_damage(batch):
        validation = validate(batch)
    ledger.spend_images(_images_of(batch), batch.key)
    # What a public one reveals later is told of this intake alone.
    with passing_over_damage(batch):
        ledger.bind_batch(batch.key, binding_of(batch))
    # One that is damaged, or a copy of another one, is entered without its blocks.
    if validation is not None:
        with passing_over_damage(batch):
            _append(batch, ledger, validation, BURNED, now_us)
    if not ledger.is_published(batch.key):
        ledger.append_publication(batch.key, NO_LINK, [], run_id=BURNED, time_us=now_us)


def _remember(batch: Batch, remember: Remember) -> None:
    for image_sha256 in _images_of(batch):
        # One whose file is gone or can't be read is spent all the same, by its hash.
        with passing_over_damage(batch):
            remember(batch, image_sha256)


def _images_of(batch: Batch) -> dict[str, str | None]:
    """Return the images that the batch may have spent, with the hash of their pixels where it is known."""
    pixels: dict[str, str | None] = {}
    with suppress(BatchError), naming_damage(batch):
        pixels = {row.image_sha256: row.pixel_sha256 for row in Manifest.of(batch).rows}
    with suppress(BatchError), naming_damage(batch):
        return {row.image_sha256: pixels.get(row.image_sha256) for row in noise_rows(batch) if row.accepted}
    with suppress(BatchError), naming_damage(batch):
        return {file.image_sha256: pixels.get(file.image_sha256) for file in batch.intake.files}
    return pixels


def _pool_blocks(batch: Batch, validation: Validation) -> list[PoolBlock]:
    simulated = any(row.source == "simulated" for row in Manifest.of(batch).rows)
    blocks = []
    for position in validation.released:
        record = validation.hashed.records[position]
        blocks.append(
            PoolBlock(
                block_id=record.block_id,
                data=validation.hashed.blocks[position].tobytes(),
                sha256=record.block_sha256,
                quality=validation.quality[position],
                timestamp_us=record.timestamp_us,
                source_images=record.image_sha256s,
                batch_key=batch.key,
                index=record.index,
                simulated=simulated,
                link=record.link,
                lane=batch.intake.lane,
            )
        )
    return blocks
