"""A PostgreSQL and its standby, from which what is written can be kept, and which takes over."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from entropy_assets_tests.postgres_server import PostgresServer, folder_of

LONGEST_S = 60.0


@dataclass
class Pair:
    """A primary, and a standby of it."""

    primary: PostgresServer
    standby: PostgresServer

    @classmethod
    def started(cls, folder: Path, **settings: str) -> "Pair":
        """Start both in a folder of `postgres_folder`; with any setting the standby is a synchronous one."""
        primary = PostgresServer(folder_of(folder, "p"), **settings).initialise().start()
        standby = PostgresServer(folder_of(folder, "s")).copy_of(primary, "standby").start()
        wanted = ("streaming", "sync" if settings else "async")
        soon(lambda: primary.ask("SELECT state, sync_state FROM pg_stat_replication") == [wanted])
        return cls(primary, standby)

    def cut(self) -> None:
        """Freeze the receiver of the standby: what the primary writes from now on does not reach it."""
        ((pid,),) = self.standby.ask("SELECT pid FROM pg_stat_wal_receiver")
        os.kill(pid, signal.SIGSTOP)
        self._frozen: int | None = pid

    def fail_over(self) -> None:
        """Let the primary crash, and the standby be the primary."""
        self.primary.stop()
        if (pid := getattr(self, "_frozen", None)) is not None:
            os.kill(pid, signal.SIGTERM)  # it ends as it wakes, before it reads what waits in its socket
            os.kill(pid, signal.SIGCONT)
        self.standby.promote()
        soon(lambda: self.standby.ask("SELECT pg_is_in_recovery()") == [(False,)])

    def stop(self) -> None:
        """Stop both at once."""
        self.primary.stop()
        self.standby.stop()


def soon(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + LONGEST_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
