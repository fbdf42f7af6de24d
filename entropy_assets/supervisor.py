"""``entropy-assets up``: pool server, Dagster and HTTP service as one thing that starts, shows its work and stops.

This process owns the embedded pool server and three children, each the leader of its own process group: Dagster's
webserver and daemon, and the HTTP service. Children die with it, whatever kills it.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from upath import UPath

from entropy_assets.errors import PoolError, StartFailed
from entropy_assets.settings import Settings
from entropy_assets.sources.drop_folder import DropFolder
from entropy_assets.stages import Manifest, noise_rows
from entropy_assets.stores.batches import Batch, BatchStore
from entropy_assets.stores.embedded import EmbeddedServer
from entropy_assets.stores.ledger import Ledger
from entropy_assets.stores.pool import PoolClient

SAMPLES: Final = Path(__file__).parent / "samples"
PROJECT: Final = Path(__file__).parent.parent
START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.5

Say = Callable[[str], None]


@dataclass(slots=True)
class Child:
    """One process that is started, watched and stopped."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def require_alive(self) -> None:
        """Raise if it ended by itself.

        Raises
        ------
        StartFailed
            With the end of its log.
        """
        if self.process.poll() is not None:
            tail = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise StartFailed(
                f"{self.name} ended with exit code {self.process.returncode}; its log {self.log} ends with:\n{tail}",
                child=self.name,
            )

    def stop(self, deadline: float) -> None:
        """Ask its whole group to end, and end what is left of it at `deadline`."""
        self._signal(signal.SIGTERM)
        while self._group_lives() and time.monotonic() < deadline:
            self.process.poll()
            time.sleep(0.05)
        self._signal(signal.SIGKILL)
        self.process.wait()

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return

    def _group_lives(self) -> bool:
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True


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
                f"can't listen on {host}:{port} ({error.strerror}); stop what uses it, or set ENTROPY_HTTP_PORT and "
                "ENTROPY_DAGSTER_PORT",
                port=port,
            ) from error
        return int(probe.getsockname()[1])


@contextmanager
def pool_server(settings: Settings, say: Say) -> Iterator[str]:
    """Give the URL of the pool's server: the one of the settings, or an embedded one that lives as long as this."""
    if settings.redis_url is not None:
        yield settings.redis_url.get_secret_value()
        return
    with EmbeddedServer() as server:
        say(f"pool     embedded server, process {server.pid}")
        yield server.url


@dataclass(slots=True)
class Installation:
    """What is running.

    Attributes
    ----------
    http_url, dagster_url
        Addresses to visit.
    """

    settings: Settings
    redis_url: str
    http_url: str
    dagster_url: str
    children: list[Child] = field(default_factory=list)

    @classmethod
    @contextmanager
    def running(cls, settings: Settings, say: Say) -> Iterator[Self]:
        """Start everything, give it, and stop it again in the reverse order."""
        http_port = free_port(settings.http_host, settings.http_port)
        dagster_port = free_port(settings.dagster_host, settings.dagster_port)
        with ExitStack() as stack:
            redis_url = stack.enter_context(pool_server(settings, say))
            here = cls(
                settings,
                redis_url,
                f"http://{settings.http_host}:{http_port}",
                f"http://{settings.dagster_host}:{dagster_port}",
            )
            stack.callback(here._stop, say)
            prepare_home(settings)
            here._start(http_port, dagster_port)
            yield here

    def _start(self, http_port: int, dagster_port: int) -> None:
        environment = child_environment(self.settings, self.redis_url, http_port)
        workspace = str(PROJECT / "workspace.yaml")
        commands = {
            "http": [sys.executable, "-m", "entropy_assets.cli", "serve"],
            "daemon": [sys.executable, "-m", "dagster._daemon", "run", "-w", workspace],
            "webserver": [
                *(sys.executable, "-m", "dagster_webserver", "-w", workspace),
                *("-h", self.settings.dagster_host, "-p", str(dagster_port)),
            ],
        }
        for name, command in commands.items():
            self.children.append(start_child(name, command, environment, self.settings.home / "logs"))

    def _stop(self, say: Say) -> None:
        say("stopping ...")
        deadline = time.monotonic() + STOP_SECONDS
        for child in self.children:
            child.stop(deadline)
        say("stopped")

    def wait_until_up(self, interrupted: threading.Event) -> None:
        """Wait until both web addresses answer, or `interrupted` is set.

        Raises
        ------
        StartFailed
            If a child ends, or time runs out.
        """
        deadline = time.monotonic() + START_SECONDS
        for url in (f"{self.http_url}/livez", f"{self.dagster_url}/server_info"):
            while not answers(url):
                self.require_alive()
                if time.monotonic() > deadline:
                    raise StartFailed(f"{url} did not answer within {START_SECONDS:.0f} s", url=url)
                if interrupted.wait(0.1):
                    return

    def require_alive(self) -> None:
        """Raise `StartFailed` if a child ended by itself."""
        for child in self.children:
            child.require_alive()


