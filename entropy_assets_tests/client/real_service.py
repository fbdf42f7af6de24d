"""What the real service of these tests knows, and what can be told of the bytes that it gives."""

from itertools import pairwise
from typing import Any

from entropy_assets.client import Cut, PublicDraw
from entropy_assets.serving.health import NO_AGES
from entropy_assets.stores.lanes import Fate
from entropy_assets_tests.pool_blocks import pool_block, pool_blocks

KNOWN_BLOCK = pool_block(0).block_id
BLOCKS = 100
DATA = {block.block_id: block.data for block in pool_blocks(BLOCKS)}


class OneBlock:
    """Provenance of one block."""

    def freshness(self) -> dict[str, Any]:
        """Know of nothing."""
        return dict(NO_AGES)

    def recent(self, limit: int) -> list[dict[str, Any]]:
        """Know of nothing."""
        return []

    def tell(self, block_id: str, fate: Fate | None) -> dict[str, Any] | None:
        """Return the one block."""
        return {"block_id": block_id, "batch": "b", "images": []} if block_id == KNOWN_BLOCK else None


def ranges(draws: list[PublicDraw]) -> list[Cut]:
    """Return every range of a block that was given out."""
    return sorted(cut for draw in draws for cut in draw.blocks)


def overlaps(cuts: list[Cut]) -> list[tuple[Cut, Cut]]:
    """Return the neighbours in sorted `cuts` that share a byte."""
    return [pair for pair in pairwise(cuts) if pair[0][0] == pair[1][0] and pair[1][1] < pair[0][2]]
