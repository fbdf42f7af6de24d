"""Batches that the tests of the stages, of Dagster's side and of the audit work on."""

import hashlib
import io
import itertools
import json
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image

from entropy_assets.core.conditioning.conditioner import Conditioner
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.recipe import STANDARD
from entropy_assets.sources.camera import Sensor, SimulatedCamera
from entropy_assets.stages import conditioning, extraction, ingest, validation
from entropy_assets.stages.publication import publish_batch
from entropy_assets.stores.batches import Batch, Document
from entropy_assets.stores.home import Home
from entropy_assets.stores.lanes import Lane
from entropy_assets.stores.ledger.rows import LedgerBlock
from entropy_assets.stores.pool.client import PoolClient

LIMITS = DecodeLimits()
TIME_NS = 1_700_000_000_000_000_000


def seeded_bytes(seed: int) -> Callable[[int], bytes]:
    """Give a stand-in for the system's generator that says the same each time: SHAKE-256 of seed and call number."""
    calls = itertools.count()
    return lambda size: hashlib.shake_256(f"{seed} {next(calls)}".encode()).digest(size)


def simulated_frame(seed: int, side: int = 320) -> bytes:
    """Give a frame of the simulated camera that is the same each time; declared, it is worth about two blocks.

    Its sensor is a loud one: the first frame of a quiet sensor is mostly taken for pattern.
    """
    camera = SimulatedCamera(seeded_bytes(seed), shape=(side, side), sensor=Sensor(read_noise=20.0))
    return camera.expose(datetime(2026, 11, 1, 12, tzinfo=UTC))


def frame(seed: int, side: int = 320) -> bytes:
    """Give the same frame with a header that does not say that it is simulated, as if a sensor had delivered it."""
    says, denies = (f"SIMULATE={value:>21}".encode() for value in "TF")
    data = simulated_frame(seed, side)
    assert data.count(says) == 1
    return data.replace(says, denies)


class Place(Home):
    """An installation's home in which batches are made."""

    def open(
        self,
        contents: Sequence[tuple[str, bytes]],
        *,
        time_ns: int = TIME_NS,
        os_bytes: bytes = b"\x07" * 32,
        limits: DecodeLimits = LIMITS,
        recipe: str = STANDARD.name,
        lane: Lane = "public",
        source: str = "raw-ccd",
    ) -> Batch:
        return ingest.open_batch(
            self.batches(),
            self.images(),
            contents,
            source=source,
            time_ns=time_ns,
            os_bytes=os_bytes,
            recipe=recipe,
            limits=limits,
            lane=lane,
            origins=self.origins(),
        )

    def hashed(self, contents: Sequence[tuple[str, bytes]], **more: Any) -> Batch:
        """Take a batch as far as its blocks; `more` is for `open`."""
        batch = self.open(contents, **more)
        self._to_blocks(batch)
        return batch

    def _to_blocks(self, batch: Batch) -> None:
        ingest.read_images(batch, self.images(), batch.intake.limits)
        extraction.extract_noise(batch, self.images(), self.ledger(), batch.intake.limits)
        conditioning.hash_blocks(batch)

    def validated(self, contents: Sequence[tuple[str, bytes]], **more: Any) -> Batch:
        """Take a batch as far as its verdicts; `more` is for `open`."""
        batch = self.hashed(contents, **more)
        validation.validate_blocks(batch)
        return batch

    def finished(self, batch: Batch) -> None:
        """Take an open batch as far as its verdicts."""
        self._to_blocks(batch)
        validation.validate_blocks(batch)

    def in_ledger(self, batch: Batch, run_id: str = "the-run") -> list[str]:
        """Put all blocks of a batch into the ledger, and return their ids in the order of the chain."""
        hashed = conditioning.read_blocks(batch)
        blocks = [LedgerBlock(row.block_id, row.index, row.block_sha256, row.link) for row in hashed.records]
        self.ledger().append_publication(batch.key, hashed.chain_head, blocks, run_id, 5)
        return [block.block_id for block in blocks]


def remembers(place: Place, epoch: str | None = None) -> Callable[[Batch, str], None]:
    """Give what remembers images again after a loss, as the command does."""
    return partial(extraction.remember_again, images=place.images(), ledger=place.ledger(accepts=epoch))


def unbind(place: Place) -> None:
    """Leave no trace of the intake and manifest that images were spent for, as a release that bound nothing."""
    with sqlite3.connect(place.ledger().path) as db:
        db.execute("DROP TRIGGER bindings_no_delete")
        db.execute("DELETE FROM bindings")
    db.close()


def break_conditioning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every block have its highest bits stuck at 0, in hashing and in verification alike."""
    whole = Conditioner.condition

    def stuck(self: Conditioner, *args: Any) -> bytes:
        return bytes(byte & 0x7F for byte in whole(self, *args))

    monkeypatch.setattr(Conditioner, "condition", stuck)


def files_of(batch: Batch) -> dict[str, bytes]:
    """Give the content of every file of a batch, by its path."""
    return {str(path.relative_to(batch.root)): path.read_bytes() for path in batch.root.rglob("*") if path.is_file()}


def flat_png() -> bytes:
    """Give an image whose pixels are all the same."""
    buffer = io.BytesIO()
    Image.new("L", (64, 64), 77).save(buffer, "png")
    return buffer.getvalue()


def png_of(pixels: np.ndarray) -> bytes:
    """Give `pixels` as a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def exposure(pattern: np.ndarray, rng: np.random.Generator) -> bytes:
    """Give an exposure of a sensor with a fixed `pattern`, as strong as it is."""
    return png_of((1000 + pattern + rng.normal(0, 12, pattern.shape)).round().astype(np.uint16))


def alter_json(batch: Batch, document: Document, change: Callable[[Any], object]) -> None:
    """Change a document of the batch as nobody should."""
    value = json.loads(batch.path(document).read_text())
    change(value)
    batch.path(document).write_text(json.dumps(value))


def publish(place: Place, batch: Batch, pool: PoolClient, **more: Any) -> int:
    """Publish a batch in a run of its own and give how many blocks were pushed."""
    return publish_batch(batch, place.ledger(), pool, run_id=str(uuid4()), now_us=1, **more).pushed


def drain(pool: PoolClient) -> list[bytes]:
    """Take all public blocks and give their bytes."""
    return [leased.block.data for leased in pool.lease(1000, lane="public").blocks]


def run_again(place: Place, batch: Batch) -> Batch:
    """Let every stage of a batch run again, as a backfill does, with a ledger that need not be sound."""
    again = Batch(batch.blobs, batch.key)
    ingest.read_images(again, place.images(), again.intake.limits)
    extraction.extract_noise(again, place.images(), place.ledger(), again.intake.limits)
    conditioning.hash_blocks(again)
    validation.validate_blocks(again)
    return again