def answers(url: str) -> bool:
    """Tell whether `url` gives an answer of any kind."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def child_environment(settings: Settings, redis_url: str, http_port: int) -> Mapping[str, str]:
    """Return the environment of the children: the settings in force, the pool's address, Dagster's home."""
    given = {
        f"ENTROPY_{name.upper()}": str(value)
        for name, value in settings.model_dump(exclude={"redis_url"}).items()
        if value is not None
    }
    return {
        **os.environ,
        **given,
        "ENTROPY_HTTP_PORT": str(http_port),
        "ENTROPY_REDIS_URL": redis_url,
        "DAGSTER_HOME": str(settings.dagster_home),
        # Dagster's sensor daemon counts in its own time zone otherwise.
        "TZ": "UTC",
    }


def start_child(name: str, command: list[str], environment: Mapping[str, str], logs: Path) -> Child:
    """Start `command` in a process group of its own, writing to ``<logs>/<name>.log``."""
    logs.mkdir(parents=True, exist_ok=True)
    path = logs / f"{name}.log"
    with path.open("ab") as log:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Child(name, process, path)


def prepare_home(settings: Settings) -> None:
    """Make the folders of the installation and put the project's ``dagster.yaml`` where Dagster looks for it.

    Raises
    ------
    StartFailed
        Outside a checkout of the project, which alone carries ``dagster.yaml`` and ``workspace.yaml``.
    """
    source = PROJECT / "dagster.yaml"
    if not source.is_file():
        raise StartFailed(
            f"there is no {source}; run from a checkout of the project, or start dagster-webserver, dagster-daemon and "
            "'entropy-assets serve' with a DAGSTER_HOME of your own"
        )
    settings.dagster_home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, settings.dagster_home / "dagster.yaml")
    DropFolder(settings.inbox)


def drop_samples(settings: Settings, samples: Path = SAMPLES) -> int:
    """Copy the bundled sample images into the inbox, unless they were processed before; return how many."""
    inbox, used = DropFolder(settings.inbox), Ledger(settings.ledger_path)
    images = [path for path in sorted(samples.iterdir()) if path.suffix != ".csv"]
    if any(path.is_dir() for path in settings.batches_path.glob("drop-*")) or used.publications(limit=1):
        return 0
    for path in images:
        inbox.deposit(path.name, path.read_bytes())
    return len(images)


class Narrator:
    """Tells one line per batch and stage, from what the stages kept."""

    def __init__(self, settings: Settings) -> None:
        self._batches = BatchStore(UPath(settings.batches_path))
        self._ledger = Ledger(settings.ledger_path)
        self._told: dict[str, int] = {}

    def news(self) -> Iterator[str]:
        """Yield what is new since the last call."""
        for batch in self._batches:
            lines = list(self._story(batch))
            for line in lines[self._told.get(batch.key, 0) :]:
                yield f"{datetime.now(UTC):%H:%M:%S} {batch.key}  {line}"
            self._told[batch.key] = len(lines)

    def _story(self, batch: Batch) -> Iterator[str]:
        yield f"taken      {len(batch.intake.files)} files from {batch.intake.source}"
        if not batch.has("manifest.json"):
            return
        rows = Manifest.of(batch).rows
        yield f"read       {sum(row.accepted for row in rows)} of {len(rows)} images"
        if not batch.has("noise.json"):
            return
        noise = noise_rows(batch)
        rejected = ", ".join(f"{row.file}: {row.reason}" for row in noise if not row.accepted)
        credit = sum(row.credit_bits for row in noise)
        yield f"extracted  {credit:,} bits of credit" + (f"; rejected {rejected}" if rejected else "")
        if not batch.has("verdicts.json"):
            return
        verdicts = batch.read_json("verdicts.json", made_by="validated_blocks")
        yield f"validated  {len(verdicts['released'])} of {len(verdicts['rows'])} blocks released"
        if verdicts["released"] and self._ledger.is_published(batch.key):
            yield f"published  {len(verdicts['released']) * 4} KiB are in the pool"


def settled(settings: Settings, redis_url: str) -> bool:
    """Tell whether nothing is left to do: inbox taken, batches finished and published, pool filled as far as it goes.

    With the simulated camera on, the pool counts as filled when it is over its low-water mark.
    """
    inbox, ledger = DropFolder(settings.inbox), Ledger(settings.ledger_path)
    if inbox.ready(time.time()) or inbox.taken():
        return False
    for batch in BatchStore(UPath(settings.batches_path)):
        if not batch.has("verdicts.json"):
            return False
        released = batch.read_json("verdicts.json", made_by="validated_blocks")["released"]
        if released and not ledger.is_published(batch.key):
            return False
    if not settings.simulated_camera:
        return True
    client = PoolClient.from_url(redis_url)
    try:
        return client.depth().bytes >= settings.low_water_bytes
    except PoolError:
        return False
    finally:
        client.close()
