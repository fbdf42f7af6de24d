"""What others know of the ledger: the links of publications that they were told of when these were made.

Who loses the ledger, or puts an older copy or another one in its place, would publish again what was
served. So a batch keeps a receipt, the pool's server the newest link, and Dagster the head after each publication; a
ledger that lacks one of them is not the one that it should be. They are read first and the ledger afterwards, so that
a publication that is made meanwhile is never taken for a loss.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from entropy_assets.errors import LedgerBehind
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import NO_LINK

MOST_NAMED: Final = 3
"""Anchors that a message names; it counts all."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """The link of a publication, hex, and who knows of it."""

    link: str
    known_to: str


def lacking(ledger: Ledger, anchors: Iterable[Anchor]) -> dict[str, str]:
    """Return who knows of each publication that `ledger` neither holds nor gave up, by its link."""
    known_to = {anchor.link: anchor.known_to for anchor in anchors}
    return {link: known_to[link] for link in ledger.lacks(known_to)}


def refuse_if_behind(ledger: Ledger, anchors: Iterable[Anchor]) -> None:
    """Raise unless `ledger` has all that others know of; give it anchors that were read before it is looked at.

    Raises
    ------
    LedgerBehind
        With what it lacks, and what to do; `LedgerPromoted` if another server took it over.
    """
    ledger.refuse_if_promoted()
    lost = lacking(ledger, anchors)
    if not lost:
        return
    names = ", ".join(sorted(set(lost.values()))[:MOST_NAMED])
    head = ledger.head()
    what = "is older than it should be, or another one"
    if head == NO_LINK:
        what = "is empty" if ledger.exists() else "is missing"
    raise LedgerBehind(
        f"the ledger {ledger.name} {what}: it lacks {len(lost)} publications that are known to {names}. Nothing is"
        " published before it is mended. Put the right ledger back; if it is lost, stop everything and run"
        f" 'entropy-assets ledger accept --head {head}', which burns all that may have been served;"
        " with --restored too if batches were put back from a backup",
        path=ledger.name, head=head, lacks=sorted(lost)[:MOST_NAMED], known_to=names,
    )  # fmt: skip
