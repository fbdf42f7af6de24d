"""The one place that puts the definitions together, for the app and for the tests."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from entropy_assets.defs.assets import ASSETS, entropy_pool
from entropy_assets.defs.checks import CHECKS
from entropy_assets.defs.jobs import JOBS
from entropy_assets.defs.resources import EntropyStores, ImageSources, RedisPool
from entropy_assets.defs.schedules import SCHEDULES
from entropy_assets.defs.sensors import MAKERS
from entropy_assets.settings import Settings


def build_defs(settings: Settings, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Return all definitions for one installation.

    Parameters
    ----------
    settings
        Places, limits and thresholds.
    resource_overrides
        Resources that stand in for the ones made from `settings`, by name: ``stores``, ``pool``, ``sources``.
    """
    resources: dict[str, Any] = {
        "stores": EntropyStores.of(settings),
        # The variable's name and not its value, which may hold a password, goes into Dagster's storage.
        "pool": RedisPool(
            url=dg.EnvVar("ENTROPY_REDIS_URL"),
            prefix=settings.pool_prefix,
            ttl_seconds=settings.pool_ttl_seconds,
            allow_unsafe=settings.allow_unsafe_pool,
        ),
        "sources": ImageSources(simulated_camera=settings.simulated_camera, camera_frames=settings.camera_frames),
    }
    return dg.Definitions(
        assets=[*ASSETS, entropy_pool],
        asset_checks=CHECKS,
        jobs=JOBS,
        schedules=SCHEDULES,
        sensors=[make(settings) for make in MAKERS],
        resources={**resources, **(resource_overrides or {})},
        # A run is one batch and takes seconds; starting a process per step would take longer than the step.
        executor=dg.in_process_executor,
    )
