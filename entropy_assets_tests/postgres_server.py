"""A PostgreSQL of the tests' own: made with initdb, on a unix socket in a folder that goes with it, nothing tuned away.

Its binaries are Debian's (``/usr/lib/postgresql/*/bin``) or those on PATH. It refuses to run as root, so root lends it
another user.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

START_S = 30.0
MEMORY = Path("/dev/shm")  # noqa: S108 - a server that waits for a disk would take most of the tests' time
USER = "postgres"
"""The superuser of the cluster."""
KEYED = "keyed"
"""A user of whom a password is asked, once somebody made it; of the others none is."""


def programs() -> Path | None:
    """Give the folder of the server's programs, the newest version; None where there is none."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if found:
        return max(found, key=lambda folder: int(folder.parent.name))
    on_path = shutil.which("postgres")
    return Path(on_path).resolve().parent if on_path else None


def need_programs() -> Path:
    """Give the same, or skip; in CI their absence fails."""
    folder = programs()
    if folder is None:
        reason = "needs a PostgreSQL server: apt-get install postgresql"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return folder


class PostgresServer:
    """A cluster in a folder, and the server on it.

    Parameters
    ----------
    folder
        Where its data, its socket and its log go.
    settings
        Settings of the server, by name.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.settings = settings
        self.data = folder / "data"
        self._programs = need_programs()
        self._process: subprocess.Popen[bytes] | None = None

    def initialise(self) -> "PostgresServer":
        self.run("initdb", "-D", self.data, "-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
        access = self.data / "pg_hba.conf"
        access.write_text(f"local all {KEYED} scram-sha-256\n{access.read_text()}")
        return self

    def copy_of(self, primary: "PostgresServer", name: str) -> "PostgresServer":
        """Become a standby of `primary`, which knows it by `name`."""
        self.run("pg_basebackup", "-D", self.data, "-d", f"{primary.dsn} application_name={name}", "-R", "-c", "fast")
        return self

    def run(self, program: str, *arguments: object) -> None:
        command = [str(self._programs / program), *map(str, arguments)]
        done = subprocess.run(command, **lent(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> "PostgresServer":
        settings = {"listen_addresses": "", "unix_socket_directories": str(self.folder), **self.settings}
        given = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self.data), *given], **lent(), stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_S
        while True:
            try:
                psycopg.connect(self.dsn).close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                time.sleep(0.05)
            else:
                return self

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stop it at once, as a crash would; SIGINT lets it end in good order."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(how)
            self._process.wait(START_S)
            self._process = None

    def promote(self) -> None:
        self.ask("SELECT pg_promote()")

    @property
    def dsn(self) -> str:
        return f"host={self.folder} port={self.settings.get('port', '5432')} user={USER} dbname=postgres"

    def url(self, schema: str = "public", user: str = USER) -> str:
        """Give the address of a ledger in a schema of the one database."""
        return (
            f"postgresql+psycopg://{user}@/postgres?host={quote(str(self.folder), safe='')}"
            f"&options={quote(f'-c search_path={schema}', safe='')}"
        )

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as the superuser; return its rows."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []


def lent() -> dict[str, Any]:
    """Give what makes a child run as another user than root."""
    if os.geteuid() != 0:
        return {}
    user = _unprivileged()
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}


def _unprivileged() -> pwd.struct_passwd:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return pwd.getpwnam(USER if USER in names else "nobody")


@contextmanager
def postgres_folder(parent: Path | None = None) -> Iterator[Path]:
    """Give a folder for one or several servers, by default in memory; its path is short, as a socket's must be."""
    need_programs()
    parent = MEMORY if parent is None and os.access(MEMORY, os.W_OK) else parent
    folder = Path(tempfile.mkdtemp(prefix="ea-pg-", dir=parent))
    if os.geteuid() == 0:
        os.chown(folder, _unprivileged().pw_uid, _unprivileged().pw_gid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def folder_of(parent: Path, name: str) -> Path:
    """Make a folder in one of `postgres_folder`, for its user."""
    folder = parent / name
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(folder, _unprivileged().pw_uid, _unprivileged().pw_gid)
    return folder
