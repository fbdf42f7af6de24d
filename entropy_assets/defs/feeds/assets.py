"""An asset outside of Dagster for each feed: nothing makes it, and whoever asks the feed tells what it brought."""

from datetime import timedelta

import dagster as dg

from entropy_assets.defs.assets import OWNERS
from entropy_assets.sources.feeds.configuration import Configuration
from entropy_assets.sources.feeds.tables.fields import FeedTable

GROUP = "feeds"
SHORTEST_WINDOW_S = 120.0
"""Dagster takes no window of less than a minute, and warns after half of it."""


def key_of(name: str) -> dg.AssetKey:
    """Return the key of the asset of a feed."""
    return dg.AssetKey(["feeds", name])


def feed_assets(configuration: Configuration) -> list[dg.AssetSpec]:
    """Return the asset of each feed that is looked at."""
    return [_asset(name, table) for name, table in configuration.enabled.items()]


def fed_by(assets: dg.AssetsDefinition, configuration: Configuration) -> dg.AssetsDefinition:
    """Return `assets` downstream of all feeds that are looked at."""
    feeds = [key_of(name) for name in configuration.enabled]
    return assets.map_asset_specs(lambda spec: spec.merge_attributes(deps=feeds)) if feeds else assets


def _asset(name: str, table: FeedTable) -> dg.AssetSpec:
    kind = str(getattr(table, "kind", ""))
    about = {
        "kind": kind,
        "host": table.host,
        "claim": table.claim,
        "cadence_seconds": float(table.cadence_seconds),
        **({"credit": table.credit} if table.credit else {}),
        **({"licence": table.licence} if table.licence else {}),
    }
    return dg.AssetSpec(
        key_of(name),
        group_name=GROUP,
        kinds={"image"},
        owners=OWNERS,
        tags={"entropy/feed": kind},
        metadata=about,
        freshness_policy=_freshness(table),
        description=(
            f"{table.instrument or 'Images'} from {table.host}, vouched for as '{table.claim}'. Outside of "
            "Dagster: each look at it is an observation, and each that brought new images a materialization too, by "
            "which its freshness is judged. Read docs/feeds.md when it is in trouble."
        ),
    )


def _freshness(table: FeedTable) -> dg.FreshnessPolicy | None:
    """Return how fresh a feed must be kept; an archive has no such bound."""
    if table.max_age_seconds is None:
        return None
    window = timedelta(seconds=max(SHORTEST_WINDOW_S, table.max_age_seconds))
    return dg.FreshnessPolicy.time_window(fail_window=window, warn_window=window / 2)
