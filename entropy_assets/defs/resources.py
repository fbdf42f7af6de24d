"""Resources: the stores of one installation, and the pool."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import dagster as dg

from entropy_assets.errors import EntropyAssetsError, PoolUnavailable
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.recipe import DROP, recipe_named
from entropy_assets.settings import Settings
from entropy_assets.sources.camera import SimulatedCamera
from entropy_assets.sources.image_source import ImageSource
from entropy_assets.stages.assessments import outcomes
from entropy_assets.stages.state import Stage, state_of
from entropy_assets.stores.batches import Batch
from entropy_assets.stores.home import Home
from entropy_assets.stores.inbox import DropFolder
from entropy_assets.stores.pool.client import DEFAULT_PREFIX, PoolClient


class EntropyStores(dg.ConfigurableResource[Any]):
    """The places of one installation: inbox, images, batches and ledger.

    Attributes
    ----------
    home
        Folder of everything that is kept.
    recipe
        Recipe of new batches.
    """

    home: str
    recipe: str
    max_file_bytes: int
    max_pixels: int
    settle_seconds: float
    workers: int = 2

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Make the resource from `settings`."""
        return cls(
            home=str(settings.home),
            recipe=settings.recipe,
            max_file_bytes=settings.max_file_bytes,
            max_pixels=settings.max_pixels,
            settle_seconds=settings.settle_seconds,
            workers=settings.workers,
        )

    @property
    def limits(self) -> DecodeLimits:
        """Limits of one image."""
        return DecodeLimits(max_file_bytes=self.max_file_bytes, max_pixels=self.max_pixels)

    @property
    def layout(self) -> Home:
        """The stores and folders under `home`."""
        return Home(Path(self.home))

    def inboxes(self) -> dict[str, DropFolder]:
        """Return the inbox and its subfolders of the sources that the recipe lists, by source."""
        listed = recipe_named(self.recipe).sources
        return self.layout.inboxes(listed, settle_seconds=self.settle_seconds, max_file_bytes=self.max_file_bytes)

    def inbox_of(self, source: str) -> DropFolder:
        """Return the inbox of `source`; a listed source gets its subfolder if it has none yet."""
        if source != DROP:
            (self.layout.inbox_folder / source).mkdir(parents=True, exist_ok=True)
        return self.inboxes()[source]

    def batch(self, key: str) -> Batch:
        """Return the batch `key`; once it is published, what it holds stays as it is."""
        batches = self.layout.batches()
        batches.batch(key)  # a key of no batch is refused before the ledger is asked
        return batches.batch(key, frozen=self.layout.ledger().is_published(key))

    def settle(self, batch: Batch) -> None:
        """Move the batch's files from where they were taken to where processed and rejected ones stay."""
        inbox = self.inbox_of(batch.intake.source)
        for outcome in outcomes(batch):
            # A batch that did not come through the inbox, or whose files were tidied away, has nothing to move.
            with suppress(FileNotFoundError):
                inbox.settle(batch.key, outcome.file, outcome.accepted, outcome.reason)

    def stuck_batches(self, *, older_than_s: float, now: float) -> dict[str, str]:
        """Return the batches of more than `older_than_s` seconds ago that are not finished, and where each stands."""
        ledger, stuck = self.layout.ledger(), {}
        for batch in self.layout.batches():
            if batch.intake.time_ns >= (now - older_than_s) * 1e9:
                continue
            state = state_of(batch, ledger)
            if state.stage < Stage.VALIDATED:
                stuck[batch.key] = "not validated: look at its run of process_images, and launch it again"
            elif state.awaits_publication:
                stuck[batch.key] = "not published: launch publish_blocks for it"
        return stuck


class ImageSources(dg.ConfigurableResource[Any]):
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


class RedisPool(dg.ConfigurableResource[Any]):
    """The pool on Redis or Valkey.

    Attributes
    ----------
    url
        Address of the server; give it as ``dg.EnvVar`` so that the UI shows the variable's name and not a password.
    prefix
        First part of every key.
    ttl_seconds
        Life of a pushed block, seconds.
    """

    url: str
    prefix: str = DEFAULT_PREFIX
    ttl_seconds: int = 3600
    allow_unsafe: bool = False

    @contextmanager
    def connect(self) -> Iterator[PoolClient]:
        """Yield a client of a server that was found safe, and close it."""
        client = PoolClient.from_url(self.url, prefix=self.prefix, ttl_s=self.ttl_seconds)
        try:
            client.check_server_safety(allow_unsafe=self.allow_unsafe)
            yield client
        finally:
            client.close()


@contextmanager
def typed_failures() -> Iterator[None]:
    """Turn this project's errors into Dagster failures with their facts; only an absent pool is worth a retry."""
    try:
        yield
    except EntropyAssetsError as error:
        raise dg.Failure(
            description=error.message,
            metadata={"error": error.code, **{key: str(value) for key, value in error.data.items()}},
            allow_retries=isinstance(error, PoolUnavailable),
        ) from error
