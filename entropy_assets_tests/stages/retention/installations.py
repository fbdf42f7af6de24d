"""An installation with a batch of each sort, made once; each test has a copy of its own, and lets it grow old."""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from entropy_assets.stages import conditioning
from entropy_assets.stages.retention.limits import KeepLimits
from entropy_assets.stages.retention.looking import FateOf
from entropy_assets.stages.retention.plan import RemovalPlan, plan_removal
from entropy_assets.stages.retention.removing import Removed, remove
from entropy_assets.stores.batches import RECEIPT
from entropy_assets.stores.inboxes.bucket import Inbox
from entropy_assets.stores.lanes import Fate
from entropy_assets.stores.ledger.rows import LedgerBlock
from entropy_assets_tests.stages.batches_made import TIME_NS, Place, flat_png, frame

DAY_S = 86_400
NOW_S = time.time() + 400 * DAY_S
"""The present of these tests: the files that they make are old then."""
SORTS = ("first", "again", "private", "rejected", "late")
"""What the batches are: `again` has the image of `first` beside one of its own."""


def make_all(folder: Path) -> dict[str, str]:
    """Make a batch of each sort, as far as its verdicts, and return their keys."""
    place = Place(folder)
    first, second, third, fourth = (("a.fits", frame(seed)) for seed in range(1, 5))
    contents = {
        "first": [first],
        "again": [second, first],
        "private": [third],
        "rejected": [("flat.png", flat_png())],
        "late": [fourth],
    }
    lanes = {"private": "private"}
    return {
        sort: place.validated(
            contents[sort], time_ns=TIME_NS + number * 10**9, lane=lanes.get(sort, "public")
        ).key
        for number, sort in enumerate(SORTS)
    }  # fmt: skip


def copied(template: Path, folder: Path) -> Place:
    """Copy an installation; its files keep their times."""
    shutil.copytree(template, folder)
    return Place(folder)


def publish(place: Place, key: str, *, days_ago: float, receipt: bool = True) -> list[str]:
    """Enter a batch in the ledger as published so long ago, and return the ids of its blocks."""
    batch = place.batches().batch(key)
    hashed = conditioning.read_blocks(batch)
    blocks = [LedgerBlock(row.block_id, row.index, row.block_sha256, row.link) for row in hashed.records]
    time_us = int((NOW_S - days_ago * DAY_S) * 1e6)
    place.ledger().append_publication(key, hashed.chain_head, blocks, "the-run", time_us)
    publication = place.ledger().publication_of(key)
    assert publication is not None
    if receipt:
        batch.create_json(RECEIPT, {"batch_key": key, "ledger_link": publication.ledger_link})
    return [block.block_id for block in blocks]


def gone(_: str) -> Fate:
    """Say of each block what a pool says that has forgotten it."""
    return Fate(state="unknown")


def planned(
    place: Place, inboxes: Mapping[str, Inbox] | None = None, fate_of: FateOf | None = gone, **limits: int
) -> RemovalPlan:
    """Return what would go of `place`."""
    keep = KeepLimits(**limits)
    return plan_removal(place, keep, now_s=NOW_S, inboxes=inboxes or {}, fate_of=fate_of)


def removed(place: Place, plan: RemovalPlan, inboxes: Mapping[str, Inbox] | None = None) -> Removed:
    """Carry out a plan."""
    return remove(place, plan, inboxes=inboxes or {}, clock=lambda: NOW_S)


def files_below(folder: Path) -> dict[str, int]:
    """Give the size of every file of an installation but the ledger, by its path."""
    files = (path for path in folder.rglob("*") if path.is_file() and "ledger" not in path.name)
    return {str(path.relative_to(folder)): path.stat().st_size for path in files}
