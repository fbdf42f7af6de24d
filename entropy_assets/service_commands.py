"""The commands that ask a running service: ``draw``, ``stats``, ``feed``, and ``audit`` as an outsider."""

import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
from rich.console import Console
from rich.table import Table

from entropy_assets.shell import EXIT_ERROR, EXIT_TOO_FEW, complain, json_option, settings_of, typed_errors
from entropy_assets.stores.inbox import printable

P = ParamSpec("P")
R = TypeVar("R")

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


def ask(path: str, url: str | None, key_file: Path | None, allow_insecure: bool, as_json: bool) -> bytes:
    """Return what the service answers to GET `path`, shown the key if there is one.

    Raises
    ------
    ClientMisused
        If the key would go to another machine in the clear.
    """
    from entropy_assets.client.draws import require_confidence
    from entropy_assets.client.endpoint import Address

    service, key = service_url(url), api_key(key_file)
    if key is not None:
        require_confidence([Address.parse(service)], key, mix=True, allow_insecure=allow_insecure)
    return fetch(service + path, as_json, key)


def fetch(url: str, as_json: bool, key: str | None = None) -> bytes:
    """Return the answer to GET `url`, or print the service's problem and leave."""
    request = urllib.request.Request(url)  # noqa: S310 - see service_url
    if key is not None:
        # Not add_header: a redirect would take the key to wherever it leads.
        request.add_unredirected_header("Authorization", f"Bearer {key}")
    try:
        with _straight().open(request, timeout=10) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        problem = error.read().decode("utf-8", errors="replace")
        click.echo(problem if as_json else f"error: {_problem_detail(problem)}", err=not as_json)
        sys.exit(EXIT_TOO_FEW if error.code == 503 else EXIT_ERROR)
    except OSError as error:
        message = f"{url} does not answer ({error}); start the service with 'entropy-assets up', or name it with --url"
        complain("service-unreachable", message, {"url": url}, as_json)
        sys.exit(EXIT_ERROR)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow none: it could lead out of TLS, with bytes that are secret."""


def _straight() -> urllib.request.OpenerDirector:
    """Return what asks the service itself; a proxy of the environment would read key and bytes, loopback's as well."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


def _problem_detail(text: str) -> str:
    try:
        return str(json.loads(text)["detail"])
    except (ValueError, KeyError, TypeError):
        return text


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
    from entropy_assets.feed import feed_always, feed_once

    with RandomClient([service_url(url)], key=api_key(key_file), allow_insecure=allow_insecure) as client:
        if once:
            feed_once(client, device, n)
        else:
            feed_always(client, device, n, every_s, lambda words: click.echo(f"not fed: {words}", err=True))


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
@url_option
@with_key
@json_option
@typed_errors
def audit(
    block_id: str,
    home: Path | None,
    images: Path | None,
    url: str | None,
    key_file: Path | None,
    allow_insecure: bool,
    as_json: bool,
) -> None:
    """Make a published block again from its images and compare it with the ledger.

    With --images: with what the service tells of it at /blocks/BLOCK_ID, instead of the ledger.
    """
    start = time.perf_counter()
    if images is None:
        told = _by_ledger(block_id, home)
    else:
        told = json.loads(ask(f"/blocks/{block_id}", url, key_file, allow_insecure, as_json))
        _by_outsider(told, images)
    if as_json:
        click.echo(json.dumps({**told, "reproduced": True}))
        return
    count, spent = len(told["images"]), time.perf_counter() - start
    click.echo(f"block {block_id} was made again from {count} images in {spent:.1f} s")
    for image in told["images"]:
        click.echo(f"  {image['image_sha256']}  {printable(image['file'])}  ({image['source']})")


def _by_ledger(block_id: str, home: Path | None) -> dict[str, Any]:
    from entropy_assets.provenance.rewalk import rewalk
    from entropy_assets.provenance.trail import Trail
    from entropy_assets.stores.batches import BatchStore
    from entropy_assets.stores.images import ImageStore
    from entropy_assets.stores.ledger.sqlite import Ledger

    settings = settings_of(home=home)
    trail = Trail(
        Ledger(settings.ledger_path, readonly=True),
        BatchStore(settings.batches_path),
        ImageStore(settings.images_path),
    )
    return rewalk(trail, block_id).provenance


def _by_outsider(told: Mapping[str, Any], images: Path) -> None:
    from entropy_assets.provenance.outsider import images_in, make_again

    make_again(told, images_in(images))
