"""``entropy-assets draw``, ``stats`` and ``feed``: the commands that ask a running service for bytes or counts."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from entropy_assets.cli.asking import api_key, ask, service_url, url_option, with_key
from entropy_assets.cli.shell import json_option, typed_errors


@click.command()
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
    form = "json" if as_json else form
    data = ask(f"/random/{n}?class={entropy_class}&format={form}", url, key_file, allow_insecure, as_json)
    sys.stdout.buffer.write(data)
    if form != "raw" and not data.endswith(b"\n"):
        sys.stdout.buffer.write(b"\n")


@click.command()
@url_option
@with_key
@json_option
@typed_errors
def stats(url: str | None, key_file: Path | None, allow_insecure: bool, as_json: bool) -> None:
    """Show what the service and the pool hold and have given out."""
    answer = json.loads(ask("/stats", url, key_file, allow_insecure, as_json))
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


@click.command()
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
    from entropy_assets.client.kernel import feed_always, feed_once

    with RandomClient([service_url(url)], key=api_key(key_file), allow_insecure=allow_insecure) as client:
        if once:
            feed_once(client, device, n)
        else:
            feed_always(client, device, n, every_s, lambda words: click.echo(f"not fed: {words}", err=True))
