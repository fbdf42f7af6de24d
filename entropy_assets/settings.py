"""Places, limits and thresholds. The only reader of the environment (``ENTROPY_*``); nothing here changes a byte.

What decides the bytes is the recipe; here stands only which recipe a new batch gets.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from entropy_assets.recipe import STANDARD, recipe_named


class Settings(BaseSettings):
    """Settings of one installation, each overridden by ``ENTROPY_<NAME>``.

    Attributes
    ----------
    home
        Folder of everything that is kept: inbox, images, batches, ledger, Dagster's own storage.
    recipe
        Recipe of new batches. Batches that exist keep theirs.
    redis_url
        Redis or Valkey to use. Without it ``entropy-assets up`` owns an embedded server. Secret: it may hold a
        password.
    pool_ttl_seconds
        Life of a published block, seconds.
    low_water_bytes, high_water_bytes
        Replenishing starts below the first and stops above the second, bytes.
    allow_unsafe_pool
        Accept a pool server that persists or evicts. A restart of it may then lose blocks; the epoch still
        keeps it from serving one twice.
    batch_max_files, batch_max_bytes
        Limits of one batch, files and bytes.
    max_file_bytes, max_pixels
        Limits of one image, bytes and pixels over all channels.
    workers
        Images of a batch that are looked at side by side.
    settle_seconds
        A file in the inbox is taken when it has not changed for this long, seconds.
    inbox_interval_seconds, publish_interval_seconds, replenish_interval_seconds
        Shortest time between two ticks of the sensors, seconds. Dagster's daemon looks every 5 s, and 5 itself would
        often miss a look and become 10.
    simulated_camera
        Replenish a low pool from the simulated camera. Its frames carry no noise from space, only fresh bytes of
        the operating system's generator, more than they are credited, and are labelled ``simulated`` wherever they
        appear.
    camera_frames
        Frames that the simulated camera takes each time it is asked.
    http_host, http_port
        Address of the HTTP service. It has no access control, so leave it on loopback or put it behind a proxy.
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
    max_draw_bytes
        Longest answer of one request, bytes.
    api_key
        Key that this installation's commands show to a service from which they draw. Secret.
    """

    model_config = SettingsConfigDict(env_prefix="ENTROPY_", frozen=True, extra="forbid")

    home: Path = Path("var")
    recipe: str = STANDARD.name
    redis_url: SecretStr | None = None
    pool_ttl_seconds: Annotated[int, Field(ge=1, le=30 * 86_400)] = 3600
    low_water_bytes: Annotated[int, Field(ge=0)] = 192 * 1024
    high_water_bytes: Annotated[int, Field(ge=0)] = 384 * 1024
    allow_unsafe_pool: bool = False
    batch_max_files: Annotated[int, Field(ge=1, le=1000)] = 64
    batch_max_bytes: Annotated[int, Field(ge=1)] = 512 * 2**20
    max_file_bytes: Annotated[int, Field(ge=1)] = 256 * 2**20
    max_pixels: Annotated[int, Field(ge=1)] = 32 * 2**20
    workers: Annotated[int, Field(ge=1, le=256)] = 2
    settle_seconds: Annotated[float, Field(ge=0)] = 2.0
    inbox_interval_seconds: Annotated[int, Field(ge=1)] = 3
    publish_interval_seconds: Annotated[int, Field(ge=1)] = 3
    replenish_interval_seconds: Annotated[int, Field(ge=1)] = 15
    simulated_camera: bool = False
    camera_frames: Annotated[int, Field(ge=1, le=64)] = 4
    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65535)] = 8000
    http_workers: Annotated[int, Field(ge=1, le=64)] = 1
    fast_lane: bool = True
    access_log: bool = False
    max_age_seconds: Annotated[float, Field(gt=0)] = 3600.0
    dagster_host: str = "127.0.0.1"
    dagster_port: Annotated[int, Field(ge=0, le=65535)] = 3000
    max_draw_bytes: Annotated[int, Field(ge=1, le=2**20)] = 65_536
    api_key: SecretStr | None = None

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("recipe")
    @classmethod
    def _known(cls, value: str) -> str:
        return recipe_named(value).name

    @property
    def inbox(self) -> Path:
        """Folder into which images are dropped."""
        return self.home / "inbox"

    @property
    def images_path(self) -> Path:
        """Folder of the content-addressed images."""
        return self.home / "images"

    @property
    def batches_path(self) -> Path:
        """Folder of the batches."""
        return self.home / "batches"

    @property
    def ledger_path(self) -> Path:
        """File of the ledger."""
        return self.home / "ledger.sqlite"

    @property
    def dagster_home(self) -> Path:
        """Folder of Dagster's storage."""
        return self.home / "dagster"

    @property
    def alerts_path(self) -> Path:
        """File to which alerts are appended, one JSON object a line."""
        return self.home / "alerts.jsonl"
