"""The one place that puts the definitions together, for the app and for the tests."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from entropy_assets.defs.assets import ASSETS, GPU, entropy_pool, make_noise_arrays, noise_arrays, raw_images
from entropy_assets.defs.checks import CHECKS
from entropy_assets.defs.engines.executors import executor_named
from entropy_assets.defs.feeds.asking import ImageFeeds
from entropy_assets.defs.feeds.assets import fed_by, feed_assets
from entropy_assets.defs.feeds.jobs import ingest_job, ingest_schedule
from entropy_assets.defs.jobs import JOBS, process_images
from entropy_assets.defs.reports.assets import REPORTS
from entropy_assets.defs.reports.jobs import nightly, nightly_reports
from entropy_assets.defs.resources import NO_PASSAGE, EntropyStores, ImageSources, RedisPool, fixed
from entropy_assets.defs.retention.jobs import daily_retention, retention
from entropy_assets.defs.schedules import SCHEDULES
from entropy_assets.defs.sensors import MAKERS, make_replenish_low_pool
from entropy_assets.settings import Settings


def build_defs(settings: Settings, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Return all definitions for one installation.

    Parameters
    ----------
    settings
        Places, limits and thresholds.
    resource_overrides
        Resources that stand in for the ones made from `settings`, by name: ``stores``, ``pool``, ``sources``,
        ``feeds``.
    """
    overrides = resource_overrides or {}
    feeds = overrides.get("feeds") or ImageFeeds.of(settings)
    asking = ingest_job(feeds)
    resources: dict[str, object] = {
        "stores": EntropyStores.of(settings),
        "pool": RedisPool(
            url=settings.pool_address,
            prefix=settings.pool_prefix,
            ttl_seconds=settings.pool_ttl_seconds,
            allow_unsafe=settings.allow_unsafe_pool,
        ),
        "sources": ImageSources(simulated_camera=settings.simulated_camera, camera_frames=settings.camera_frames),
        "feeds": feeds,
        **overrides,
    }
    return dg.Definitions(
        assets=[
            *feed_assets(feeds.configuration),
            *(_fitting(each, settings, feeds) for each in ASSETS),
            entropy_pool,
            *REPORTS,
        ],
        asset_checks=CHECKS,
        jobs=[process_images(settings.arrays), *JOBS, nightly_reports, retention, asking],
        schedules=[*SCHEDULES, nightly, daily_retention, ingest_schedule(feeds, asking)],
        sensors=[*(make(settings) for make in MAKERS), make_replenish_low_pool(settings, feeds, asking)],
        resources={"io_manager": NO_PASSAGE, **{name: fixed(resource) for name, resource in resources.items()}},
        executor=executor_named(settings.executor),
    )


def _fitting(asset: dg.AssetsDefinition, settings: Settings, feeds: ImageFeeds) -> dg.AssetsDefinition:
    """Return an asset of a batch as this installation has it: after its feeds, and by turns on its card."""
    if asset is raw_images:
        return fed_by(asset, feeds.configuration)
    if asset is noise_arrays and settings.arrays == "cupy":
        return make_noise_arrays(GPU)
    return asset
