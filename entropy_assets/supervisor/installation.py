"""``entropy-assets up``: pool server, Dagster and HTTP service as one thing that starts, shows its work and stops.

This process owns the embedded pool server and four children: the code server that holds the definitions and whose
children are the runs, Dagster's daemon and webserver, which share it, and the HTTP service. All of them end with it,
whatever ends it. One that ends by itself is started again where it was, after a pause; everything ends only when it
ends again and again, or never answered at all.
"""

import fcntl
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from entropy_assets.errors import EndpointFailed, StartFailed
from entropy_assets.settings import Settings
from entropy_assets.stores.home import Home
from entropy_assets.stores.inboxes.folder import DropFolder
from entropy_assets.stores.owned.addresses import netloc
from entropy_assets.stores.owned.folders import SOCKET_NAME, PrivateFolder, listens
from entropy_assets.stores.owned.processes import OwnedProcess
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets.supervisor.asking import answers, holds_bytes, queried
from entropy_assets.supervisor.children import Child, PoolAddresses, child_environment, held_port
from entropy_assets.supervisor.configuration import PACKAGE, provide

SAMPLES: Final = PACKAGE / "samples"
MOST_BYTES: Final = 1 << 30
"""No sample is longer."""
LOCATION: Final = "entropy_assets"
CODE_SERVER: Final = ("dagster", "api", "grpc", "--empty-working-directory", "-m", "entropy_assets.definitions")
"""The module of the code server, and its arguments but for the socket."""
START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.25


Say = Callable[[str], None]


@contextmanager
def sole_owner(home: Home) -> Iterator[None]:
    """Hold `home` for this process: two daemons on one home would run every batch twice.

    Raises
    ------
    StartFailed
        If another process holds it, or nothing can be written there.
    """
    try:
        home.root.mkdir(parents=True, exist_ok=True)
        opened = home.lock_file.open("a")
    except OSError as error:
        raise StartFailed(
            f"nothing can be written in {home.root}: {error.strerror} ({error.filename})", home=str(home.root)
        ) from error
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StartFailed(
                f"another 'entropy-assets up' runs on {home.root}; stop it, or give this one another --home",
                home=str(home.root),
            ) from error
        yield


@contextmanager
def pool_server(settings: Settings, say: Say) -> Iterator[tuple[PoolAddresses, EmbeddedServer | None]]:
    """Yield the addresses of the pool, and the server if it is an embedded one that lives as long as this."""
    if (url := settings.pool_address) is not None:
        yield PoolAddresses(url, url, url), None
        return
    with EmbeddedServer(users_of=settings.pool_prefix) as server:
        say(f"pool     embedded server, process {server.pid}")
        yield PoolAddresses(server.url_of("service"), server.url_of("publisher"), server.url_of("observer")), server


STEPS_OF: Final = {
    "pool": (),
    "code": ("code",),
    "http": ("http", "ready"),
    "daemon": ("daemon",),
    "webserver": ("dagster",),
}
"""What is waited for, by the child that gives it."""


