"""An installation on several machines: the owner of the inbox, the daemon, two workers, and who audits."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml
from pydantic import SecretStr

from entropy_assets.settings import Settings
from entropy_assets.stores.home import Home
from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.distributed.machines import Fleet, Machine
from entropy_assets_tests.e2e.running import eventually
from entropy_assets_tests.postgres_server import USER, PostgresServer
from entropy_assets_tests.stores.blobs.servers import BUCKET, CREDENTIALS

AWAY_S: Final = 5.0
"""How long a machine is away before somebody starts it again, seconds."""


@dataclass
class Servers:
    """What the machines share: two databases and a spare one, addresses of object store, pool and Celery's broker."""

    primary: PostgresServer
    standby: PostgresServer
    spare: PostgresServer
    store: str
    pool: str
    broker: str

    def take_over(self) -> None:
        """Let the standby be the primary, with the spare one as its synchronous standby."""
        self.standby.promote()
        eventually("a promotion", lambda: self.standby.ask("SELECT NOT pg_is_in_recovery()") == [(True,)])
        self.spare.copy_of(self.standby, "spare").start()
        wait_for_standby(self.standby, "spare")

    def url(self, scheme: str, database: str) -> str:
        """Give the address of a database on whichever of the two servers takes writes."""
        hosts = [f"127.0.0.1:{server.settings['port']}" for server in (self.primary, self.standby)]
        return f"{scheme}://{USER}@/{database}?host={hosts[0]}&host={hosts[1]}&target_session_attrs=read-write"


def wait_for_standby(server: PostgresServer, name: str) -> None:
    """Let `server` acknowledge nothing from now on that its standby `name` doesn't have."""
    server.ask(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
    server.ask("SELECT pg_reload_conf()")
    is_there = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
    eventually("a synchronous standby", lambda: server.ask(is_there) == [(1,)])


class Site:
    """The machines, and what is seen of their work from outside.

    Parameters
    ----------
    folder
        Where the machines' folders go.
    servers
        What they share.
    port
        Of the code server.
    """

    def __init__(self, folder: Path, servers: Servers, port: int) -> None:
        self.servers = servers
        self.environment = {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": servers.store,
            "ENTROPY_STORE_URL": f"s3://{BUCKET}/site",
            "ENTROPY_LEDGER_URL": servers.url("postgresql+psycopg", "ledger"),
            "ENTROPY_REDIS_URL": servers.pool,
            "ENTROPY_BATCH_MAX_FILES": "1",
            "ENTROPY_PUBLIC_SHARE": "0.5",
            "DAGSTER_PG_URL": servers.url("postgresql+psycopg2", "dagster"),
            "DAGSTER_CELERY_BROKER": servers.broker,
        }
        self.fleet = Fleet(folder, self.environment)
        self.port = port
        self.owner = self._machine("owner")
        self.daemon = self._machine("daemon")
        self.workers = [self._machine(f"worker-{number}") for number in (1, 2)]
        self.auditor = self.fleet.machine("auditor")
        self._outside = folder / "outside"

    def _machine(self, name: str) -> Machine:
        machine = self.fleet.machine(name)
        self._dagster_yaml(machine.folder / "dagster")
        return machine

    def _dagster_yaml(self, folder: Path) -> None:
        instance = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
        for part in ("postgresql", "celery"):
            instance |= yaml.safe_load((PROJECT / "deploy" / "dagster" / f"{part}.yaml").read_text())
        broker = {"env": "DAGSTER_CELERY_BROKER"}  # also where Celery keeps what became of each task
        instance["run_launcher"]["config"] = {"broker": broker, "backend": broker}
        (folder / "dagster.yaml").write_text(yaml.safe_dump(instance))

    def start(self) -> None:
        self.start_owner()
        self.start_daemon()
        for worker in self.workers:
            self.start_worker(worker)

    def stop(self) -> None:
        for machine in (self.owner, self.daemon, *self.workers):
            machine.kill()

    def start_owner(self) -> None:
        self.owner.start(
            *("dagster", "code-server", "start", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--module-name", "entropy_assets.definitions", "--location-name", "entropy_assets"),
        )

    def start_daemon(self) -> None:
        server = {"host": "127.0.0.1", "port": self.port, "location_name": "entropy_assets"}
        (self.daemon.folder / "workspace.yaml").write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}))
        self.daemon.start("dagster-daemon", "run", "--workspace", "workspace.yaml")

    def start_worker(self, worker: Machine) -> None:
        worker.start(
            *("celery", "--app", "entropy_assets.defs.engines.celery_app", "worker", "--concurrency", "1"),
            *("--hostname", f"{worker.name}@site", "--loglevel", "INFO"),
        )

    def drop(self, name: str, data: bytes) -> None:
        """Put a file into the inbox, which its owner alone sees."""
        folder = Home(self.owner.folder / "home").inbox_folder / "raw-ccd"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f".{name}").write_bytes(data)
        (folder / f".{name}").rename(folder / name)

    def taken(self) -> list[Path]:
        """Give what was taken out of the inbox and is not settled."""
        inbox = Home(self.owner.folder / "home").inbox_folder
        return [path for folder in inbox.rglob(".taken") for path in folder.rglob("*") if path.is_file()]

    def home(self) -> Home:
        """Give the installation as a machine of its own sees it."""
        return Home.of(
            Settings(
                home=self._outside / "home",
                store_url=self.environment["ENTROPY_STORE_URL"],
                ledger_url=SecretStr(self.environment["ENTROPY_LEDGER_URL"]),
            )
        )

    def fail_over(self) -> None:
        """Lose the database's primary, let its standby take over, and accept that as an operator does."""
        self.servers.primary.stop()
        time.sleep(AWAY_S)  # what runs meanwhile fails
        self.servers.take_over()
        self.stop()
        checked = self.auditor.run("entropy-assets", "ledger", "check", "--json")
        assert checked.returncode == 1, checked.stderr
        told = json.loads(checked.stdout)
        epoch = told["promoted"]["present"]
        done = self.auditor.run("entropy-assets", "ledger", "accept", "--epoch", epoch, "--head", told["head"])
        assert done.returncode == 0, done.stderr
        self.start()
