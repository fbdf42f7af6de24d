"""What a fault cost, by what clients, service and pool counted."""

from dataclasses import dataclass
from typing import Any

from entropy_assets.stores.pool.blocks import PoolStats
from entropy_assets_tests.chaos.draws import Draws


@dataclass
class Outcome:
    """What a fault cost."""

    draws: Draws
    offered_bytes: int
    service: dict[str, Any]
    pool: PoolStats
    healthy_after_s: float

    @property
    def lost_bytes(self) -> int:
        """Offered to the pool and neither received by a client nor there to be received.

        What the service served of the private lane counts as received.
        """
        received = self.draws.public_bytes + int(self.service["served_bytes"]["private"])
        return self.offered_bytes - received - self.pool.bytes - int(self.service["buffered_bytes"])

    @property
    def undelivered_bytes(self) -> int:
        """Leased and never arrived at a worker, or answered and never arrived at a client."""
        answered = int(self.service["served_bytes"]["public"])
        on_the_way = self.pool.leased_bytes - int(self.service["leased_bytes"])
        assert on_the_way >= 0, "the service counts more than it was given"
        answered += int(self.service["served_bytes"]["private"])
        # the arena itself draws private bytes, to see whether the service is well
        assert answered >= self.draws.served_bytes, "the clients received more than the service counts"
        public = int(self.service["served_bytes"]["public"]) - self.draws.public_bytes
        assert public >= 0, "the clients received more public bytes than the service counts"
        return on_the_way + public
