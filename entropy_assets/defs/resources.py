"""Resources: the stores of one installation, and the pool.

Plain objects, made from the settings where the definitions are loaded, and `fixed`: nothing of them can be said in the
config of a run. Whoever can launch a run could otherwise have another folder's blocks published, or have Dagster print
a variable of the environment that holds a password.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NoReturn

import dagster as dg

from entropy_assets.core.arrays import Choice
from entropy_assets.errors import BatchError, EntropyAssetsError, PoolAddressInvalid, PoolUnavailable
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.provenance.standing import what_it_lacks
from entropy_assets.recipe import recipe_named
from entropy_assets.settings import Settings
from entropy_assets.sources.camera import SimulatedCamera
from entropy_assets.sources.image_source import ImageSource
from entropy_assets.stages.intake import settle_or_warn
from entropy_assets.stages.retention.limits import KEEP_ALL, KeepLimits, RunLimits
from entropy_assets.stages.state import Unfinished
from entropy_assets.stores.batches import Batch
from entropy_assets.stores.blobs.refusals import StoreUnavailable
from entropy_assets.stores.home import Home
from entropy_assets.stores.inboxes.bucket import Inbox
from entropy_assets.stores.ledger.storage import LedgerUnavailable
from entropy_assets.stores.pool.client import DEFAULT_PREFIX
from entropy_assets.stores.pool.shards import AnyPool, pool_at


@dataclass(frozen=True, slots=True)
class EntropyStores:
    """The places of one installation: inbox, images, batches and ledger.

    Attributes
    ----------
    layout
        The stores and folders.
    recipe
        Recipe of new batches.
    limits
        Limits of one image.
    settle_seconds
        A file in the inbox is taken when it has not changed for this long, seconds.
    workers
        Images of a batch that are looked at side by side.
    arrays, arrays_memory_bytes
        What surveys and samples them, and how much of a card's memory it takes: as in `Settings`.
    keep
        How long what is kept.
    keep_runs
        How long Dagster's runs are kept.
    """

    layout: Home
    recipe: str
    limits: DecodeLimits
    settle_seconds: float
    workers: int = 2
    arrays: Choice = "numpy"
    arrays_memory_bytes: int = 0
    keep: KeepLimits = KEEP_ALL
    keep_runs: RunLimits = field(default_factory=RunLimits)

    @classmethod
    def of(cls, settings: Settings) -> "EntropyStores":
        """Make the resource from `settings`."""
        return cls(
            layout=Home.of(settings),
            recipe=settings.recipe,
            limits=DecodeLimits(max_file_bytes=settings.max_file_bytes, max_pixels=settings.max_pixels),
            settle_seconds=settings.settle_seconds,
            workers=settings.workers,
            arrays=settings.arrays,
            arrays_memory_bytes=settings.arrays_memory_bytes,
            keep=KeepLimits.of(settings),
            keep_runs=RunLimits.of(settings),
        )

    def inboxes(self) -> Mapping[str, Inbox]:
        """Return the inbox and its subfolders of the sources that the recipe lists, by source."""
        listed = recipe_named(self.recipe).sources
        return self.layout.inboxes(
            listed, settle_seconds=self.settle_seconds, max_file_bytes=self.limits.max_file_bytes
        )

    def inbox_of(self, source: str) -> Inbox:
        """Return the inbox of `source`; a listed source gets its subfolder if it has none yet."""
        return self.layout.inbox_of(
            source,
            recipe_named(self.recipe).sources,
            settle_seconds=self.settle_seconds,
            max_file_bytes=self.limits.max_file_bytes,
        )

    def batch(self, key: str) -> Batch:
        """Return the batch `key`; once it is published, what it holds stays as it is."""
        batches = self.layout.batches()
        batches.batch(key)  # a key of no batch is refused before the ledger is asked
        return batches.batch(key, frozen=self.layout.ledger(readonly=True).is_published(key))

    def settle(self, batch: Batch, warn: Callable[[str], object]) -> None:
        """Move the batch's files from where they were taken to where processed and rejected ones stay.

        Who has another inbox, on another machine, moves nothing: the machine whose inbox it is does, at the next look.
        So it does with files that can't be moved now, of which `warn` is told: the batch goes on without them.
        """
        settle_or_warn(batch, self.inbox_of(batch.intake.source), warn)

    def stuck_batches(self, *, older_than_s: float, now: float) -> dict[str, str]:
        """Return the batches of more than `older_than_s` seconds ago that are not finished, and where each stands."""
        stuck = {}
        for batch, state in Unfinished(self.layout.batches(), self.layout.ledger(readonly=True)):
            if isinstance(state, BatchError):
                stuck[batch.key] = f"not readable: {state.message}"
            elif batch.intake.time_ns < (now - older_than_s) * 1e9:
                stuck[batch.key] = what_it_lacks(state)
        return stuck


@dataclass(frozen=True, slots=True)
class ImageSources:
    """The sources that can be asked for images.

    Attributes
    ----------
    simulated_camera
        Whether the simulated camera may be asked.
    camera_frames
        Frames that it takes each time.
    """

    simulated_camera: bool = False
    camera_frames: int = 4

    def collect(self) -> Iterator[tuple[str, str, bytes]]:
        """Yield source, file name and bytes of each new image."""
        if self.simulated_camera:
            camera: ImageSource = SimulatedCamera(os.urandom)
            for _ in range(self.camera_frames):
                yield from ((camera.name, name, data) for name, data in camera.collect())


@dataclass(frozen=True, slots=True)
class RedisPool:
    """The pool on Redis or Valkey.

    Attributes
    ----------
    url
        Address of the server, or of several as `pool_at` reads them; None if the settings name none. Secret: it may
        hold a password.
    prefix
        First part of every key.
    ttl_seconds
        Life of a pushed block, seconds.
    allow_unsafe
        Push also to a server that persists or evicts.
    """

    url: str | None = field(repr=False)
    prefix: str = DEFAULT_PREFIX
    ttl_seconds: int = 3600
    allow_unsafe: bool = False

    @contextmanager
    def connect(self) -> Iterator[AnyPool]:
        """Yield a client of a server that was found safe, or of those that were, and close it.

        Raises
        ------
        PoolAddressInvalid
            If there is no address, or none that can be used.
        """
        if self.url is None:
            raise PoolAddressInvalid("no pool: set ENTROPY_REDIS_URL for the process that loads the definitions")
        client = pool_at(self.url, prefix=self.prefix, ttl_s=self.ttl_seconds)
        try:
            client.check_server_safety(allow_unsafe=self.allow_unsafe)
            yield client
        finally:
            client.close()


Stores = dg.ResourceParam[EntropyStores]
Sources = dg.ResourceParam[ImageSources]
Pool = dg.ResourceParam[RedisPool]
"""How a step, a check or a sensor asks for each."""


def fixed(resource: object) -> dg.ResourceDefinition:
    """Return `resource` as one that takes no config; a resource that names no schema takes any."""
    return dg.ResourceDefinition(lambda _: resource, config_schema={})


class NoPassage(dg.IOManager):
    """What steps would hand to each other through Dagster: nothing. They hand on by the stores."""

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Take the output of a step that returns none.

        Raises
        ------
        TypeError
            If it returned something.
        """
        if obj is not None:
            raise TypeError(f"a step returned {type(obj).__name__}: what it makes belongs into a store")

    def load_input(self, context: dg.InputContext) -> NoReturn:
        """Refuse: no step takes what another returned."""
        raise TypeError("no step takes what another returned: it reads the stores")


NO_PASSAGE: Final = dg.IOManagerDefinition(lambda _: NoPassage(), config_schema={})
"""In the place of Dagster's own, which writes pickles to a folder that the config of a run may name."""


AWAY: Final = (PoolUnavailable, StoreUnavailable, LedgerUnavailable)
"""What says that a server is absent, and may be there the next time."""
RETRIES: Final = dg.RetryPolicy(max_retries=6, delay=5, backoff=dg.Backoff.EXPONENTIAL)
"""How often a step is tried again if `typed_failures` allows it: six times, over ten minutes."""


@contextmanager
def typed_failures() -> Iterator[None]:
    """Turn this project's errors into Dagster failures with their facts; only an absent server is worth a retry."""
    try:
        yield
    except EntropyAssetsError as error:
        raise dg.Failure(
            description=error.message,
            metadata={"error": error.code, **{key: str(value) for key, value in error.data.items()}},
            allow_retries=isinstance(error, AWAY),
        ) from error