@dataclass(slots=True)
class Installation:
    """What is running.

    Attributes
    ----------
    http_url, dagster_url
        Addresses to visit.
    code_folder
        Where the code server's socket is: on a port, any user of the machine could have it run code.
    ready
        What answers, in the order in which it began to.
    pool_child
        The embedded pool server; None for one of the settings.
    """

    settings: Settings
    pool: PoolAddresses
    http_url: str
    dagster_url: str
    code_folder: PrivateFolder
    began: float
    children: list[Child] = field(default_factory=list)
    ready: list[str] = field(default_factory=list)
    pool_child: Child | None = None

    @classmethod
    @contextmanager
    def running(cls, settings: Settings, say: Say, began: float) -> Iterator[Self]:
        """Start everything, give it, and stop it again.

        Parameters
        ----------
        began
            When the start began, seconds of `time.monotonic`.
        """
        with ExitStack() as stack:
            http, dagster = (
                f"http://{netloc(host, stack.enter_context(held_port(host, port)))}"
                for host, port in (
                    (settings.http_host, settings.http_port),
                    (settings.dagster_host, settings.dagster_port),
                )
            )
            stack.enter_context(sole_owner(Home.of(settings)))
            Home.of(settings).refuse_unsafe_stores()
            pool, server = stack.enter_context(pool_server(settings, say))
            code_folder = stack.enter_context(PrivateFolder.for_socket("ea-code-"))
            installation = cls(settings, pool, http, dagster, code_folder, began)
            if server is not None:
                installation.pool_child = _watched(server)
            stack.callback(installation._stop, say)
            prepare_home(Home.of(settings), installation.socket, say)
            installation._start("code", *CODE_SERVER, "-s", str(installation.socket))
            installation._start("http", "entropy_assets.cli", "serve")
            yield installation

    @property
    def socket(self) -> Path:
        """Where the code server listens."""
        return self.code_folder.path / SOCKET_NAME

    def advance(self) -> Iterator[str]:
        """Start what has become possible or ended, and yield a line for each thing that has begun to answer or ended.

        Raises
        ------
        StartFailed
            If a child ended that never answered, or one ends again and again, or time ran out.
        """
        yield from self._look_after(time.monotonic())
        waiting = [step for step in self._steps() if step[0] not in self.ready]
        for name, reached, line in waiting:
            if not reached():
                continue
            self.ready.append(name)
            self._note_answer(name)
            if name == "code" and not self._has("daemon"):
                # Only now: a daemon that finds no code server looks again after a minute.
                self._start_dagster()
            elif line:
                yield f"{name:8} {line}, {time.monotonic() - self.began:.0f} s after start"
        yield from self._refuse_late(time.monotonic())

    def _look_after(self, now: float) -> Iterator[str]:
        for child in (*([self.pool_child] if self.pool_child else ()), *self.children):
            if child.name == "daemon" and child.waits and "code" not in self.ready:
                continue  # a daemon that finds no code server looks again after a minute
            if (line := child.look(now)) is not None:
                self._forget(child)
                yield line
                yield from self._end_the_daemon(now) if child.name == "code" else ()

    def _end_the_daemon(self, now: float) -> Iterator[str]:
        """End it with its code server: as it begins again it fails the runs that the server took with it."""
        for child in self.children:
            if child.name == "daemon" and not child.waits:
                self._forget(child)
                yield child.give_up("ends with the code server", now)

    def _refuse_late(self, now: float) -> Iterator[str]:
        """End what was started again and does not answer; raise for what never did."""
        awaited = ("code", "http", "dagster", "daemon")
        answered = {step for child in self.children if child.answered for step in STEPS_OF[child.name]}
        late = [name for name in awaited if name not in self.ready and name not in answered]
        if late and now > self.began + START_SECONDS:
            raise StartFailed(f"{', '.join(late)} did not answer within {START_SECONDS:.0f} s", child=late[0])
        for child in self.children:
            missing = STEPS_OF[child.name][0] not in self.ready
            if missing and child.answered and not child.waits and now > child.began + START_SECONDS:
                self._forget(child)
                yield child.give_up(f"did not answer within {START_SECONDS:.0f} s", now)

    def _note_answer(self, step: str) -> None:
        for child in self.children:
            child.answered = child.answered or STEPS_OF[child.name][0] == step

    def _forget(self, child: Child) -> None:
        self.ready = [step for step in self.ready if step not in STEPS_OF[child.name]]

    def _has(self, name: str) -> bool:
        return any(child.name == name for child in self.children)

    def _steps(self) -> tuple[tuple[str, Callable[[], bool], str], ...]:
        """Return name, test and line of everything that is waited for, in the order in which it can come."""
        return (
            ("code", lambda: listens(self.socket), ""),
            (
                "http",
                lambda: answers(self.http_url, "/livez"),
                f"page at {self.http_url}, docs at {self.http_url}/docs",
            ),
            ("dagster", lambda: answers(self.dagster_url, "/server_info"), f"assets and checks at {self.dagster_url}"),
            ("daemon", self._daemon_beats, "sensors and schedules are on"),
            ("ready", self._can_draw, f"curl {self.http_url}/random/32 answers"),
        )

    def _can_draw(self) -> bool:
        """Tell whether a draw that names no class is answered, or a public one where there are no others."""
        return holds_bytes(self.http_url, "public" if self.settings.public_share == 1 else "private")

    def _daemon_beats(self) -> bool:
        query = '{instance {daemonHealth {daemonStatus(daemonType: "SENSOR") {healthy lastHeartbeatTime}}}}'
        try:
            status = queried(self.dagster_url, query)["instance"]["daemonHealth"]["daemonStatus"]
        except EndpointFailed:
            return False
        began = next((child.began for child in self.children if child.name == "daemon"), self.began)
        started = time.time() - (time.monotonic() - began)
        return bool(status["healthy"]) and (status["lastHeartbeatTime"] or 0.0) > started

    def idle(self) -> bool:
        """Tell whether the daemon is there and no run waits or works."""
        if "daemon" not in self.ready:
            return False
        unfinished = "{statuses: [QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING]}"
        try:
            runs = queried(self.dagster_url, f"{{runsOrError(filter: {unfinished}) {{... on Runs {{count}}}}}}")
        except EndpointFailed:
            return False
        return not runs["runsOrError"]["count"]

    def _start_dagster(self) -> None:
        workspace = str(Home.of(self.settings).dagster_folder / "workspace.yaml")
        host, port = self.settings.dagster_host, self.dagster_url.rsplit(":", 1)[1]
        self._start("daemon", "entropy_assets.supervisor.daemon", "--workspace", workspace)
        self._start(
            "webserver",
            "entropy_assets.supervisor.webserver",
            *("--workspace", workspace, "--host", host, "--port", port),
        )

    def _start(self, name: str, module: str, *arguments: str) -> None:
        logs = Home.of(self.settings).logs_folder
        logs.mkdir(parents=True, exist_ok=True)
        pool_url = {"http": self.pool.service, "code": self.pool.publisher}.get(name)
        environment = {
            **child_environment(self.settings, pool_url, self.http_url, keys=name == "http"),
            "ENTROPY_DAGSTER_URL": self.settings.dagster_url or self.dagster_url,
        }
        log = logs / f"{name}.log"
        command = [sys.executable, "-m", module, *arguments]

        def start() -> OwnedProcess:
            if name == "code":
                self.code_folder.ensure()
            since = ("--code-since", str(self._code_since())) if name == "daemon" else ()
            return OwnedProcess([*command, *since], environment=environment, log=log)

        self.children.append(Child(name, start(), start, log, time.monotonic()))

    def _code_since(self) -> float:
        """Return when the code server began, seconds since 1970."""
        began = next(child.began for child in self.children if child.name == "code")
        return time.time() - (time.monotonic() - began)

    def _stop(self, say: Say) -> None:
        with suppress(OSError):  # who read along may be gone, and so may the terminal
            say("stopping ...")
        deadline = time.monotonic() + STOP_SECONDS
        for child in self.children:
            child.process.ask_to_end()
        for child in self.children:
            child.process.stop(max(0.0, deadline - time.monotonic()))
        with suppress(OSError):
            say("stopped")


