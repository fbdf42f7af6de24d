"""Published batches whose blocks are what a test wants them to be."""

import hashlib
from collections.abc import Iterable

import numpy as np

from entropy_assets.recipe import STANDARD
from entropy_assets.stores.batches import BLOCKS, Batch
from entropy_assets.stores.home import Home
from entropy_assets.stores.intakes import Intake
from entropy_assets.stores.lanes import Lane
from entropy_assets.stores.ledger.rows import LedgerBlock

BLOCK = STANDARD.block_len


def honest(blocks: int, seed: int = 1) -> bytes:
    """Give so many blocks of what nobody can tell from chance: SHAKE-256."""
    return hashlib.shake_256(f"stream {seed}".encode()).digest(blocks * BLOCK)


def published(home: Home, data: bytes, *, lane: Lane = "public", without: Iterable[int] = ()) -> Batch:
    """Put `data` into the ledger as one more batch; of its blocks those `without` were not released."""
    blocks = np.frombuffer(data, dtype=np.uint8).reshape(-1, BLOCK)
    number = len(home.ledger().publications())
    intake = Intake(
        key=f"raw-ccd-20261102T0000{number:02d}Z-{number:08x}",
        source="raw-ccd",
        files=(),
        time_ns=number * 10**9,
        os_bytes="07" * 32,
        recipe=STANDARD.name,
        max_file_bytes=1,
        max_pixels=1,
        lane=lane,
    )
    batch = home.batches().create(intake)
    batch.write_array(BLOCKS, blocks)
    rows = [
        LedgerBlock(
            f"{number}-{index}", index, hashlib.sha256(block.tobytes()).hexdigest(), f"{number:032x}{index:032x}"
        )
        for index, block in enumerate(blocks)
        if index not in set(without)
    ]
    assert home.ledger().append_publication(batch.key, f"{number:064x}", rows, "the-run", 5 + number)
    return batch
