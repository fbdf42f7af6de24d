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
import urllib.error
import urllib.request
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
from entropy_assets.shell import (
    EXIT_ERROR,
    EXIT_INTERRUPTED,
    EXIT_NO_BLOCK,
    EXIT_TOO_FEW,
    complain,
    json_option,
    settings_of,
    typed_errors,
)
from entropy_assets.sources.drop_folder import printable

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


main.add_command(keys)


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
    from entropy_assets import supervisor
    from entropy_assets.narrator import Narrator, settled

    settings = settings_of(home=home, simulated_camera=camera, http_port=http_port, dagster_port=dagster_port)
    say = _say_json if as_json else click.echo
    with supervisor.Installation.running(settings, say, began) as installation:
        dropped = supervisor.drop_samples(settings) if samples else 0
        say(f"inbox    {settings.inbox}" + (f", {dropped} sample images put into it" if dropped else ""))
        narrator = Narrator(settings)
        while not interrupted.wait(supervisor.POLL_SECONDS):
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
    from entropy_assets import process as pipeline

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
    from entropy_assets.audit import Trail
    from entropy_assets.serving.service import ServiceConfig, StreamLimits
    from entropy_assets.serving.workers import run_service
    from entropy_assets.stores.batches import BatchStore
    from entropy_assets.stores.images import ImageStore
    from entropy_assets.stores.ledger import Ledger

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


url_option = click.option("--url", default=None, help="Address of the service; by default the one of the settings.")


def service_url(url: str | None) -> str:
    """Return `url`, or the address of the service in the settings."""
    settings = settings_of()
    url = url or f"http://{settings.http_host}:{settings.http_port}"
    if not url.startswith(("http://", "https://")):
        raise click.BadParameter(f"{url!r} is no http:// or https:// address", param_hint="--url")
    return url.rstrip("/")


def with_key(command: Callable[P, R]) -> Callable[P, R]:
    """Add the options that say which API key is shown, and to whom."""
    key_file = click.option(
        "--key-file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="File with the API key; by default ENTROPY_API_KEY. A key on the command line would be seen by all.",
    )
    insecure = click.option(
        "--allow-insecure", is_flag=True, help="Send the key over plain HTTP to another machine all the same."
    )
    return key_file(insecure(command))


def api_key(key_file: Path | None) -> str | None:
    """Return the key in `key_file`, or the one of the settings."""
    if key_file is not None:
        return key_file.read_text(encoding="ascii", errors="replace").strip()
    key = settings_of().api_key
    return None if key is None else key.get_secret_value()


def fetch(url: str, as_json: bool, key: str | None = None) -> bytes:
    """Return the answer to GET `url`, or print the service's problem and leave."""
    request = urllib.request.Request(url)  # noqa: S310 - see service_url
    if key is not None:
        # Not add_header: a redirect would take the key to wherever it leads.
        request.add_unredirected_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - see service_url
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        problem = error.read().decode("utf-8", errors="replace")
        click.echo(problem if as_json else f"error: {_problem_detail(problem)}", err=not as_json)
        sys.exit(EXIT_TOO_FEW if error.code == 503 else EXIT_ERROR)
    except OSError as error:
        message = f"{url} does not answer ({error}); start the service with 'entropy-assets up', or name it with --url"
        complain("service-unreachable", message, {"url": url}, as_json)
        sys.exit(EXIT_ERROR)


def _problem_detail(text: str) -> str:
    try:
        return str(json.loads(text)["detail"])
    except (ValueError, KeyError, TypeError):
        return text


@main.command()
@click.argument("n", type=click.IntRange(min=1))
@click.option(
    "--class", "entropy_class", type=click.Choice(["private", "public"]), default="private", show_default=True
)
@click.option("--format", "form", type=click.Choice(["raw", "hex", "base64", "json"]), default="hex", show_default=True)
@url_option
@with_key
@json_option
@typed_errors
def draw(
    n: int, entropy_class: str, form: str, url: str | None, key_file: Path | None, allow_insecure: bool, as_json: bool
) -> None:
    """Draw N bytes from the service.

    'private' is mixed with the operating system's generator; 'public' is not, and is never for keys.
    """
    from entropy_assets.client.draws import require_confidence
    from entropy_assets.client.endpoint import Address

    form = "json" if as_json else form
    service, key = service_url(url), api_key(key_file)
    if key is not None:
        require_confidence([Address.parse(service)], key, mix=True, allow_insecure=allow_insecure)
    data = fetch(f"{service}/random/{n}?class={entropy_class}&format={form}", as_json, key)
    sys.stdout.buffer.write(data)
    if form != "raw" and not data.endswith(b"\n"):
        sys.stdout.buffer.write(b"\n")


@main.command()
@url_option
@json_option
def stats(url: str | None, as_json: bool) -> None:
    """Show what the service and the pool hold and have given out."""
    answer = json.loads(fetch(f"{service_url(url)}/stats", as_json))
    if as_json:
        click.echo(json.dumps(answer))
        return
    table = Table("what", "value", box=None)
    for name, value in flattened(answer):
        table.add_row(name, str(value))
    Console().print(table)


def flattened(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested objects under dotted names."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from flattened(item, f"{prefix}.{name}" if prefix else name)
    else:
        yield prefix, value


@main.command()
@click.argument("block_id")
@click.option(
    "--home", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Folder of the installation."
)
@json_option
@typed_errors
def audit(block_id: str, home: Path | None, as_json: bool) -> None:
    """Make a published block again from its images and compare it with the ledger."""
    from entropy_assets.audit import Trail
    from entropy_assets.stores.batches import BatchStore
    from entropy_assets.stores.images import ImageStore
    from entropy_assets.stores.ledger import Ledger

    settings = settings_of(home=home)
    trail = Trail(
        Ledger(settings.ledger_path, readonly=True),
        BatchStore(settings.batches_path),
        ImageStore(settings.images_path),
    )
    start = time.perf_counter()
    audited = trail.rewalk(block_id)
    if as_json:
        click.echo(json.dumps({**audited.provenance, "reproduced": True}))
        return
    images = audited.provenance["images"]
    click.echo(f"block {block_id} was made again from {len(images)} images in {time.perf_counter() - start:.1f} s")
    for image in images:
        click.echo(f"  {image['image_sha256']}  {printable(image['file'])}  ({image['source']})")


@main.command()
@click.option("--device", type=click.Path(path_type=Path), default="/dev/random", show_default=True)
@click.option("--bytes", "n", type=click.IntRange(1, 65_536), default=64, show_default=True, help="Bytes each time.")
@click.option(
    "--every", "every_s", type=click.FloatRange(min=1), default=60.0, show_default=True, help="Seconds between two."
)
@click.option("--once", is_flag=True, help="Feed once and end; exit code 4 if the service has too few bytes.")
@url_option
@with_key
@typed_errors
def feed(
    device: Path, n: int, every_s: float, once: bool, url: str | None, key_file: Path | None, allow_insecure: bool
) -> None:
    """Feed the kernel's generator with bytes of the service, without credit.

    The bytes are mixed in and can make nothing worse; the kernel does not count them as entropy.
    """
    from entropy_assets.client import RandomClient
    from entropy_assets.feed import feed_always, feed_once

    with RandomClient([service_url(url)], key=api_key(key_file), allow_insecure=allow_insecure) as client:
        if once:
            feed_once(client, device, n)
        else:
            feed_always(client, device, n, every_s, lambda words: click.echo(f"not fed: {words}", err=True))


if __name__ == "__main__":
    main()
