"""The ``entropy-assets`` command.

Exit codes: 0 done; 1 this project's error, in one sentence with what to do next; 2 wrong usage; 3 ``process``
made no block; 4 the service or pool has too few bytes; 130 interrupted.
"""

import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from entropy_assets.keys_command import keys
from entropy_assets.recipe import DROP, recipe_named
from entropy_assets.service_commands import audit, draw, feed, stats
from entropy_assets.shell import EXIT_INTERRUPTED, EXIT_NO_BLOCK, json_option, settings_of, typed_errors
from entropy_assets.stores.inbox import printable

P = ParamSpec("P")
R = TypeVar("R")


class Interruptible(click.Group):
    """A group whose commands end with 130 when they are interrupted; click's own answer is 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(EXIT_INTERRUPTED)


@click.group(cls=Interruptible, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="entropy-assets")
def main() -> None:
    r"""Auditable randomness from space images.

    \b
    Exit codes: 0 done; 1 error; 2 wrong usage; 3 'process' made no block;
    4 the service has too few bytes; 130 interrupted.
    """


for command in (keys, draw, stats, feed, audit):
    main.add_command(command)


@main.command()
@click.option("--home", type=click.Path(path_type=Path, file_okay=False), help="Folder of everything that is kept.")
@click.option("--once", is_flag=True, help="End when the inbox is processed and the pool filled.")
@click.option("--samples/--no-samples", default=False, help="Put the bundled sample images into an unused inbox.")
@click.option("--camera/--no-camera", default=None, help="Fill a low pool from the simulated camera.")
@click.option("--http-port", type=int, help="Port of the HTTP service, 0 for any.")
@click.option("--dagster-port", type=int, help="Port of the Dagster UI, 0 for any.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for machines.")
@typed_errors
def up(
    home: Path | None,
    once: bool,
    samples: bool,
    camera: bool | None,
    http_port: int | None,
    dagster_port: int | None,
    as_json: bool,
) -> None:
    """Run everything: pool server, Dagster with its daemon, HTTP service. Ctrl-C stops it all."""
    began = time.monotonic()
    interrupted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: interrupted.set())
    from entropy_assets.supervisor.installation import POLL_SECONDS, Installation, drop_samples
    from entropy_assets.supervisor.narrator import Narrator, settled

    settings = settings_of(home=home, simulated_camera=camera, http_port=http_port, dagster_port=dagster_port)
    say = _say_json if as_json else click.echo
    with Installation.running(settings, say, began) as installation:
        dropped = drop_samples(settings) if samples else 0
        say(f"inbox    {settings.inbox}" + (f", {dropped} sample images put into it" if dropped else ""))
        narrator = Narrator(settings)
        while not interrupted.wait(POLL_SECONDS):
            for line in (*installation.advance(), *narrator.news()):
                say(line)
            if once and installation.idle() and settled(settings, installation.pool.observer):
                break


def _say_json(line: str) -> None:
    click.echo(json.dumps({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "line": line}))


@main.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Keep images, batches and ledger here.")
@click.option(
    "--source",
    default=DROP,
    help="Where the files come from, if you vouch for it: one of the recipe's sources. By default nobody does.",
)
@click.option("--deterministic", is_flag=True, help="Same images, same blocks: for tests, never for use.")
@json_option
@typed_errors
def process(paths: tuple[Path, ...], out: Path | None, source: str, deterministic: bool, as_json: bool) -> None:
    """Run the pipeline here and now over image files and folders, without daemon or pool.

    Exit code 3 says that no block was made.
    """
    from entropy_assets.stages import pipeline

    settings = settings_of()
    listed = recipe_named(settings.recipe).sources
    if source not in (DROP, *listed):
        raise click.UsageError(f"no source is called {source!r}; recipe {settings.recipe} lists {', '.join(listed)}")
    folder = nullcontext(str(out)) if out else tempfile.TemporaryDirectory(prefix="entropy-assets-")
    with folder as root, progress_bars(quiet=as_json) as report_progress:
        report = pipeline.process(
            paths,
            pipeline.Workplace.at(Path(root)),
            settings,
            source=source,
            deterministic=deterministic,
            os_bytes=os.urandom,
            progress=report_progress,
        )
    if as_json:
        click.echo(
            json.dumps(
                {
                    "images": report.images,
                    "skipped": report.skipped,
                    "batches": report.batches,
                    "timings": report.timings,
                }
            )
        )
    else:
        _print_report(report.images, report.skipped, report.batches)
    if not report.passed_blocks:
        sys.exit(EXIT_NO_BLOCK)


@contextmanager
def progress_bars(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Give a function that moves one bar per stage on standard error, if that is a terminal."""
    console = Console(stderr=True, quiet=quiet)
    bars = Progress(
        TextColumn("{task.description:10}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    tasks: dict[str, Any] = {}

    def move(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage, total=total)
        bars.update(tasks[stage], completed=done, total=total)

    with bars:
        yield move


def _print_report(images: list[dict[str, Any]], skipped: list[dict[str, str]], batches: list[dict[str, Any]]) -> None:
    console = Console()
    table = Table(box=None)
    table.add_column("image", overflow="fold")
    for column in ("accepted", "reason", "credit, bits", "samples", "bits/sample"):
        # a reason that is cut off is none
        table.add_column(column, no_wrap=True, overflow="ignore")
    for row in images:
        verdict = "[green]yes[/]" if row["accepted"] else "[red]no[/]"
        name = printable(row["file"]).replace("[", r"\[")
        numbers = (f"{row['credit_bits']:,}", f"{row['samples']:,}", f"{row['min_entropy']:.3f}")
        table.add_row(name, verdict, row["reason"] or "", *numbers)
    console.print(table)
    for item in skipped:
        console.print(f"skipped {printable(item['file'])!r}: {item['detail']}", markup=False)
    for batch in batches:
        console.print(
            f"batch {batch['key']}: {batch['blocks']} blocks, {batch['passed']} passed, {batch['rejected']} rejected\n"
            f"chain head {batch['chain_head']}",
            markup=False,
            soft_wrap=True,
        )


@main.command()
@click.option("--host", help="Address to listen on. Off loopback, make keys and set limits first.")
@click.option("--port", type=int, help="Port to listen on.")
@click.option("--workers", type=int, help="Processes that serve side by side.")
@click.option("--fast-lane/--no-fast-lane", default=None, help="Answer from memory inside the HTTP protocol.")
@typed_errors
def serve(host: str | None, port: int | None, workers: int | None, fast_lane: bool | None) -> None:
    """Serve the pool over HTTP. Needs ENTROPY_REDIS_URL."""
    from entropy_assets.provenance.trail import Trail
    from entropy_assets.serving.service import ServiceConfig, StreamLimits
    from entropy_assets.serving.workers import run_service
    from entropy_assets.stores.batches import BatchStore
    from entropy_assets.stores.images import ImageStore
    from entropy_assets.stores.ledger.sqlite import Ledger

    settings = settings_of(http_host=host, http_port=port, http_workers=workers, fast_lane=fast_lane)
    if settings.redis_url is None:
        raise click.UsageError("no pool: set ENTROPY_REDIS_URL, or run everything with 'entropy-assets up'")
    config = ServiceConfig(
        pool_url=settings.redis_url.get_secret_value(),
        pool_prefix=settings.pool_prefix,
        host=settings.http_host,
        port=settings.http_port,
        max_request_bytes=settings.max_draw_bytes,
        streams=StreamLimits(most=settings.max_streams, max_download_bytes=settings.max_download_bytes),
        workers=settings.http_workers,
        fast_lane=settings.fast_lane,
        low_water_bytes=settings.low_water_bytes,
        max_age_s=settings.max_age_seconds,
        access_log=settings.access_log,
        allow_unsafe_pool=settings.allow_unsafe_pool,
        dagster_url=settings.dagster_url,
        keys=settings.keys_place,
        anonymous_scopes=settings.anonymous,
        limit_requests=settings.limit_requests,
        limit_bytes=settings.limit_bytes,
    )
    trail = Trail(
        Ledger(settings.ledger_path, readonly=True),
        BatchStore(settings.batches_path),
        ImageStore(settings.images_path),
    )
    run_service(config, provenance=trail)


if __name__ == "__main__":
    main()
