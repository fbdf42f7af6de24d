"""Places, limits and thresholds. The only reader of the environment: ``ENTROPY_*``, and where Dagster's home is.

Nothing here changes a byte. What decides the bytes is the recipe; here stands only which recipe a new batch gets.
"""

import difflib
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from entropy_assets.errors import InputRefused, brought_by
from entropy_assets.recipe import STANDARD, recipe_named
from entropy_assets.scopes import SCOPES, Scope

with brought_by("settings"):
    from pydantic import Field, SecretStr, field_validator, model_validator
    from pydantic_settings import BaseSettings, SettingsConfigDict


ALIKE: Final = 0.85
"""How much of two names is the same, 0 to 1, where one is taken for the other misspelt."""
WIRES: Final = frozenset({"tcp", "udp", "sctp"})
"""Kubernetes tells a service ``entropy-redis`` to all its neighbours: ``ENTROPY_REDIS_PORT=tcp://10.0.0.1:6379``."""


class Settings(BaseSettings):
    """Settings of one installation, each overridden by ``ENTROPY_<NAME>``.

    A variable whose name looks like a misspelt one is refused: a limit that was told and is not kept would be worse.
    An empty one counts as not set, but for `anonymous_scopes`.

    Attributes
    ----------
    home
        Folder of everything that is kept; `stores.home` knows what lies where in it.
    store_url
        Object store of images and batches, for several machines: ``s3://bucket/prefix``, ``gs://`` or ``az://``. By
        default they are in `home`. Credentials are never in it: they stand in the variables of the environment that
        the store's own tools read, like AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL.
    inbox_url
        Object store into which images are dropped, of the same form: the prefix itself, and one below it for each
        listed source. By default it is the folder ``inbox`` of `home`.
    sources
        File that says which feeds are asked for images (`sources.feeds.configuration`); by default ``sources.toml`` in
        `home`, if it is there.
    recipe
        Recipe of new batches. Batches that exist keep theirs.
    redis_url
        Redis or Valkey to use: ``redis://user:password@host:port/0``, ``rediss://`` for TLS (``?ssl_ca_certs=`` names
        the file of a private authority), ``unix://``, ``redis+sentinel://host:port,host:port/name``, or
        ``redis+cluster://host:port,host:port``. Without it ``entropy-assets up`` owns an embedded server. Secret: it
        may hold a password.
    redis_urls
        Several of them instead, with spaces between: independent pools, used as one. Secret too.
    ledger_url
        The ledger in PostgreSQL, for publishers on several machines: ``postgresql+psycopg://user:password@host/database``
        with options of libpq behind it (``?sslmode=verify-full``). The password may stand in ``PGPASSWORD`` or a
        ``PGPASSFILE`` instead. Without it the ledger is a file in `home`. Secret: it may hold a password.
    ledger_single_server
        Whether the ledger's server has no standby to which anybody would fail over. Else it must wait for a synchronous
        one, since what only one of two servers knows is lost, and published again, when the other takes over.
    pool_prefix
        First part of every key of the pool; on a cluster with a hash tag, ``{entropy}``.
    pool_ttl_seconds
        Life of a published block, seconds.
    public_share
        Part of the supply that goes into the public lane, 0 to 1; 0 or 1 leaves the other lane nothing. Without it
        each lane gets as much as was drawn from it, and a tenth at least.
    open_seconds
        How long a public block is given out once it was begun, seconds. Then it is closed: what is left of it is
        burned, and it reveals where it was sampled.
    low_water_bytes, high_water_bytes
        Replenishing starts below the first and stops above the second, bytes.
    allow_unsafe_pool
        Accept a pool server that persists or evicts. A restart of it may then lose blocks; the epoch still
        keeps it from serving one twice.
    batch_max_files, batch_max_bytes
        Limits of one batch, files and bytes.
    linger_files, linger_seconds
        A batch with fewer files than the first waits for more files of its source, until its oldest one has not
        changed for the second, seconds. A batch costs some seconds of a core however small it is: linger where frames
        come one by one.
    max_file_bytes, max_pixels
        Limits of one image: bytes of the file, and pixels of one plane. Above 24 Mi pixels a strip is used, so what a
        larger image costs is its file, and, if it is not plain FITS, its unpacked pixels.
    workers
        Images of a batch that are looked at side by side.
    arrays
        What surveys and samples images and counts their samples: ``numpy`` on the processor, ``cupy`` on an NVIDIA
        card, or ``auto``, a card if one answers. The bytes are the same; a card that gives others is refused at the
        start.
    arrays_memory_bytes
        Most memory of the card that is taken; 0 sets no bound.
    settle_seconds
        A file in the inbox is taken when it has not changed for this long, seconds.
    inbox_interval_seconds, publish_interval_seconds, replenish_interval_seconds
        Shortest time between two ticks of the sensors, seconds. Dagster's daemon looks every 5 s, and 5 itself would
        often miss a look and become 10.
    executor
        What carries the steps of a run: ``in_process``, ``multiprocess``, or where another executor of Dagster's is
        defined, as ``dagster_k8s:k8s_job_executor``. A run is one batch and takes seconds; to use many machines, let
        the run launcher in ``dagster.yaml`` carry the runs there.
    simulated_camera
        Replenish a low pool from the simulated camera. Its frames carry no noise from space, only fresh bytes of
        the operating system's generator, more than they are credited, and are labelled ``simulated`` wherever they
        appear.
    camera_frames
        Frames that the simulated camera takes each time it is asked.
    http_host, http_port
        Address of the HTTP service. Before it leaves loopback, give it keys and limits, and a proxy that speaks TLS.
    http_hosts
        Names that the HTTP service goes by beside ``localhost`` and `http_host`, separated by commas, or ``none``: what
        a proxy sends as ``Host``, or its public name. Addresses in digits need not be named.
    http_workers
        Processes of the HTTP service. Each holds blocks of its own, so several need a fuller pool.
    fast_lane
        Answer from memory inside the HTTP protocol, about twice as fast; it is checked at the start, and left out where
        it does not fit the installed uvicorn.
    access_log
        Log method, route and status of the requests to the HTTP service that are not answered from memory.
    max_age_seconds
        Age of the newest push to the pool, and of the newest accepted image, above which health is degraded, seconds.
    dagster_host, dagster_port
        Address of the Dagster webserver, which has no access control either.
    dagster_url
        Where people reach the Dagster UI, for links from the page of the HTTP service; by default where
        ``entropy-assets up`` runs it. The webserver answers to its host besides the own one, and to pages from there.
    max_draw_bytes
        Longest answer of one request, bytes.
    max_download_bytes
        Longest download, bytes.
    max_streams
        Streams and downloads that one worker runs side by side.
    api_key
        Key that this installation's commands show to a service from which they draw. Secret.
    keep_noise_days, keep_batches_days
        Days after its publication for which the noise arrays, maps and blocks of a batch are kept, which can be made
        again, and for which the whole batch is, with its images. Without them it is for ever.
    keep_bytes
        Bytes that batches and images may take together; above that the oldest go before their time, noise first.
    keep_least_days
        Days for which a batch is kept whatever the size.
    keep_inbox_days
        Days after which the settled files of a batch go from the inbox: the operator's own originals. By default never.
    keep_runs_days
        Days for which Dagster's runs are kept, with their events and logs. Without it it is for ever, but for those of
        batches that were removed, and of none.
    keep_batchless_runs_days
        Days for which those are kept that belong to no batch: looks for images, audits. One that failed is kept as
        `keep_runs_days` says, or 90 days.
    keys
        Where the API keys of the HTTP service are kept: the path of a file, or the address of a Redis or Valkey that
        keeps its data. By default ``keys.json`` in `home`. Secret: an address may hold a password.
    anonymous_scopes
        What may be had without a key: some of ``draw,stream,provenance,stats``, or ``none``, which empty says too.
    limit_requests, limit_bytes
        Limits of each key that has none of its own, and of each address without a key, requests and bytes a second.
        Without them there is none. Behind a proxy all clients without a key have the proxy's address.
    """

    model_config = SettingsConfigDict(
        env_prefix="ENTROPY_", env_ignore_empty=True, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    home: Path = Path("var")
    store_url: str | None = None
    inbox_url: str | None = None
    sources: Path | None = None
    recipe: str = STANDARD.name
    redis_url: SecretStr | None = None
    ledger_url: SecretStr | None = None
    ledger_single_server: bool = False
    redis_urls: SecretStr | None = None
    pool_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.{}-]{1,64}$")] = "entropy"
    pool_ttl_seconds: Annotated[int, Field(ge=1, le=30 * 86_400)] = 3600
    public_share: Annotated[float, Field(ge=0, le=1)] | None = None
    open_seconds: Annotated[float, Field(gt=0, le=3600)] = 10.0
    low_water_bytes: Annotated[int, Field(ge=0)] = 192 * 1024
    high_water_bytes: Annotated[int, Field(ge=0)] = 384 * 1024
    allow_unsafe_pool: bool = False
    batch_max_files: Annotated[int, Field(ge=1, le=1000)] = 64
    batch_max_bytes: Annotated[int, Field(ge=1)] = 512 * 2**20
    linger_files: Annotated[int, Field(ge=1)] = 64
    linger_seconds: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    max_file_bytes: Annotated[int, Field(ge=1)] = 384 * 2**20
    max_pixels: Annotated[int, Field(ge=1)] = 160 * 2**20
    workers: Annotated[int, Field(ge=1, le=256)] = 2
    arrays: Literal["auto", "numpy", "cupy"] = "auto"
    arrays_memory_bytes: Annotated[int, Field(ge=0)] = 0
    settle_seconds: Annotated[float, Field(ge=0)] = 2.0
    inbox_interval_seconds: Annotated[int, Field(ge=1)] = 3
    publish_interval_seconds: Annotated[int, Field(ge=1)] = 3
    replenish_interval_seconds: Annotated[int, Field(ge=1)] = 15
    executor: Annotated[str, Field(pattern=r"^\w+$|^[\w.]+:\w+$")] = "in_process"
    simulated_camera: bool = False
    camera_frames: Annotated[int, Field(ge=1, le=64)] = 4
    http_host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65535)] = 8000
    http_hosts: str = "none"
    http_workers: Annotated[int, Field(ge=1, le=64)] = 1
    fast_lane: bool = True
    access_log: bool = False
    max_age_seconds: Annotated[float, Field(gt=0)] = 3600.0
    dagster_host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    dagster_port: Annotated[int, Field(ge=0, le=65535)] = 3000
    dagster_url: Annotated[str, Field(pattern="^https?://")] | None = None
    max_draw_bytes: Annotated[int, Field(ge=1, le=2**20)] = 65_536
    max_download_bytes: Annotated[int, Field(ge=1, le=2**50)] = 2**30
    max_streams: Annotated[int, Field(ge=0, le=65_536)] = 256
    keep_noise_days: Annotated[int, Field(ge=1)] | None = None
    keep_batches_days: Annotated[int, Field(ge=1)] | None = None
    keep_bytes: Annotated[int, Field(ge=1)] | None = None
    keep_least_days: Annotated[int, Field(ge=1)] = 7
    keep_inbox_days: Annotated[int, Field(ge=1)] | None = None
    keep_runs_days: Annotated[int, Field(ge=1)] | None = None
    keep_batchless_runs_days: Annotated[int, Field(ge=1)] = 7
    api_key: SecretStr | None = None
    keys: SecretStr | None = None
    anonymous_scopes: str = ",".join(SCOPES)
    limit_requests: Annotated[float, Field(gt=0, le=1e9)] | None = None
    limit_bytes: Annotated[int, Field(gt=0, le=10**12)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _closed_if_empty(cls, given: dict[str, Any]) -> dict[str, Any]:
        # by its default every scope is open, which nobody means who names none
        if any(name.upper() == "ENTROPY_ANONYMOUS_SCOPES" and not value for name, value in os.environ.items()):
            return {"anonymous_scopes": "none", **given}
        return given

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return _whole(value)

    @field_validator("sources")
    @classmethod
    def _absolute_if_told(cls, value: Path | None) -> Path | None:
        return None if value is None else _whole(value)

    @field_validator("store_url", "inbox_url")
    @classmethod
    def _without_credentials(cls, value: str | None) -> str | None:
        # a userinfo with a password, a signature in a query: what is shown and logged must hold neither
        if value is not None and re.fullmatch(r"[a-z0-9]+://(?:[^@:/?#]+@)?[^@:/?#]+(?:/[^?#]*)?", value) is None:
            raise ValueError("a URL like s3://bucket/prefix, without credentials: those go into AWS_ACCESS_KEY_ID etc.")
        return value

    @field_validator("recipe")
    @classmethod
    def _known(cls, value: str) -> str:
        return recipe_named(value).name

    @field_validator("http_hosts")
    @classmethod
    def _names(cls, value: str) -> str:
        names = [name for name in (each.strip() for each in value.split(",")) if name not in ("", "none")]
        for name in names:
            if re.fullmatch(r"[A-Za-z0-9._-]+", name) is None:
                raise ValueError(f"{name!r} is no name of a host; they are given without port and scheme")
        return ",".join(names) or "none"

    @field_validator("anonymous_scopes")
    @classmethod
    def _scopes(cls, value: str) -> str:
        scopes = {name.strip() for name in value.split(",")} - {"", "none"}
        if not scopes.issubset(SCOPES):
            raise ValueError(f"some of {','.join(SCOPES)}, or none")
        return ",".join(scope for scope in SCOPES if scope in scopes) or "none"

    @model_validator(mode="after")
    def _none_misspelt(self) -> Self:
        # others may share the prefix: keys that a file of feeds names, what a container's manager sets
        known = {f"ENTROPY_{name.upper()}" for name in type(self).model_fields}
        for given, value in sorted((name.upper(), value) for name, value in os.environ.items()):
            if given.startswith("ENTROPY_") and given not in known and value.partition("://")[0] not in WIRES:
                begun = sorted(name for name in known if name.startswith(f"{given}_"))
                for meant in difflib.get_close_matches(given, known, 1, ALIKE) or begun[:1]:
                    raise ValueError(f"the variable {given} is no setting; {meant} is one: spell it so, or rename it")
        return self

    @model_validator(mode="after")
    def _one_pool(self) -> Self:
        if self.redis_url is not None and self.redis_urls is not None:
            raise ValueError("give redis_url for one pool, or redis_urls for several, and not both")
        if self.redis_urls is not None and not self.redis_urls.get_secret_value().split():
            raise ValueError("redis_urls names no pool")
        return self

    @property
    def pool_address(self) -> str | None:
        """Where the pool is, as `stores.pool.shards.pool_at` reads it; None if nobody says. Secret."""
        if self.redis_urls is not None:
            return "\n".join(self.redis_urls.get_secret_value().split())
        return None if self.redis_url is None else self.redis_url.get_secret_value()

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names that the HTTP service goes by."""
        return () if self.http_hosts == "none" else tuple(self.http_hosts.split(","))

    @property
    def anonymous(self) -> tuple[Scope, ...]:
        """What may be had without a key."""
        chosen = self.anonymous_scopes.split(",")
        return tuple(scope for scope in SCOPES if scope in chosen)


def variables(names: Collection[str]) -> dict[str, str]:
    """Return those variables of the environment that a file of feeds names and that are set. Secret: they hold keys."""
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def dagster_home() -> Path | None:
    """Return the folder of ``DAGSTER_HOME``, by which Dagster's own programs find what they keep; None if unset.

    Raises
    ------
    InputRefused
        If there can be no such folder.
    """
    named = os.environ.get("DAGSTER_HOME")
    try:
        return _whole(Path(named)) if named else None
    except ValueError as error:
        raise InputRefused(f"DAGSTER_HOME: {error}") from error


def _whole(path: Path) -> Path:
    """Return the whole path that `path` means, seen from the folder in which the program runs."""
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"no user of this machine is called as in {path}") from None
    except FileNotFoundError:
        raise ValueError("the folder in which this was started is gone; name one by its whole path") from None
