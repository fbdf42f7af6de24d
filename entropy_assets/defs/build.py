"""The one place that puts the definitions together, for the app and for the tests."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from entropy_assets.defs.assets import ASSETS, entropy_pool
from entropy_assets.defs.checks import CHECKS
from entropy_assets.defs.engines.executors import executor_named
from entropy_assets.defs.jobs import JOBS
from entropy_assets.defs.reports.assets import REPORTS
from entropy_assets.defs.reports.jobs import nightly, nightly_reports
from entropy_assets.defs.resources import NO_PASSAGE, EntropyStores, ImageSources, RedisPool, fixed
from entropy_assets.defs.retention.jobs import daily_retention, retention
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
    resources: dict[str, object] = {
        "stores": EntropyStores.of(settings),
        "pool": RedisPool(
            url=settings.pool_address,
            prefix=settings.pool_prefix,
            ttl_seconds=settings.pool_ttl_seconds,
            allow_unsafe=settings.allow_unsafe_pool,
        ),
        "sources": ImageSources(simulated_camera=settings.simulated_camera, camera_frames=settings.camera_frames),
        **(resource_overrides or {}),
    }
    return dg.Definitions(
        assets=[*ASSETS, entropy_pool, *REPORTS],
        asset_checks=CHECKS,
        jobs=[*JOBS, nightly_reports, retention],
        schedules=[*SCHEDULES, nightly, daily_retention],
        sensors=[make(settings) for make in MAKERS],
        resources={"io_manager": NO_PASSAGE, **{name: fixed(resource) for name, resource in resources.items()}},
        executor=executor_named(settings.executor),
    )
