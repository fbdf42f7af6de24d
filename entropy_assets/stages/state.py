"""Where a batch stands: how far its stages came, what became of its blocks, and whether its files are damaged.

Told here alone; everybody asks.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from entropy_assets.errors import BatchError, BlockRefused, ClaimRefused, EntropyAssetsError, LedgerBehind, LedgerError
from entropy_assets.stages.verdicts import verdicts_of
from entropy_assets.stores.batches import MANIFEST, NOISE, RECEIPT, RECORDS, VERDICTS, Batch, BatchStore, Document
from entropy_assets.stores.blobs.refusals import BlobUnreadable, StoreError
from entropy_assets.stores.home import Home
from entropy_assets.stores.ledger.anchors import Anchor, refuse_if_behind
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import Publication
from entropy_assets.stores.removals import BatchRemoved


class Stage(IntEnum):
    """The last stage that kept its result, in the order of the stages."""

    TAKEN = 0
    READ = 1
    ASSESSED = 2
    HASHED = 3
    VALIDATED = 4


_KEPT_BY: Final[dict[Stage, Document]] = {
    Stage.VALIDATED: VERDICTS,
    Stage.HASHED: RECORDS,
    Stage.ASSESSED: NOISE,
    Stage.READ: MANIFEST,
}
"""What each stage keeps last, the latest stage first."""


@dataclass(frozen=True, slots=True)
class BatchState:
    """Where a batch stands.

    Attributes
    ----------
    stage
        The last stage that kept its result.
    released
        Ids of the blocks that were released, in the order of the chain; none before it was validated.
    publication
        What the ledger tells of it, once it was published.
    is_known_beforehand
        Whether it is made deterministically: such a batch is never published.
    """

    stage: Stage
    released: tuple[str, ...] = ()
    publication: Publication | None = None
    is_known_beforehand: bool = False

    @property
    def is_rejected(self) -> bool:
        """Tell whether it was validated and no block was released, then or ever."""
        return self.stage is Stage.VALIDATED and not self.released and self.publication is None

    @property
    def awaits_publication(self) -> bool:
        """Tell whether blocks were released, may be published, and the ledger does not have them."""
        return bool(self.released) and self.publication is None and not self.is_known_beforehand

    @property
    def is_finished(self) -> bool:
        """Tell whether nothing is left to do: it is published, or there is nothing to publish."""
        stays = self.stage is Stage.VALIDATED and self.is_known_beforehand
        return self.is_rejected or self.publication is not None or stays


class BlocksLost(EntropyAssetsError):
    """A batch is in the ledger and blocks of it are not in the pool: nothing pushes them again."""

    code = "blocks-lost"


@contextmanager
def naming_damage(batch: Batch, file: str = "a file") -> Iterator[None]:
    """Turn whatever damaged rows of `file` raise into an error that names it.

    Raises
    ------
    BatchError
        If `file` is damaged; so whoever catches it knows every kind of damage.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise BatchError(
            f"{file} of batch {batch.key} is damaged ({type(error).__name__}: {error})", batch=batch.key, file=file
        ) from error


@contextmanager
def passing_over_damage(batch: Batch) -> Iterator[None]:
    """Pass over what is wrong with `batch` itself; stores and ledger may do their work the next time.

    Raises
    ------
    StoreError, LedgerError
        If what the batch is can't be told or entered now, as on a full disk. A smaller entry that has room would burn
        the batch for ever without what had none.
    """
    try:
        with naming_damage(batch):
            yield
    except ClaimRefused:
        pass
    except (StoreError, LedgerError):
        raise
    except EntropyAssetsError:
        pass


@contextmanager
def losses_told(batch: Batch, blocks: int) -> Iterator[None]:
    """Stand around what comes between the entry of `batch`, with so many blocks, in the ledger and the end of its push.

    Raises
    ------
    BlocksLost
        In the place of whatever a retry might mend: it would find the batch in the ledger, and be content.
    """
    try:
        yield
    except (BlockRefused, LedgerBehind):
        raise
    except EntropyAssetsError as error:
        raise _loss(batch, blocks, error.message, error.data) from error
    except OSError as error:
        raise _loss(batch, blocks, error.strerror or type(error).__name__, {}) from error


def _loss(batch: Batch, blocks: int, cause: str, facts: Mapping[str, Any]) -> BlocksLost:
    lost = blocks - facts.get("pushed", 0)
    return BlocksLost(
        f"batch {batch.key} is in the ledger, and {lost} of its {blocks} blocks are lost, since what comes after that"
        f" failed: {cause}. Mend that; these blocks are never pushed again, so fetch new images",
        **{**facts, "batch": batch.key, "lost": lost},
    )


def refuse_what_a_run_lost(publication: Publication | None, run_id: str) -> None:
    """Raise `BlocksLost` if an earlier try of this very run made the batch's row: it did not come to its end."""
    if publication is not None and publication.run_id == run_id:
        raise BlocksLost(
            f"an earlier try of this run entered batch {publication.batch_key} in the ledger and did not end: those of"
            f" its {publication.block_count} blocks that were not in the pool by then are lost, and never pushed again."
            " Look at how that try failed, and fetch new images",
            batch=publication.batch_key,
        )  # fmt: skip


