"""``entropy-assets serve``: the HTTP service alone."""

import logging
from typing import Any

import click

from entropy_assets.cli.shell import any_home_option, keys_place, settings_of, typed_errors, waiting_in
from entropy_assets.errors import PoolUnavailable


@click.command()
@click.option("--host", "http_host", help="Address to listen on. Off loopback, make keys and set limits first.")
@click.option("--port", "http_port", type=int, help="Port to listen on.")
@click.option("--workers", "http_workers", type=int, help="Processes that serve side by side.")
@click.option("--fast-lane/--no-fast-lane", default=None, help="Answer from memory inside the HTTP protocol.")
@any_home_option
@typed_errors
def serve(**options: Any) -> None:
    """Serve the pool over HTTP. Needs ENTROPY_REDIS_URL, or ENTROPY_REDIS_URLS."""
    from entropy_assets.provenance.trail import Trail
    from entropy_assets.serving.config import ServiceConfig, StreamLimits
    from entropy_assets.serving.logs import configure_logging, log_event
    from entropy_assets.serving.server.workers import run_service
    from entropy_assets.stores.home import Home

    settings = settings_of(**options)
    if settings.pool_address is None:
        raise click.UsageError("no pool: set ENTROPY_REDIS_URL, or run everything with 'entropy-assets up'")
    config = ServiceConfig(
        pool_url=settings.pool_address,
        pool_prefix=settings.pool_prefix,
        host=settings.http_host,
        port=settings.http_port,
        hosts=settings.hosts,
        max_request_bytes=settings.max_draw_bytes,
        streams=StreamLimits(most=settings.max_streams, max_download_bytes=settings.max_download_bytes),
        open_s=settings.open_seconds,
        workers=settings.http_workers,
        fast_lane=settings.fast_lane,
        low_water_bytes=settings.low_water_bytes,
        max_age_s=settings.max_age_seconds,
        access_log=settings.access_log,
        allow_unsafe_pool=settings.allow_unsafe_pool,
        dagster_url=settings.dagster_url,
        keys=keys_place(settings),
        anonymous_scopes=settings.anonymous,
        limit_requests=settings.limit_requests,
        limit_bytes=settings.limit_bytes,
    )
    place = Home.of(settings)
    configure_logging()
    with place.kept_private(lambda narrowed: log_event("home-narrowed", logging.WARNING, detail=narrowed)):
        trail = Trail.of(place, waiting_in(settings), settings.pool_ttl_seconds)
        try:
            run_service(config, provenance=trail)
        except PoolUnavailable as error:
            named = "ENTROPY_REDIS_URL" if settings.redis_urls is None else "ENTROPY_REDIS_URLS"
            message = f"{error.message.rstrip('.')}; look at the server and at {named}"
            raise PoolUnavailable(message, **error.data) from error
