"""The simulated camera as a feed: nothing from space, and as many frames as a look may fetch."""

from collections.abc import Callable
from datetime import UTC

from entropy_assets.sources.camera import SimulatedCamera
from entropy_assets.sources.feeds.documents.times import stamp
from entropy_assets.sources.feeds.fetching import Clock, origin_of, present
from entropy_assets.sources.feeds.interface import Candidate, Discovery, FetchedImage
from entropy_assets.sources.feeds.tables.local import SimulatedTable
from entropy_assets.stores.inboxes.origins import Origin


class SimulatedFeed:
    """See the module.

    Parameters
    ----------
    name, table
        The feed.
    system_bytes
        As of `SimulatedCamera`.
    clock
        Tells the present.
    """

    def __init__(
        self, name: str, table: SimulatedTable, system_bytes: Callable[[int], bytes], clock: Clock = present
    ) -> None:
        self.name = name
        self.clock = clock
        self.read_bytes = 0
        self._table = table
        self._camera = SimulatedCamera(system_bytes, (table.height, table.width), clock=clock)

    @property
    def host(self) -> str:
        """What stands for this camera: no other feed waits for it."""
        return f"{self._table.host}:{self.name}"

    def discover(self, cursor: str) -> Discovery:
        """As `Feed.discover`: a frame can always be had."""
        at = f"{self.clock().astimezone(UTC):%Y%m%dT%H%M%S%fZ}"
        candidates = [Candidate(url=f"camera:{self.name}/simulated/{at}-{n}") for n in range(self._table.max_files)]
        return Discovery(candidates, cursor)

    def fetch(self, candidate: Candidate, known: Origin | None = None) -> FetchedImage | None:
        """As `Feed.fetch`: take a frame."""
        now = self.clock()
        [(name, data)] = self._camera.collect()
        self.read_bytes += len(data)
        dated = Candidate(url=candidate.url, dated_at=stamp(now))
        return FetchedImage(name, data, origin_of(self.name, self._table, dated, now, None))
