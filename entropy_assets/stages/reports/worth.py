"""What images were worth, looked up in the newest batches: for who brought them, and wants to know."""

from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from entropy_assets.errors import BatchError
from entropy_assets.stages.assessments import noise_rows
from entropy_assets.stages.manifest import Manifest
from entropy_assets.stages.state import naming_damage
from entropy_assets.stores.batches import NOISE, Batch, BatchStore, moment_of

MOST_BATCHES: Final = 200
"""Batches that are read, the newest first."""


@dataclass(frozen=True, slots=True)
class Worth:
    """What images were worth, as far as they were assessed.

    Attributes
    ----------
    assessed
        How many were.
    credited
        How many of those were credited.
    credit_bits
        What they were credited together.
    reasons
        How many were refused, by reason.
    """

    assessed: int
    credited: int
    credit_bits: int
    reasons: dict[str, int]


def worth_of(batches: BatchStore, image_sha256s: Collection[str]) -> Worth:
    """Return what those images were worth, from the newest `MOST_BATCHES` batches. A damaged batch tells nothing."""
    wanted, found = set(image_sha256s), dict[str, ImageWorth]()
    for key in sorted(batches.names(), key=moment_of, reverse=True)[:MOST_BATCHES]:
        if found.keys() == wanted:
            break
        with suppress(BatchError):
            found |= {
                sha256: row for sha256, row in assessed_images(Batch(batches.blobs, key)).items() if sha256 in wanted
            }
    credited = [row.credit_bits for row in found.values() if row.reason is None]
    reasons = Counter(row.reason for row in found.values() if row.reason is not None)
    return Worth(len(found), len(credited), sum(credited), dict(reasons))


@dataclass(frozen=True, slots=True)
class ImageWorth:
    """What became of an image: its credit in bits, and why it has none; None if it was accepted."""

    credit_bits: int
    reason: str | None


def assessed_images(batch: Batch) -> dict[str, ImageWorth]:
    """Return what became of each image of a batch; of one that is not assessed yet nothing."""
    if not batch.has(NOISE):
        return {}
    with naming_damage(batch):
        unreadable = [row for row in Manifest.of(batch).rows if not row.accepted]
        rows = {row.image_sha256: ImageWorth(0, str(row.reason)) for row in unreadable}
        for noise in noise_rows(batch):
            rows[noise.image_sha256] = ImageWorth(noise.credit_bits, None if noise.accepted else str(noise.reason))
        return rows
