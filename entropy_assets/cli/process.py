"""``entropy-assets process``: the pipeline over files and folders, without daemon or pool."""

import json
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from entropy_assets.cli.shell import (
    EXIT_NO_BLOCK,
    json_option,
    progress_bars,
    recipe_for,
    settings_of,
    source_option,
    table_console,
    typed_errors,
)
from entropy_assets.core.advice import lines_of_advice
from entropy_assets.recipe import recipe_named
from entropy_assets.stores.file_names import printable

if TYPE_CHECKING:
    from entropy_assets.stages.pipeline import ReportedBatch, ReportedImage, SkippedEntry


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Keep images, batches and ledger here.")
@source_option
@click.option("--deterministic", is_flag=True, help="Same images, same blocks: for tests, never for use.")
@json_option
@typed_errors
def process(paths: tuple[Path, ...], out: Path | None, source: str, deterministic: bool, as_json: bool) -> None:
    """Run the pipeline here and now over image files and folders, without daemon or pool.

    What the installation knows of where a feed fetched an image goes with it.

    Exit code 3 says that no block was made.
    """
    from entropy_assets.stages import pipeline
    from entropy_assets.stores.home import Home

    settings = settings_of()
    recipe_for(source, settings)
    folder = nullcontext(str(out)) if out else tempfile.TemporaryDirectory(prefix="entropy-assets-")
    with folder as root, ExitStack() as stack:
        home = Home(Path(root))
        stack.enter_context(home.kept_private(lambda narrowed: click.echo(f"{home.root}: {narrowed}", err=True)))
        report_progress = stack.enter_context(progress_bars(quiet=as_json))
        report = pipeline.process(
            paths,
            home,
            settings,
            source=source,
            deterministic=deterministic,
            os_bytes=os.urandom,
            progress=report_progress,
            origins=Home.of(settings).origins(),
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
        if out is None:
            click.echo("nothing of it was kept: --out FOLDER keeps images, blocks and ledger")
    if not report.passed_blocks:
        sys.exit(EXIT_NO_BLOCK)


def _print_report(
    images: Sequence["ReportedImage"], skipped: Iterable["SkippedEntry"], batches: Iterable["ReportedBatch"]
) -> None:
    from rich.table import Table
    from rich.text import Text

    console = table_console()
    table = Table(box=None)
    table.add_column("image", overflow="fold")
    for column in ("accepted", "credit, bits", "samples", "bits/sample"):
        # a reason that is cut off is none
        table.add_column(column, no_wrap=True, overflow="ignore")
    for row in images:
        verdict = Text("yes", "green") if row["accepted"] else Text(str(row["reason"]), "red")
        name = Text(row["file"])  # in a plain string rich would read markup
        numbers = (f"{row['credit_bits']:,}", f"{row['samples']:,}", f"{row['min_entropy']:.3f}")
        table.add_row(name, verdict, *numbers)
    console.print(table)
    for row in images:
        if row["detail"] and not row["accepted"]:
            console.print(f"refused {row['file']!r}: {printable(row['detail'])}", markup=False, soft_wrap=True)
    for line in lines_of_advice(row["reason"] for row in images):
        console.print(line, markup=False, soft_wrap=True)
    for item in skipped:
        console.print(f"skipped {item['file']!r}: {item['detail']}", markup=False)
    for batch in batches:
        console.print(
            f"batch {batch['key']}: {batch['blocks']} blocks, {batch['passed']} passed, {batch['rejected']} rejected\n"
            f"chain head {batch['chain_head']}\n"
            f"computed by {'; '.join(batch['computed_by'])}",
            markup=False,
            soft_wrap=True,
        )
        if not batch["blocks"] and any(row["accepted"] for row in images if row["batch"] == batch["key"]):
            needed = recipe_named(batch["recipe"]).block_credit_bits
            console.print(
                f"no block: too little credit for one, which takes {needed:,} bits; process more images together",
                soft_wrap=True,
            )
