"""``entropy-assets audit``: a block made again, by the ledger or as an outsider."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from entropy_assets.cli.asking import answering_client, of_services
from entropy_assets.cli.shell import json_option, settings_of, typed_errors
from entropy_assets.stores.file_names import printable

if TYPE_CHECKING:
    from entropy_assets.provenance.unchecked import Unchecked


@click.command()
@click.argument("block_id")
@click.option(
    "--home", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Folder of the installation."
)
@click.option(
    "--images",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Be an outsider: trust no installation, only the images in this folder and what the service tells.",
)
@of_services
@json_option
@typed_errors
def audit(
    block_id: str,
    home: Path | None,
    images: Path | None,
    urls: tuple[str, ...],
    key_file: Path | None,
    allow_insecure: bool,
    as_json: bool,
) -> None:
    """Make a published block again from its images and compare it with the ledger.

    With --images: with what the service tells of it at /blocks/BLOCK_ID, instead of the ledger. All images of its
    batch must be in that folder. What can't be checked is printed too.
    """
    start = time.perf_counter()
    if images is None:
        provenance, not_checked = _by_ledger(block_id, home)
    else:
        with answering_client(urls, key_file, allow_insecure, as_json) as client:
            provenance = client.provenance(block_id)
        not_checked = _by_outsider(provenance, images)
    if as_json:
        rows = [each.to_row() for each in not_checked]
        click.echo(json.dumps({**provenance, "reproduced": True, "not_checked": rows}))
        return
    behind, spent = [image for image in provenance["images"] if image["in_block"]], time.perf_counter() - start
    click.echo(f"block {block_id} was made again from {len(behind)} images in {spent:.1f} s")
    for image in behind:
        line = f"{image['image_sha256']}  {image['file']}  ({image['source']})"
        click.echo(f"  {printable(line)}")
    click.echo("not checked, so take it on trust or leave it:")
    for each in not_checked:
        click.echo(f"  - {printable(each.sentence)}")


def _by_ledger(block_id: str, home: Path | None) -> tuple[Mapping[str, Any], "tuple[Unchecked, ...]"]:
    from entropy_assets.provenance.rewalk import rewalk
    from entropy_assets.provenance.trail import Trail
    from entropy_assets.stores.home import Home

    trail = Trail.of(Home(settings_of(home=home).home))
    audited = rewalk(trail, block_id)
    return audited.provenance, audited.not_checked


def _by_outsider(provenance: Mapping[str, Any], images: Path) -> "tuple[Unchecked, ...]":
    from entropy_assets.images.limits import DecodeLimits
    from entropy_assets.provenance.outsider import ImageFolder, make_again

    settings = settings_of()
    limits = DecodeLimits(max_file_bytes=settings.max_file_bytes, max_pixels=settings.max_pixels)
    return make_again(provenance, ImageFolder(images), limits).not_checked
