"""Where a batch stands: how far its stages came, and what became of its blocks. Told here alone; everybody asks."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from entropy_assets.stages.verdicts import verdicts_of
from entropy_assets.stores.batches import MANIFEST, NOISE, RECORDS, VERDICTS, Batch, Document
from entropy_assets.stores.ledger.rows import Publication
from entropy_assets.stores.ledger.sqlite import Ledger


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
    """

    stage: Stage
    released: tuple[str, ...] = ()
    publication: Publication | None = None

    @property
    def is_rejected(self) -> bool:
        """Tell whether it was validated and no block was released, then or ever."""
        return self.stage is Stage.VALIDATED and not self.released and self.publication is None

    @property
    def awaits_publication(self) -> bool:
        """Tell whether blocks were released and the ledger does not have them."""
        return bool(self.released) and self.publication is None

    @property
    def is_finished(self) -> bool:
        """Tell whether nothing is left to do: it is published, or there is nothing to publish."""
        return self.is_rejected or self.publication is not None


def stage_of(batch: Batch) -> Stage:
    """Return the last stage that kept its result; no file is read."""
    return next((stage for stage, document in _KEPT_BY.items() if batch.has(document)), Stage.TAKEN)


def state_of(batch: Batch, ledger: Ledger) -> BatchState:
    """Return where `batch` stands.

    Raises
    ------
    BatchError
        If its verdicts can't be read.
    LedgerError
        If the ledger can't be read.
    """
    stage = stage_of(batch)
    released = tuple(verdicts_of(batch)["released"]) if stage is Stage.VALIDATED else ()
    return BatchState(stage, released, ledger.publication_of(batch.key))
