"""``entropy-assets audit``: a block made again, by the ledger or as an outsider."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from entropy_assets.cli.asking import answering_client, of_services
from entropy_assets.cli.feeds.told import feeds_of
from entropy_assets.cli.shell import FiniteRange, home_option, json_option, settings_of, typed_errors
from entropy_assets.client.kept import KeptAnswer
from entropy_assets.errors import AnswerMalformed, InputRefused, NotRevealed
from entropy_assets.stores.file_names import printable

if TYPE_CHECKING:
    from entropy_assets.client.draws import RandomClient
    from entropy_assets.provenance.refetching import Refetched
    from entropy_assets.provenance.unchecked import Unchecked
    from entropy_assets.settings import Settings
    from entropy_assets.sources.feeds.configuration import Configuration
    from entropy_assets.sources.feeds.interface import Reader

TELLING_S: Final = 3.0
LONGEST_LEFT_S: Final = 1e9
"""Longest time in which a service may say that a block reveals, seconds; a public one does within minutes."""
_OF_BLOCK: Final = ("slices", "block_nonce")
LONGEST_LINE: Final = 300
"""Longest text of others in one line, characters."""
_TOLD_OF_ORIGIN: Final = {
    "url": "fetched from",
    "fetched_at": "fetched at",
    "dated_at": "dated",
    "instrument": "instrument",
    "credit": "credit",
    "licence": "licence",
    "etag": "ETag",
}
_OF_IMAGE: Final = "sampling_nonce"


@click.command()
@click.argument("block_id")
@home_option
@click.option(
    "--images",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Be an outsider: trust no installation, only the images in this folder and what the service tells.",
)
@click.option(
    "--wait",
    "wait_s",
    type=FiniteRange(0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="With --images: how long to wait for a block to reveal. One that was drawn does within seconds.",
)
@click.option(
    "--told",
    "told_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="With --images: what the service told at /blocks/BLOCK_ID, as it was kept, instead of asking it now.",
)
@click.option(
    "--answer",
    "answer_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A public answer as JSON, as it was kept: see that its bytes of this block are those that the images give.",
)
@click.option(
    "--refetch", is_flag=True, help="Fetch each image again from where it came, and say whether it still is the same."
)
@of_services
@json_option
@typed_errors
def audit(
    block_id: str,
    home: Path | None,
    images: Path | None,
    wait_s: float,
    told_file: Path | None,
    answer_file: Path | None,
    refetch: bool,
    urls: tuple[str, ...],
    key_file: Path | None,
    allow_insecure: bool,
    as_json: bool,
) -> None:
    """Make a published block again from its images and compare it with the ledger.

    With --answer: also the bytes that were drawn of it, byte by byte.

    By the ledger, what others may not know yet is not printed: where the block was sampled.

    With --images: with what the service tells of it at /blocks/BLOCK_ID, instead of the ledger. All images of its
    batch must be in that folder. What can't be checked is printed too.

    With --refetch servers are asked, by https and at public addresses alone; by the ledger also those that the table of
    a feed allows in this installation. What they say decides nothing.
    """
    # Not for an outsider: whoever tells him of a block could have him ask the servers of his own network.
    feeds = feeds_of(settings_of(home=home)) if refetch and images is None else None
    if told_file and images is None:
        raise click.UsageError("--told is for --images FOLDER: by the ledger nothing is asked")
    answer = KeptAnswer.read(answer_file) if answer_file else None
    start = time.perf_counter()
    if images is None:
        provenance, data, not_checked = _by_ledger(block_id, home)
    else:
        if told_file:
            provenance = _kept(told_file, block_id)
        else:
            with answering_client(urls, key_file, allow_insecure, as_json) as client:
                provenance = _revealed(client, block_id, wait_s, quiet=as_json)
        start = time.perf_counter()  # what was waited for the block is no work
        data, not_checked = _by_outsider(provenance, images)
    stretches = answer.require_bytes_of(block_id, data) if answer else ()
    spent = time.perf_counter() - start
    behind = [image for image in provenance["images"] if image["in_block"]]
    fetched = _fetched_again(behind, feeds) if refetch else None
    if as_json:
        document = {**provenance, "reproduced": True, "not_checked": [each.to_row() for each in not_checked]}
        if answer:
            document["answer"] = [asdict(each) for each in stretches]
        if fetched:
            document["refetched"] = [each.to_row() for each in fetched]
        click.echo(json.dumps(document))
        return
    images_said = "1 image" if len(behind) == 1 else f"{len(behind)} images"
    click.echo(f"block {block_id} was made again from {images_said} in {spent:.1f} s, with the same SHA-256")
    for each in stretches:
        click.echo(f"  {each}")
    _print_findings(behind, not_checked, fetched)


def _print_findings(
    behind: Iterable[Mapping[str, Any]], not_checked: "Iterable[Unchecked]", fetched: "Iterable[Refetched] | None"
) -> None:
    """Print which images are behind a block, what nobody could check, and what their servers said."""
    for image in behind:
        line = f"{image['image_sha256']}  {image['file']}  ({image['source']})"
        click.echo(f"  {printable(line)}")
        for line in _of_origin(image.get("origin") or {}):
            click.echo(f"    {line}")
    click.echo("not checked, so take it on trust or leave it:")
    for each in not_checked:
        click.echo(f"  - {printable(each.sentence)}")
    if fetched:
        click.echo("fetched again, which decides nothing:")
        for found in fetched:
            line = f"{found.image_sha256}  {found.outcome}{': ' if found.reason else ''}{found.reason}"
            click.echo(f"  {printable(line)}")


def _fetched_again(images: Iterable[Mapping[str, Any]], feeds: "Configuration | None") -> "Iterator[Refetched]":
    from entropy_assets.provenance.refetching import fetched_again

    return fetched_again(images, web_reader_of(settings_of(), feeds))


def web_reader_of(
    settings: "Settings", feeds: "Configuration | None" = None
) -> "Callable[[Mapping[str, Any]], Reader | None]":
    """Return what gives a reader for an origin.

    It asks the hosts that the table of the origin's feed allows, and checks them as the table says, if `feeds` has it
    and the URL is at one of them; else the host of the URL alone, by https, at a public address.
    """
    from entropy_assets.sources.feeds.tables.fields import WebTable
    from entropy_assets.sources.feeds.web.hosts import HostRules, rules_of
    from entropy_assets.sources.feeds.web.limits import WebLimits
    from entropy_assets.sources.feeds.web.pacing import Pacing
    from entropy_assets.sources.feeds.web.reader import HttpReader
    from entropy_assets.sources.feeds.web.urls import WebUrl

    pacing = Pacing()
    limits = WebLimits(image_bytes=settings.max_file_bytes, image_pixels=settings.max_pixels)

    def reader_of(origin: Mapping[str, Any]) -> "Reader | None":
        table = None if feeds is None else feeds.feeds.get(str(origin.get("feed")))
        try:
            url = WebUrl.read(str(origin["url"]))
            rules, trusted = HostRules([url.authority]), None
            if isinstance(table, WebTable) and (told := rules_of(table)).allows(url):
                rules, trusted = told, table.trusted_file
        except ValueError:
            return None
        return HttpReader("audit", rules, pacing=pacing, limits=limits, tls=trusted)

    return reader_of


def _of_origin(origin: Mapping[str, object]) -> Iterator[str]:
    """Yield what is told of where an image was fetched, in short lines."""
    for name, title in _TOLD_OF_ORIGIN.items():
        if name in origin:
            text = printable(str(origin[name]))
            yield f"{title}: {text[:LONGEST_LINE]}{'...' if len(text) > LONGEST_LINE else ''}"


def _by_ledger(block_id: str, home: Path | None) -> tuple[Mapping[str, Any], bytes, "tuple[Unchecked, ...]"]:
    from entropy_assets.provenance.rewalk import rewalk
    from entropy_assets.provenance.trail import Trail
    from entropy_assets.stores.home import Home

    trail = Trail.of(Home.of(settings_of(home=home)))
    audited = rewalk(trail, block_id)
    return _without_nonces(audited.provenance), audited.data, audited.not_checked


def _without_nonces(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is printed: who reads it may not read the batch, and the block may still wait to be drawn."""
    images = [{name: value for name, value in image.items() if name != _OF_IMAGE} for image in provenance["images"]]
    return {name: value for name, value in provenance.items() if name not in _OF_BLOCK} | {"images": images}


