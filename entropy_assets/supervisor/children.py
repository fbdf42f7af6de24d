"""The processes that an installation is made of: how each is started, what it is told, and how its end is noticed."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from entropy_assets.errors import PoolError, StartFailed
from entropy_assets.settings import Settings
from entropy_assets.stores.home import Home
from entropy_assets.stores.owned.addresses import bound
from entropy_assets.stores.owned.processes import OwnedProcess

OTHER_PORTS: Final = "choose other ports with --http-port and --dagster-port (0 for any)"
LOG_TAIL: Final = 2000
"""Characters of a child's log that an error shows."""
QUIET: Final = (
    "ignore:Specifying a partitions_def on an AssetCheckSpec is currently in preview",
    "ignore:Parameter `owners` of initializer `SensorDefinition.__init__` is currently in beta",
    "ignore:Parameter `include_sources` of function `AssetSelection.all` is currently in beta",
)
"""Warnings that the children don't repeat at every load: the version of Dagster is pinned for the first, and Dagster's
own code raises the others."""


RESTARTS: Final = 6
"""How often in a row a child is started again before everything ends: over a minute and a half, see `pause_s`."""
STEADY_SECONDS: Final = 60.0
"""A child that ran for this long has ended for a new reason, and is not in a row with the end before, seconds."""
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0


def pause_s(ends: int) -> float:
    """Return how long a child that ended for the `ends`-th time in a row is left alone, seconds."""
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 4.0 ** (ends - 1))


@dataclass(slots=True)
class Child:
    """One process that is started, watched, started again when it ends by itself, and stopped.

    Parameters
    ----------
    name
        What it is called in a line.
    process
        It, as it was started.
    start
        Starts it again. What this raises is one more end in a row.
    log
        File of its output.
    began
        When it was started last, seconds of `time.monotonic`.
    answered
        Whether it ever did what it is there for. One that never did is not started again: what it was told is wrong.
    """

    name: str
    process: OwnedProcess
    start: Callable[[], OwnedProcess]
    log: Path
    began: float
    answered: bool = False
    _ends: int = field(default=0, init=False)
    _due: float | None = field(default=None, init=False)

    @property
    def waits(self) -> bool:
        """Whether it ended and is not started again yet."""
        return self._due is not None

    def look(self, now: float) -> str | None:
        """Start it again if it ended and its pause is over; return a line if it ended since the last look.

        Raises
        ------
        StartFailed
            If it ended before it ever answered, or too often in a row; with the end of its log.
        """
        if self._due is not None:
            return self._again(now) if now >= self._due else None
        code = self.process.exit_code
        return None if code is None else self._ended(f"ended with exit code {code}", now)

    def give_up(self, why: str, now: float) -> str:
        """End it as one that no longer does what it is there for, and return the line of `look`; raises as it does."""
        return self._ended(why, now)

    def _again(self, now: float) -> str | None:
        self._due, self.began = None, now
        try:
            self.process = self.start()
        except (OSError, PoolError) as error:
            return self._ended(f"can't be started: {error}", now)
        return None

    def _ended(self, how: str, now: float) -> str:
        # What it had started works on without anybody who looks after it, beside what takes its place.
        self.process.stop(0)
        self._ends = 1 if now - self.began >= STEADY_SECONDS else self._ends + 1
        if not self.answered or self._ends > RESTARTS:
            often = f", {self._ends} times in a row" if self.answered else ""
            raise StartFailed(
                f"{self.name} {how}{often}; its log {self.log} ends with:\n{self._tail()}", child=self.name
            )
        pause = pause_s(self._ends)
        self._due = now + pause
        return f"{self.name:8} {how}, and is started again in {pause:g} s; its log is {self.log}"

    def _tail(self) -> str:
        try:
            return self.log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:]
        except OSError as error:
            return f"(it can't be read: {error.strerror})"


@contextmanager
def held_port(host: str, port: int) -> Iterator[int]:
    """Give `port` if nothing listens on it, or any free one for 0, and keep it meanwhile for the child that will.

    A child listens seconds later, and is away for a while when it is started again. On Linux an address that is bound
    goes to who asks for it by its number, as servers do, and to nobody who asks for any; elsewhere to nobody at all.

    Raises
    ------
    StartFailed
        If it is taken, or the host is none of this machine.
    """
    with ExitStack() as stack:
        probes = [stack.enter_context(link) for link in bound(host, port, elsewhere=OTHER_PORTS, listening=False)]
        held = int(probes[0].getsockname()[1])
        if sys.platform != "linux":
            stack.close()
        yield held


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


def child_environment(
    settings: Settings, redis_url: str | None, http_url: str, *, keys: bool = True
) -> Mapping[str, str]:
    """Return the environment of a child: the settings in force, the pool's address, Dagster's home.

    The addresses of pool and ledger are in it only if the child needs the pool: what Dagster's web page can be made to
    show can't show more than its process knows. Where the API keys are is in it only if the child needs `keys`. What an
    object store's client reads (``AWS_*``) is in it always: what runs print may be in a bucket, which the page shows.
    """
    # The first belongs to the commands that draw, and no child is one; the others are given below.
    secrets = {"api_key", "keys", "ledger_url", "redis_url", "redis_urls"}
    given = {
        f"ENTROPY_{name.upper()}": str(value)
        for name, value in settings.model_dump(exclude=secrets).items()
        if value is not None
    }
    withheld = {f"ENTROPY_{name.upper()}" for name in secrets}
    if redis_url is None:
        withheld |= {"PGPASSWORD", "PGPASSFILE"}  # libpq's own words for the ledger's password
    inherited = {name: value for name, value in os.environ.items() if name.upper() not in withheld}  # noqa: TID251 - passed on, not read
    place = "ENTROPY_REDIS_URLS" if settings.redis_urls else "ENTROPY_REDIS_URL"
    ledger_url = None if redis_url is None or settings.ledger_url is None else settings.ledger_url.get_secret_value()
    return {
        # NumPy's products are small here: a second thread of them would spin beside its core's real work.
        "OPENBLAS_NUM_THREADS": "1",
        **inherited,
        **given,
        **({} if ledger_url is None else {"ENTROPY_LEDGER_URL": ledger_url}),
        "ENTROPY_HTTP_PORT": http_url.rsplit(":", 1)[1],
        **({} if redis_url is None else {place: redis_url}),
        **({"ENTROPY_KEYS": settings.keys.get_secret_value()} if settings.keys and keys else {}),
        "DAGSTER_HOME": str(Home.of(settings).dagster_folder),
        # Dagster's sensor daemon counts in its own time zone otherwise.
        "TZ": "UTC",
        # `up` may be started among scripts that have the names of packages, or in a folder of everybody.
        "PYTHONSAFEPATH": "1",
        "PYTHONWARNINGS": ",".join(QUIET),
    }