def stage_of(batch: Batch) -> Stage:
    """Return the last stage that kept its result; no file is read."""
    return next((stage for stage, document in _KEPT_BY.items() if batch.has(document)), Stage.TAKEN)


def state_of(batch: Batch, ledger: Ledger) -> BatchState:
    """Return where `batch` stands.

    Raises
    ------
    BatchError
        If its intake or verdicts can't be read, or are damaged.
    LedgerError
        If the ledger can't be read.
    """
    stage = stage_of(batch)
    with naming_damage(batch):
        released = tuple(verdicts_of(batch)["released"]) if stage is Stage.VALIDATED else ()
        deterministic = batch.intake.deterministic
    return BatchState(stage, released, ledger.publication_of(batch.key), deterministic)


def known_publications(batches: BatchStore, without: Container[str] = ()) -> dict[str, Anchor]:
    """Return what the receipts of the batches know of the ledger, by the key of the batch; not of those `without`.

    Raises
    ------
    BatchError
        If a receipt can't be read.
    """
    return {key: Anchor(str(receipt.get("ledger_link")), f"batch {key}") for key, receipt in batches.receipts(without)}


def sound_ledger(home: Home, anchors: Iterable[Anchor] = ()) -> Ledger:
    """Return the ledger of `home` for writing, after everything was found in it that `anchors` and receipts know of.

    Raises
    ------
    LedgerBehind
        If something was not; no file was made then.
    BatchError
        If a receipt can't be read.
    """
    known = [*anchors, *known_publications(home.batches()).values()]
    refuse_if_behind(home.ledger(readonly=True), known)
    return home.ledger()


class LedgerWatch:
    """Looks again and again whether a ledger has all that is known of it.

    It remembers the receipts that it read, since a receipt is written once: keep one and ask it again. The ledger it
    asks for each of them every time, since another file may be in its place. What it remembers makes it stricter only.

    Parameters
    ----------
    batches, ledger
        Whose receipts, and what they are held against.
    """

    def __init__(self, batches: BatchStore, ledger: Ledger) -> None:
        self._batches = batches
        self._ledger = ledger
        self._known: dict[str, Anchor] = {}

    def refuse_if_behind(self, anchors: Iterable[Anchor] = ()) -> None:
        """Raise unless the ledger has what `anchors` and the receipts of the batches know of.

        Raises
        ------
        LedgerBehind
            If it has not.
        BatchError
            If a receipt can't be read.
        """
        known = list(anchors)
        self._known |= known_publications(self._batches, without=self._known)
        refuse_if_behind(self._ledger, [*known, *self._known.values()])


class Unfinished:
    """The batches on which something is left to do, asked of their folders and the ledger alone.

    It remembers the batches that were finished without a publication, so keep one and ask it again.

    Parameters
    ----------
    batches, ledger
        Where to look.
    """

    def __init__(self, batches: BatchStore, ledger: Ledger) -> None:
        self._batches = batches
        self._ledger = ledger
        self._finished: dict[str, str] = {}

    def __iter__(self) -> Iterator[tuple[Batch, BatchState | BatchError]]:
        """Yield each batch that is not finished with its state, the oldest first; an error where it can't be read.

        One that retention is removing is none, however much of it is still there.
        """
        for batch in self._batches.oldest_first(without=self._ledger.published_keys()):
            state = self._state_or_error(batch)
            if state is not None and not isinstance(state, BatchRemoved):
                yield batch, state

    def _state_or_error(self, batch: Batch) -> BatchState | BatchError | None:
        """Return where `batch` stands, or why nobody can tell; None if it is finished."""
        try:
            version = _version(batch)
            if self._finished.get(batch.key) == version:
                return None
            state = state_of(batch, self._ledger)
        except BatchError as error:
            return error
        except BlobUnreadable as error:
            return BatchError(error.public_message, batch=batch.key, file=error.data["name"])
        if not state.is_finished:
            return state
        self._finished[batch.key] = version
        return None


def _version(batch: Batch) -> str:
    """Return what changes when the verdicts of `batch` do; empty before there are any."""
    verdicts = batch.find(VERDICTS)
    return "" if verdicts is None else verdicts.version


def keep_receipt(batch: Batch, publication: Publication) -> None:
    """Keep that `batch` is published, once; `known_publications` reads it."""
    receipt = {name: getattr(publication, name) for name in ("batch_key", "seq", "ledger_link", "published_at_us")}
    batch.create_json(RECEIPT, receipt)


def keep_newest_receipt(batches: BatchStore, ledger: Ledger) -> None:
    """Give the newest publication its receipt: an older release kept none, and a crash may have come before it.

    That one stands for all before it, whose links are in its own.
    """
    newest = ledger.newest()
    if newest is not None and batches.has(newest.batch_key):
        keep_receipt(batches.batch(newest.batch_key), newest)