def _revealed(client: "RandomClient", block_id: str, wait_s: float, *, quiet: bool) -> Mapping[str, Any]:
    """Return where a block comes from, once its service tells all of it.

    Raises
    ------
    NotRevealed
        If it does not within `wait_s` seconds, or says that it never will.
    AnswerMalformed
        If it says so in a number of seconds that is none.
    """
    begun = time.monotonic()
    deadline = begun + wait_s
    while not (told := client.provenance(block_id)).get("revealed", True):
        left_s = _seconds_left(told)
        now = time.monotonic()
        # who holds a block tells the pool at once, and yet later than it answers who drew
        is_told = now - begun > min(TELLING_S, wait_s)
        if left_s is None or (now + left_s > deadline and is_told):
            raise NotRevealed(
                f"block {block_id}: {told.get('problem')}", block_id=block_id, reveals_in_s=left_s
            )  # fmt: skip
        _count_down(left_s + 0.1 if now + left_s <= deadline else 0.5, quiet=quiet)
    return told


def _seconds_left(told: Mapping[str, Any]) -> float | None:
    """Return in how many seconds a block reveals, as its service says; None for never."""
    left_s = told.get("reveals_in_s")
    # a negative time would have the service asked without a pause, and one that is no number compares with no deadline
    if left_s is None or (type(left_s) in (int, float) and 0 <= left_s <= LONGEST_LEFT_S):
        return left_s
    reason = "a time in which the block reveals that is none"
    raise AnswerMalformed(f"the service answers {reason}", block_id=told["block_id"], reason=reason)


def _kept(told_file: Path, block_id: str) -> Mapping[str, Any]:
    """Return what was told of a block before."""
    try:
        told = json.loads(told_file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputRefused(f"{told_file} is no JSON ({error}); keep what /blocks/{block_id} answers") from error
    if not isinstance(told, dict) or told.get("block_id") != block_id:
        raise InputRefused(f"{told_file} does not tell of block {block_id}; keep what /blocks/{block_id} answers")
    return told


def _count_down(seconds: float, *, quiet: bool) -> None:
    """Wait, and say on a terminal for how much longer."""
    until = time.monotonic() + seconds
    shown = not quiet and sys.stderr.isatty()
    while (left := until - time.monotonic()) > 0:
        if shown:
            click.echo(f"\rthe block reveals in {left:.0f} s ", nl=False, err=True)
        time.sleep(min(1.0, left))
    if shown:
        click.echo("\r\033[K", nl=False, err=True)


def _by_outsider(provenance: Mapping[str, Any], images: Path) -> "tuple[bytes, tuple[Unchecked, ...]]":
    from entropy_assets.images.limits import DecodeLimits
    from entropy_assets.provenance.image_folder import ImageFolder
    from entropy_assets.provenance.outsider import make_again

    settings = settings_of()
    limits = DecodeLimits(max_file_bytes=settings.max_file_bytes, max_pixels=settings.max_pixels)
    again = make_again(provenance, ImageFolder(images), limits)
    return again.data, again.not_checked
