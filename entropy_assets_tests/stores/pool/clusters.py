"""A cluster of real servers: three masters and their replicas, or fewer."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis
from redis.crc import key_slot

from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.ports import free_port

SLOTS = 16384
NODE_TIMEOUT_MS = "3000"
"""After which a master that does not answer is replaced: not so soon that one is that waits for a busy disk or core."""


def eventually(wanted: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something."""
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


class Node(EmbeddedServer):
    """One node, at an address that it keeps."""

    def __init__(self, folder: Path, more: Mapping[str, str], binary: Path | None) -> None:
        self.port, self.bus = free_port(), free_port()
        super().__init__(
            binary=binary,
            overrides={
                "port": str(self.port),
                "bind": "127.0.0.1",
                "cluster-enabled": "yes",
                "cluster-port": str(self.bus),
                "cluster-config-file": str(folder / f"nodes-{self.port}"),
                "cluster-node-timeout": NODE_TIMEOUT_MS,
                "repl-diskless-sync-delay": "0",
                **more,
            },
        )

    def ask(self, *words: object) -> object:
        """Send one command to this very node, and return what it says."""
        with redis.Redis.from_url(self.url) as client:
            return client.execute_command(*words)

    @property
    def info(self) -> dict[str, str]:
        """What it says of the cluster."""
        said = self.ask("CLUSTER", "INFO")
        assert isinstance(said, bytes)
        return dict(line.split(":") for line in said.decode().split())


class Cluster:
    """Masters, of which each has its share of the slots, and replicas of them.

    Attributes
    ----------
    masters, replicas
        The replica at a place is one of the master at this place.
    """

    def __init__(self, masters: list[Node], replicas: list[Node]) -> None:
        self.masters = masters
        self.replicas = replicas

    @property
    def ports(self) -> list[int]:
        """Ports of the masters."""
        return [node.port for node in self.masters]

    @property
    def url(self) -> str:
        """Address by which the pool is found."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in self.ports)

    def place_of(self, prefix: str) -> int:
        """Return at which place the master is that has the slot of a pool's keys."""
        return key_slot(f"{prefix}:pool:meta".encode()) * len(self.masters) // SLOTS


@contextmanager
def cluster(
    folder: Path,
    size: int,
    *,
    replicas: bool = False,
    more: Sequence[Mapping[str, str]] = (),
    binary: Path | None = None,
) -> Iterator[Cluster]:
    """Run a cluster of `size` masters; `more` is of each node what it is told besides."""
    edges = [-(-SLOTS * node // size) for node in range(size + 1)]
    count = size * (1 + replicas)
    with ExitStack() as stack:
        nodes = [stack.enter_context(Node(folder, own, binary)) for own in (more or [{}] * count)]
        masters, copies = nodes[:size], nodes[size:]
        for place, node in enumerate(masters):
            node.ask("CLUSTER", "ADDSLOTSRANGE", edges[place], edges[place + 1] - 1)
        for number, node in enumerate(nodes):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number:
                node.ask("CLUSTER", "MEET", "127.0.0.1", nodes[0].port, nodes[0].bus)
        for node in nodes:
            eventually(lambda node=node: node.info["cluster_known_nodes"] == str(len(nodes)))  # type: ignore[misc]
        for copy, node in zip(copies, masters, strict=False):
            name = node.ask("CLUSTER", "MYID")
            eventually(lambda copy=copy, name=name: _follows(copy, name))  # type: ignore[misc]
        for node in nodes:
            eventually(lambda node=node: node.info["cluster_state"] == "ok")  # type: ignore[misc]
        for node in masters[: len(copies)]:
            eventually(lambda node=node: _has_replica(node))  # type: ignore[misc]
        yield Cluster(masters, copies)


def _follows(copy: Node, name: object) -> bool:
    try:
        copy.ask("CLUSTER", "REPLICATE", name)
    except redis.ResponseError:  # it has not heard of that one yet
        return False
    return True


def _has_replica(node: Node) -> bool:
    with redis.Redis.from_url(node.url) as client:
        said = client.info("replication")
    return bool(said.get("connected_slaves") == 1 and said["slave0"]["state"] == "online")
