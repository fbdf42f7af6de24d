"""An installation of its own for each test: real stores, a real pool, an instance that is forgotten afterwards."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import redis

from entropy_assets.defs import plots
from entropy_assets.defs.build import build_defs
from entropy_assets.defs.feeds.asking import ImageFeeds
from entropy_assets.defs.partitions import IMAGE_BATCHES
from entropy_assets.defs.resources import EntropyStores, ImageSources, RedisPool
from entropy_assets.recipe import DROP
from entropy_assets.settings import Settings

CHECKS = {"shannon_entropy", "chi_square", "runs", "autocorrelation"}
"""The four checks on the blocks that gate a run."""


@dataclass
class Home:
    """Definitions, instance and resources of one installation."""

    settings: Settings
    instance: dg.DagsterInstance
    stores: EntropyStores
    pool: RedisPool
    sources: ImageSources
    defs: dg.Definitions

    def drop(self, name: str, data: bytes) -> None:
        self.stores.inbox_of(DROP).deposit(name, data)

    def sensor(self, name: str) -> dg.SensorDefinition:
        return next(sensor for sensor in self.defs.sensors or [] if sensor.name == name)

    @property
    def resources(self) -> dict[str, Any]:
        """What a sensor asks for."""
        return {"stores": self.stores, "pool": self.pool, "feeds": ImageFeeds.of(self.settings)}

    def tick(self, sensor: str, cursor: str | None = None) -> Any:
        """Evaluate a sensor as the daemon does, register its partitions, and return its result."""
        context = dg.build_sensor_context(instance=self.instance, cursor=cursor, resources=self.resources)
        result = self.sensor(sensor)(context)
        for request in getattr(result, "dynamic_partitions_requests", None) or []:
            self.instance.add_dynamic_partitions(IMAGE_BATCHES, list(request.partition_keys))
        return result

    def run(self, job: str, key: str | None = None, *, only: str | None = None, fails: bool = False) -> Any:
        """Run a job in this process; of its assets only the one named."""
        selection = None if only is None else [dg.AssetKey(only)]
        definition = self.defs.resolve_job_def(job)
        return definition.execute_in_process(
            instance=self.instance,
            partition_key=key,
            asset_selection=selection,
            raise_on_error=not fails,
        )

    def batch_of(self, *contents: tuple[str, bytes]) -> str:
        """Drop files, let the sensor take them, and return the key of their batch."""
        for name, data in contents:
            self.drop(name, data)
        before = set(self.instance.get_dynamic_partitions(IMAGE_BATCHES))
        (key,) = {request.partition_key for request in self.tick("new_images").run_requests} - before
        return str(key)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the pictures of a run out: to draw them is half its work, and others show that they can be.

    The figures are made all the same, so what can't be plotted still fails; none is turned into pixels.
    """
    monkeypatch.setattr(plots, "as_markdown", lambda _, alternative, **__: dg.MetadataValue.md(f"![{alternative}]()"))


@pytest.fixture
def home(tmp_path: Path, valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    settings = Settings(home=tmp_path / "home", settle_seconds=0.0, simulated_camera=True, public_share=0.0)
    pool = RedisPool(url=valkey_url)
    # The definitions know only the default keys, and a pool counts what it was ever given: each test gets it empty.
    with dg.DagsterInstance.ephemeral() as instance, redis.Redis.from_url(valkey_url) as server:
        server.flushall()
        defs = build_defs(settings, {"pool": pool})
        stores = EntropyStores.of(settings)
        yield Home(settings, instance, stores, pool, ImageSources(simulated_camera=True, camera_frames=1), defs)


def with_share(home: Home, public_share: float | None) -> Home:
    """Give the same installation with another share of the public lane."""
    settings = home.settings.model_copy(update={"public_share": public_share})
    return replace(home, settings=settings, defs=build_defs(settings, {"pool": home.pool}))


def evaluations(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    """Give the name of each check that was evaluated, and whether it passed."""
    return {evaluation.check_name: evaluation.passed for evaluation in result.get_asset_check_evaluations()}
