"""``entropy-assets up``: everything at once."""

import json
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from entropy_assets.cli.shell import settings_of, typed_errors, waiting_in
from entropy_assets.stores.file_names import printable
from entropy_assets.stores.owned.processes import Flag


@click.command()
@click.option("--home", type=click.Path(path_type=Path, file_okay=False), help="Folder of everything that is kept.")
@click.option("--once", is_flag=True, help="End when the inbox is processed and the pool filled.")
@click.option("--samples/--no-samples", default=False, help="Put the bundled sample images into an unused inbox.")
@click.option("--camera/--no-camera", default=None, help="Fill a low pool from the simulated camera.")
@click.option("--http-port", type=int, help="Port of the HTTP service, 0 for any.")
@click.option("--dagster-port", type=int, help="Port of the Dagster UI, 0 for any.")
@click.option("--open", "open_browser", is_flag=True, help="Open the page in a browser once the service answers.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for machines.")
@typed_errors
def up(
    home: Path | None,
    once: bool,
    samples: bool,
    camera: bool | None,
    http_port: int | None,
    dagster_port: int | None,
    open_browser: bool,
    as_json: bool,
) -> None:
    """Run everything: pool server, Dagster with its daemon, HTTP service. Ctrl-C stops it all."""
    began = time.monotonic()
    interrupted = Flag()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, lambda *_: interrupted.set())
    from entropy_assets.stores.home import Home
    from entropy_assets.supervisor.browser import open_page
    from entropy_assets.supervisor.installation import POLL_SECONDS, Installation, drop_samples
    from entropy_assets.supervisor.narrator import Narrator, settled

    settings = settings_of(home=home, simulated_camera=camera, http_port=http_port, dagster_port=dagster_port)
    place, say = Home.of(settings), _say_json if as_json else _say
    with (
        place.kept_private(lambda narrowed: say(f"home     {place.root}: {narrowed}")),
        Installation.running(settings, say, began) as installation,
    ):
        dropped = drop_samples(place) if samples else 0
        inbox = place.inbox_url or place.inbox_folder
        say(f"inbox    {inbox}" + (f", {dropped} sample images put into it" if dropped else ""))
        narrator = Narrator(place, waiting_in(settings))
        while not interrupted.wait(POLL_SECONDS):
            for line in (*installation.advance(), *narrator.news()):
                say(line)
            if open_browser and "http" in installation.ready:
                open_page(installation.http_url, say)
                open_browser = False
            if once and installation.idle() and settled(settings, installation.pool.observer):
                break


def _say(line: str) -> None:
    click.echo(printable(line))


def _say_json(line: str) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    click.echo(json.dumps({"time": now, "line": printable(line)}))
