"""What lies behind a service, as far as a test says what it is."""

import time
from typing import Any

from entropy_assets.errors import LedgerError
from entropy_assets.serving.health import NO_AGES
from entropy_assets.stores.lanes import Fate
from entropy_assets_tests.pool_blocks import pool_block

KNOWN_BLOCK = pool_block(0).block_id


class Supply:
    """A ledger and batches of which the test says how old they are."""

    def __init__(self, **ages: Any) -> None:
        self.ages = {**NO_AGES, **ages}
        self.asked = 0
        self.takes_s = 0.0

    def freshness(self) -> dict[str, Any]:
        self.asked += 1
        time.sleep(self.takes_s)
        return self.ages

    def tell(self, block_id: str, fate: Fate | None) -> dict[str, Any] | None:
        return None

    def thumbnail(self, block_id: str, image_sha256: str, fate: Fate | None) -> bytes | None:
        return None

    def recent(self, limit: int) -> list[dict[str, Any]]:
        return []


class OneBlock:
    """Provenance of `KNOWN_BLOCK` alone; `failing` makes the ledger unreadable."""

    failing = False

    def freshness(self) -> dict[str, Any]:
        """Know of nothing."""
        return NO_AGES

    def tell(self, block_id: str, fate: Fate | None) -> dict[str, Any] | None:
        """Return the one block."""
        if self.failing:
            raise LedgerError("the ledger can't be used")
        return {"block_id": block_id, "batch": "b", "images": []} if block_id == KNOWN_BLOCK else None

    def thumbnail(self, block_id: str, image_sha256: str, fate: Fate | None) -> bytes | None:
        """Know of none."""
        if self.failing:
            raise LedgerError("the ledger can't be used")
        return None
