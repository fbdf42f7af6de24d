"""What the commands that ask a service have in common: its address, the key, and one exchange."""

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from entropy_assets.cli.shell import EXIT_ERROR, EXIT_TOO_FEW, complain, settings_of

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
