"""What the commands that ask a service have in common: addresses, the key, and what is said when there is no answer."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import click

from entropy_assets.cli.shell import EXIT_ERROR, EXIT_TOO_FEW, complain, settings_of
from entropy_assets.errors import BlockUnknown, EndpointDry, EndpointUnreachable, NoBytes, RequestRefused

if TYPE_CHECKING:
    from entropy_assets.client import RandomClient

ANSWER_SECONDS: Final = 10.0
QUOTA_SPENT: Final = 429
P = ParamSpec("P")
R = TypeVar("R")


def of_services(command: Callable[P, R]) -> Callable[P, R]:
    """Add the options that say which services are asked, which API key is shown, and to whom."""
    url = click.option(
        "--url",
        "urls",
        multiple=True,
        help="Address of the service; by default the one of the settings. Several are asked in their order.",
    )
    key_file = click.option(
        "--key-file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="File with the API key; by default ENTROPY_API_KEY. A key on the command line would be seen by all.",
    )
    insecure = click.option(
        "--allow-insecure", is_flag=True, help="Send the key over plain HTTP to another machine all the same."
    )
    return url(key_file(insecure(command)))


def client_of(urls: Sequence[str], key_file: Path | None, allow_insecure: bool, **options: Any) -> "RandomClient":
    """Return the client of these services, or of the one in the settings.

    Parameters
    ----------
    urls, key_file, allow_insecure
        As `of_services` gives them.
    **options
        More arguments of `RandomClient`.

    Raises
    ------
    ClientMisused
        If the key can't be one, or would go to another machine in the clear.
    """
    from entropy_assets.client import RandomClient

    return RandomClient(_addresses(urls), key=_api_key(key_file), allow_insecure=allow_insecure, **options)


@contextmanager
def answering_client(
    urls: Sequence[str], key_file: Path | None, allow_insecure: bool, as_json: bool, **options: Any
) -> Iterator["RandomClient"]:
    """Yield the client of these services; if they answer by a problem, print it and leave."""
    try:
        with client_of(urls, key_file, allow_insecure, timeout_s=ANSWER_SECONDS, **options) as client:
            yield client
    except (BlockUnknown, NoBytes, RequestRefused) as problem:
        code, message, facts = _explained(problem)
        complain(code, message, facts, as_json)
        sys.exit(EXIT_TOO_FEW if _lacks_bytes(problem) else EXIT_ERROR)


def _addresses(urls: Sequence[str]) -> list[str]:
    for url in urls:
        if not url.startswith(("http://", "https://")):
            raise click.BadParameter(f"{url!r} is no http:// or https:// address", param_hint="--url")
    return list(urls) or [_address_of_settings()]


def _address_of_settings() -> str:
    settings = settings_of()
    host = f"[{settings.http_host}]" if ":" in settings.http_host else settings.http_host
    return f"http://{host}:{settings.http_port}"


def _api_key(key_file: Path | None) -> str | None:
    """Return the key in `key_file`, or the one of the settings."""
    if key_file is not None:
        return key_file.read_text(encoding="ascii", errors="replace").strip()
    key = settings_of().api_key
    return None if key is None else key.get_secret_value()


def _explained(problem: BlockUnknown | NoBytes | RequestRefused) -> tuple[str, str, dict[str, Any]]:
    """Return code, sentence and facts of a problem: the service's own words if one service was asked and said any."""
    failures = problem.data["failures"] if isinstance(problem, NoBytes) else [problem.data]
    if all(_is_silence(failure) for failure in failures):
        silent = ", ".join(f"{failure['endpoint']} does not answer ({failure['reason']})" for failure in failures)
        message = f"{silent}; start the service with 'entropy-assets up', or name it with --url"
        return "service-unreachable", message, {"url": failures[0]["endpoint"]}
    if len(failures) == 1 and "detail" in failures[0]:
        facts = {name: value for name, value in failures[0].items() if name != "code"}
        needs_key = facts.get("type") == "/problems/key-missing"
        way = "; name the file of a key with --key-file, or set ENTROPY_API_KEY" if needs_key else ""
        return problem.code, f"{facts['detail']}{way}", facts
    return problem.code, problem.message, problem.data


def _is_silence(failure: dict[str, Any]) -> bool:
    """Tell whether a service gave no answer at all."""
    return failure.get("code") == EndpointUnreachable.code and "status" not in failure


def _lacks_bytes(problem: BlockUnknown | NoBytes | RequestRefused) -> bool:
    """Tell whether a service has too few bytes for everybody; a spent quota is this user's own matter."""
    failures = problem.data.get("failures", ())
    return any(failure["code"] == EndpointDry.code and failure.get("status") != QUOTA_SPENT for failure in failures)