def _watched(server: EmbeddedServer) -> Child:
    """Return the embedded server, which runs and answers, as a child."""
    return Child("pool", server.process, server.revive, server.log, time.monotonic(), answered=True)


def prepare_home(home: Home, code_server: Path, say: Say) -> None:
    """Make the folders of the installation and put Dagster's two configuration files where it looks for them."""
    home.dagster_folder.mkdir(parents=True, exist_ok=True)
    if offered := provide(home):
        say(f"dagster  {offered}")
    location = {"grpc_server": {"socket": str(code_server), "location_name": LOCATION}}
    # JSON is YAML.
    (home.dagster_folder / "workspace.yaml").write_text(json.dumps({"load_from": [location]}) + "\n", encoding="ascii")
    if home.inbox_url is None:
        DropFolder(home.inbox_folder)


def drop_samples(home: Home, samples: Path = SAMPLES) -> int:
    """Copy the bundled sample images into the inbox of an installation that has no batch yet; return how many.

    They go into the subfolder of the source ``samples``, for which the recipe vouches.
    """
    if any(home.batches()):
        return 0
    if home.inbox_url is None:
        DropFolder(home.inbox_folder / SAMPLES.name)
    inbox = home.inboxes([SAMPLES.name], settle_seconds=0.0, max_file_bytes=MOST_BYTES)[SAMPLES.name]
    images = [path for path in sorted(samples.iterdir()) if path.suffix != ".csv"]
    there = {file.name for file in inbox.ready(time.time())}
    missing = [path for path in images if path.name not in there]
    for path in missing:
        inbox.deposit(path.name, path.read_bytes())
    return len(missing)
