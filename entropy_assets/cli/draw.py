"""``entropy-assets draw``, ``stats`` and ``feed``: the commands that ask a running service for bytes or counts."""

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from entropy_assets.cli.asking import answering_client, client_of, of_services
from entropy_assets.cli.shell import FiniteRange, json_option, require_output, table_console, typed_errors
from entropy_assets.stores.file_names import printable

if TYPE_CHECKING:
    from entropy_assets.client import Drawn, PublicDraw

LONGEST_PAUSE_S: Final = 366 * 86_400.0
"""Longest time between two feedings, seconds: no clock waits for any number of them."""


@click.command()
@click.argument("n", type=click.IntRange(min=1))
@click.option(
    "--class", "entropy_class", type=click.Choice(["private", "public"]), default="private", show_default=True
)
@click.option("--format", "form", type=click.Choice(["raw", "hex", "base64", "json"]), default="hex", show_default=True)
@of_services
@json_option
@typed_errors
def draw(
    n: int,
    entropy_class: str,
    form: str,
    urls: tuple[str, ...],
    key_file: Path | None,
    allow_insecure: bool,
    as_json: bool,
) -> None:
    """Draw N bytes from the service.

    'private' is mixed with the operating system's generator, of the service's machine and of this one; 'public' is
    not, and is never for keys.
    """
    require_output()
    # All in one answer: where the service has too few, or never gives so many at once, none is lost.
    with answering_client(urls, key_file, allow_insecure, as_json, in_parts=False) as client:
        drawn = client.public(n) if entropy_class == "public" else client.draw(n)
    sys.stdout.buffer.write(_written(drawn, "json" if as_json else form))


def _written(drawn: "Drawn | PublicDraw", form: str) -> bytes:
    """Return the bytes as they are printed; all but raw ones are a line of text."""
    if form == "raw":
        return drawn.data
    if form == "json":
        text = json.dumps(_document(drawn), separators=(",", ":"))
    else:
        text = drawn.data.hex() if form == "hex" else base64.b64encode(drawn.data).decode()
    return text.encode() + b"\n"


def _document(drawn: "Drawn | PublicDraw") -> dict[str, Any]:
    """Return what the service's own JSON answer would say of these bytes."""
    from entropy_assets.client import PublicDraw

    document = {"n": len(drawn.data), "encoding": "base64", "data": base64.b64encode(drawn.data).decode()}
    if not isinstance(drawn, PublicDraw):
        return {**document, "class": "private", "simulated": drawn.simulated}
    blocks = [cut._asdict() for cut in drawn.blocks]
    public = {"class": "public", "simulated": drawn.simulated, "blocks": blocks, "reveals_at": drawn.reveals_at}
    return {**document, **public}


@click.command()
@of_services
@json_option
@typed_errors
def stats(urls: tuple[str, ...], key_file: Path | None, allow_insecure: bool, as_json: bool) -> None:
    """Show what the service and the pool hold and have given out."""
    with answering_client(urls, key_file, allow_insecure, as_json) as client:
        counts = client.stats()
    if as_json:
        click.echo(json.dumps(counts))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table("what", "value", box=None)
    for name, value in flattened(counts):
        # Text: in a plain string rich would read markup.
        table.add_row(Text(printable(name)), Text(printable(str(value))))
    table_console().print(table)


def flattened(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested objects under dotted names."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from flattened(item, f"{prefix}.{name}" if prefix else name)
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for place, item in enumerate(value, start=1):
            yield from flattened(item, f"{prefix}.{place}")
    else:
        yield prefix, value


@click.command()
@click.option("--device", type=click.Path(path_type=Path), default="/dev/random", show_default=True)
@click.option("--bytes", "n", type=click.IntRange(1, 65_536), default=64, show_default=True, help="Bytes each time.")
@click.option(
    "--every",
    "every_s",
    type=FiniteRange(1, LONGEST_PAUSE_S),
    default=60.0,
    show_default=True,
    help="Seconds between two.",
)
@click.option("--once", is_flag=True, help="Feed once and end; exit code 4 if the service has too few bytes.")
@of_services
@typed_errors
def feed(
    device: Path,
    n: int,
    every_s: float,
    once: bool,
    urls: tuple[str, ...],
    key_file: Path | None,
    allow_insecure: bool,
) -> None:
    """Feed the kernel's generator with bytes of the service, without credit.

    The bytes are mixed in and can make nothing worse; the kernel does not count them as entropy.
    """
    from entropy_assets.client.kernel import feed_always, feed_once

    with client_of(urls, key_file, allow_insecure) as client:
        if once:
            feed_once(client, device, n)
        else:
            feed_always(
                client, device, n, every_s, lambda reason: click.echo(f"not fed: {printable(reason)}", err=True)
            )
