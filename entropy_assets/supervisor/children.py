"""The processes that an installation is made of: how each is started, what it is told, and how its end is noticed."""

import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from entropy_assets.errors import StartFailed
from entropy_assets.settings import Settings
from entropy_assets.stores.home import Home
from entropy_assets.stores.processes import SOCKET_NAME, OwnedProcess, private_folder

LOG_TAIL: Final = 2000
"""Characters of a child's log that an error shows."""
QUIET: Final = (
    "ignore:Specifying a partitions_def on an AssetCheckSpec is currently in preview",
    "ignore:Parameter `owners` of initializer `SensorDefinition.__init__` is currently in beta",
    "ignore:Parameter `include_sources` of function `AssetSelection.all` is currently in beta",
)
"""Warnings that the children don't repeat at every load: the version of Dagster is pinned for the first, and Dagster's
own code raises the others."""


@dataclass(frozen=True, slots=True)
class Child:
    """One process that is started, watched and stopped."""

    name: str
    process: OwnedProcess
    log: Path

    def require_alive(self) -> None:
        """Raise if it ended by itself.

        Raises
        ------
        StartFailed
            With the end of its log.
        """
        if (code := self.process.exit_code) is not None:
            tail = self.log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:]
            raise StartFailed(
                f"{self.name} ended with exit code {code}; its log {self.log} ends with:\n{tail}", child=self.name
            )


def free_port(host: str, port: int) -> int:
    """Return `port` if nothing listens on it, or any free one for 0.

    Raises
    ------
    StartFailed
        If it is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StartFailed(
                f"can't listen on {host}:{port} ({error.strerror}); stop what uses it, or choose other ports with "
                "--http-port and --dagster-port (0 for any)",
                port=port,
            ) from error
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class PoolAddresses:
    """Where each part of the installation finds the pool. Secret: they may hold passwords.

    Attributes
    ----------
    service, publisher, observer
        For what leases, for what pushes, and for what only looks.
    """

    service: str = field(repr=False)
    publisher: str = field(repr=False)
    observer: str = field(repr=False)


@contextmanager
def code_socket() -> Iterator[Path]:
    """Yield the path of the code server's socket: on a port, any user of the machine could have it run code."""
    folder = private_folder("ea-code-")
    try:
        yield folder / SOCKET_NAME
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def child_environment(
    settings: Settings, redis_url: str | None, http_url: str, *, keys: bool = True
) -> Mapping[str, str]:
    """Return the environment of a child: the settings in force, the pool's address, Dagster's home.

    The address is in it only if the child needs the pool: what Dagster's web page can be made to show can't show more
    than its process knows. Where the API keys are is in it only if the child needs `keys`.
    """
    given = {
        f"ENTROPY_{name.upper()}": str(value)
        for name, value in settings.model_dump(exclude={"redis_url", "api_key", "keys"}).items()
        if value is not None
    }
    # The first belongs to the commands that draw, and no child is one; the others are given below.
    secrets = ("ENTROPY_API_KEY", "ENTROPY_KEYS", "ENTROPY_REDIS_URL")
    inherited = {name: value for name, value in os.environ.items() if name.upper() not in secrets}  # noqa: TID251 - passed on, not read
    return {
        **inherited,
        **given,
        "ENTROPY_HTTP_PORT": http_url.rsplit(":", 1)[1],
        **({} if redis_url is None else {"ENTROPY_REDIS_URL": redis_url}),
        **({"ENTROPY_KEYS": settings.keys.get_secret_value()} if settings.keys and keys else {}),
        "DAGSTER_HOME": str(Home(settings.home).dagster_folder),
        # Dagster's sensor daemon counts in its own time zone otherwise.
        "TZ": "UTC",
        "PYTHONWARNINGS": ",".join(QUIET),
    }
