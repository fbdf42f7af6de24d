"""Batches that the tests of the stages, of Dagster's side and of the audit work on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from upath import UPath

from entropy_assets.core.conditioning import Conditioner
from entropy_assets.recipe import STANDARD
from entropy_assets.sources.camera import SimulatedCamera
from entropy_assets.stages import conditioning, extraction, ingest, validation
from entropy_assets.stores.batches import Batch, BatchStore
from entropy_assets.stores.images import DecodeLimits, ImageStore
from entropy_assets.stores.ledger import Ledger

LIMITS = DecodeLimits()
TIME_NS = 1_700_000_000_000_000_000


def frame(seed: int, side: int = 320) -> bytes:
    """Give a frame of the simulated camera that is the same each time: worth about two blocks at 320 pixels."""
    camera = SimulatedCamera(np.random.default_rng(seed), shape=(side, side))
    return camera.expose(datetime(2026, 11, 1, 12, tzinfo=UTC))


@dataclass(frozen=True)
class Place:
    """Stores under one folder."""

    images: ImageStore
    batches: BatchStore
    ledger: Ledger

    @classmethod
    def at(cls, root: Path) -> "Place":
        root.mkdir(parents=True, exist_ok=True)
        return cls(ImageStore(root / "images"), BatchStore(UPath(root) / "batches"), Ledger(root / "ledger.sqlite"))

    def open(
        self, contents: Sequence[tuple[str, bytes]], *, newest_ns: int = TIME_NS, os_bytes: bytes = b"\x07" * 32
    ) -> Batch:
        return ingest.open_batch(
            self.batches,
            self.images,
            contents,
            source="drop",
            newest_ns=newest_ns,
            time_ns=TIME_NS,
            os_bytes=os_bytes,
            recipe=STANDARD.name,
        )

    def hashed(self, contents: Sequence[tuple[str, bytes]], *, newest_ns: int = TIME_NS) -> Batch:
        """Take a batch as far as its blocks."""
        batch = self.open(contents, newest_ns=newest_ns)
        ingest.read_images(batch, self.images, LIMITS)
        extraction.extract_noise(batch, self.images, self.ledger, LIMITS)
        conditioning.hash_blocks(batch)
        return batch

    def validated(self, contents: Sequence[tuple[str, bytes]], *, newest_ns: int = TIME_NS) -> Batch:
        """Take a batch as far as its verdicts."""
        batch = self.hashed(contents, newest_ns=newest_ns)
        validation.validate_blocks(batch)
        return batch


def break_conditioning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every block have its highest bits stuck at 0, in hashing and in verification alike."""
    whole = Conditioner.condition

    def stuck(self: Conditioner, *args: Any) -> bytes:
        return bytes(byte & 0x7F for byte in whole(self, *args))

    monkeypatch.setattr(Conditioner, "condition", stuck)
