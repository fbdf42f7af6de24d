"""What stands still, told to people within minutes: batches that nobody works on though something is left to do.

And why everything may stand still: a ledger that lacks publications of which the batches have receipts.
"""

import math
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from entropy_assets.errors import BatchError, LedgerBehind, LedgerError
from entropy_assets.stages.state import BatchState, LedgerWatch, Stage, Unfinished
from entropy_assets.stores.batches import Batch, BatchStore
from entropy_assets.stores.blobs.refusals import BlobUnreadable, StoreError
from entropy_assets.stores.ledger.record import Ledger

STILL_S: Final = 300.0
"""Seconds for which nothing has changed in a batch before it counts as standing still."""
LOOK_S: Final = 5.0
"""Seconds between two looks of those who are asked all the time."""
MOST_NAMED: Final = 3
"""Batches that one sentence names; it counts all."""


class Standing:
    """The batches that stand still. It remembers finished ones, so keep one and ask it again.

    Parameters
    ----------
    batches, ledger
        Where to look.
    every_s
        Seconds between two looks; in between the last answer is given again.
    clock
        Seconds since 1970.
    """

    def __init__(
        self, batches: BatchStore, ledger: Ledger, *, every_s: float = 0.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._unfinished = Unfinished(batches, ledger)
        self._every_s = every_s
        self._clock = clock
        self._next_look = -math.inf
        self._last: list[tuple[str, str]] = []
        self._watch = LedgerWatch(batches, ledger)

    def doubts(self) -> list[tuple[str, str]]:
        """Return what to tell, each as a code and a sentence; others tell of a ledger or store that can't be read."""
        if time.monotonic() >= self._next_look:
            self._last = self._look()
            self._next_look = time.monotonic() + self._every_s
        return self._last

    def _look(self) -> list[tuple[str, str]]:
        try:
            return [*self._losses(), *self._still()]
        except (LedgerError, StoreError):
            return []

    def _losses(self) -> Iterator[tuple[str, str]]:
        """Yield what the ledger lacks, or the receipt because of which nobody can tell."""
        try:
            self._watch.refuse_if_behind()
        except (BatchError, BlobUnreadable, LedgerBehind) as error:
            yield error.code, error.public_message

    def _still(self) -> Iterator[tuple[str, str]]:
        still = [_told(batch, state) for batch, state in self._unfinished if self._stands_still(batch)]
        if still:
            named = "; ".join(islice(still, MOST_NAMED))
            yield "batches-stuck", f"{len(still)} batches stand still: {named}" if len(still) > 1 else still[0]

    def _stands_still(self, batch: Batch) -> bool:
        # The distance counts in both directions: a clock that was set back hides nothing.
        return abs(self._clock() - batch.changed_at()) >= STILL_S


def _told(batch: Batch, state: BatchState | BatchError) -> str:
    if isinstance(state, BatchError):
        return state.message
    return f"batch {batch.key} is {what_it_lacks(state)}"


def what_it_lacks(state: BatchState) -> str:
    """Return what a batch that is not finished lacks, and what to do."""
    if state.stage < Stage.VALIDATED:
        return "not validated: look at its run of process_images, and launch it again"
    return "not published: launch publish_blocks for it"


def new_sentences(told: set[str], doubts: list[tuple[str, str]]) -> Iterator[str]:
    """Yield the sentences that were not among those `told`, and put in `told` those that hold now."""
    sentences = {sentence for _, sentence in doubts}
    yield from sorted(sentences - told)
    told.clear()
    told.update(sentences)
