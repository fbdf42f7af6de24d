"""``entropy-assets keys``: make, list and revoke the API keys of the HTTP service."""

import json
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from entropy_assets.cli.shell import (
    EXIT_ERROR,
    FiniteRange,
    any_home_option,
    home_option,
    json_option,
    keys_place,
    require_output,
    settings_of,
    table_console,
    typed_errors,
)
from entropy_assets.errors import KeysUnreadable
from entropy_assets.scopes import SCOPES, Scope
from entropy_assets.stores.file_names import printable

if TYPE_CHECKING:
    from entropy_assets.stores.api_keys import KeyRecord, KeyStore

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_LONGEST_S: Final = 100 * 366 * 86_400


def _seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Return the seconds in a time such as ``90s``, ``12h`` or ``30d``."""
    if value is None:
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,7})([smhdw])", value, re.ASCII)
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if not 0 < seconds <= _LONGEST_S:
        raise click.BadParameter(f"{value!r} is no time: write 90s, 15m, 12h, 30d or 8w, at most 100 years")
    return seconds


@click.group()
@click.pass_context
def keys(ctx: click.Context) -> None:
    """Make, list and revoke the API keys of the HTTP service.

    They are kept where ENTROPY_KEYS says, by default in keys.json in the installation's folder, which is that of the
    service: by ENTROPY_HOME or --home. A running service follows within two seconds.
    """
    from entropy_assets.stores.durable import private_files

    ctx.with_resource(private_files())


@keys.command("create")
@click.argument("name")
@click.option("--scope", "scopes", type=click.Choice(SCOPES), multiple=True, default=("draw",), show_default=True)
@click.option(
    "--expires",
    metavar="TIME",
    callback=_seconds,
    help="Its life: 90s, 15m, 12h, 30d, 8w. By default no end.",
)
@click.option("--requests-per-second", type=FiniteRange(0, 1e9, min_open=True), help="Its own limit in requests.")
@click.option("--bytes-per-second", type=click.IntRange(1, 10**12), help="Its own limit in bytes.")
@any_home_option
@json_option
@typed_errors
def create_key(
    name: str,
    scopes: tuple[Scope, ...],
    expires: int | None,
    requests_per_second: float | None,
    bytes_per_second: int | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Make a key for NAME and print it, once: only its hash is kept.

    What may be had without a key, every key may have too. A key that can't be printed is revoked at once.
    """
    from entropy_assets.stores.api_keys import create

    require_output()
    store = _store(home)
    key, record = create(
        store,
        name,
        random_bytes=os.urandom,
        scopes=scopes,
        expires_in_s=expires,
        requests_per_s=requests_per_second,
        bytes_per_s=bytes_per_second,
    )
    try:
        click.echo(json.dumps({"key": key, **_facts(record)}) if as_json else key)
    except OSError as error:
        click.echo(f"error: the key could not be printed ({error.strerror}); {_undone(store, record)}", err=True)
        sys.exit(EXIT_ERROR)
    if as_json:
        return
    kept = f"its hash is {_place(home)}"
    click.echo(f"id {record.id}, {', '.join(record.scopes)}; {kept}; it is not shown again: keep it now", err=True)


@keys.command("list")
@home_option
@json_option
@typed_errors
def list_keys(home: Path | None, as_json: bool) -> None:
    """Show what is known of each key: never the key, which nobody has but its holder."""
    keys_known = [_facts(record) for record in _store(home).records()]
    if as_json:
        click.echo(json.dumps(keys_known))
        return
    if not keys_known:
        click.echo(f"no key {_place(home)}: make one with 'entropy-assets keys create NAME'")
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None)
    for column in ("id", "state", "scopes", "expires", "requests/s", "bytes/s", "name"):
        folds = column in ("scopes", "name")
        table.add_column(column, no_wrap=not folds, overflow="fold", min_width=10 if folds else None)
    for facts in keys_known:
        limits = (facts["requests_per_s"], facts["bytes_per_s"])
        expires = (facts["expires"] or "never")[:16]
        name = Text(printable(facts["name"]))  # in a plain string rich would read markup
        texts = (facts["id"], facts["state"], ", ".join(facts["scopes"]), expires)
        table.add_row(*texts, *("" if limit is None else f"{limit:,}" for limit in limits), name)
    table_console().print(table)


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
@home_option
@json_option
@typed_errors
def revoke_key(key_id: str, home: Path | None, as_json: bool) -> None:
    """End the life of the key with this ID, for ever."""
    record = _store(home).revoke(key_id, _now_us())
    click.echo(json.dumps(_facts(record)) if as_json else f"key {record.id} ({printable(record.name)}) is revoked")


def _undone(store: "KeyStore", record: "KeyRecord") -> str:
    """Revoke a key that nobody saw; return what became of it."""
    try:
        store.revoke(record.id, _now_us())
    except KeysUnreadable as problem:
        return f"it is valid until 'entropy-assets keys revoke {record.id}' works, which now did not: {problem.message}"
    return f"it is revoked, id {record.id}"


def _store(home: Path | None) -> "KeyStore":
    from entropy_assets.stores.api_keys import keys_of

    settings = settings_of(home=home)
    return keys_of(keys_place(settings), prefix=settings.pool_prefix)


def _place(home: Path | None) -> str:
    """Return in words where the keys are kept: an address may hold a password."""
    settings = settings_of(home=home)
    return f"in {keys_place(settings)}" if settings.keys is None else "where ENTROPY_KEYS says"


def _facts(record: "KeyRecord") -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "state": record.state(_now_us()),
        "scopes": list(record.scopes),
        "created": _utc(record.created_us),
        "expires": _utc(record.expires_us),
        "revoked": _utc(record.revoked_us),
        "requests_per_s": record.requests_per_s,
        "bytes_per_s": record.bytes_per_s,
    }


def _now_us() -> int:
    return int(datetime.now(UTC).timestamp() * 1e6)


def _utc(moment_us: int | None) -> str | None:
    return None if moment_us is None else datetime.fromtimestamp(moment_us / 1e6, UTC).isoformat(timespec="seconds")
