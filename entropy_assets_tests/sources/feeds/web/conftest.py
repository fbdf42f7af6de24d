"""A web of a few hosts, which all are one server that misbehaves, and a reader that finds its way there."""

import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from entropy_assets.sources.feeds.interface import FeedError
from entropy_assets.sources.feeds.web.hosts import HostRules
from entropy_assets.sources.feeds.web.limits import Clock, WebLimits
from entropy_assets.sources.feeds.web.networks import Network
from entropy_assets.sources.feeds.web.pacing import Pacing
from entropy_assets.sources.feeds.web.reader import HttpReader
from entropy_assets_tests.sources.feeds.fault_server import Certificates, FakeClock, FaultServer

PUBLIC = "93.184.215.14"
"""An address of the internet, which these tests never reach: what connects to it comes to the server here."""


@dataclass(slots=True)
class Web:
    """One server under several names, and what was looked up and connected to.

    Attributes
    ----------
    names
        What each look-up of a name gives, the last for ever; every other name has the address `PUBLIC`.
    """

    server: FaultServer
    trust: ssl.SSLContext
    clock: FakeClock
    names: dict[str, list[Sequence[str]]] = field(default_factory=dict)
    looked_up: list[str] = field(default_factory=list)
    connected: list[tuple[str, int]] = field(default_factory=list)
    pacing: Pacing = field(init=False)

    def __post_init__(self) -> None:
        clock = self.clock
        self.pacing = Pacing(Clock(clock.monotonic, clock.now, clock.sleep, lambda: 0.5))

    def reader(self, hosts: HostRules | None = None, **limits: float) -> HttpReader:
        """Give a reader that may ask ``feed.test``, ``other.test`` and what is below ``assets.test``."""
        return HttpReader(
            "mine",
            hosts or HostRules(["feed.test", "other.test", "*.assets.test", "feed.test:8443"]),
            pacing=self.pacing,
            limits=WebLimits(**({"document_bytes": 4 << 20, "image_bytes": 4 << 20} | limits)),
            network=Network(self._look_up, self._connect),
            tls=self.trust,
        )

    def _look_up(self, host: str, port: int) -> Sequence[str]:
        self.looked_up.append(host)
        given = self.names.get(host, [[PUBLIC]])
        told = given.pop(0) if len(given) > 1 else given[0]
        if not told:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return told

    def _connect(self, address: str, port: int, timeout_s: float) -> socket.socket:
        self.connected.append((address, port))
        return socket.create_connection(("127.0.0.1", self.server.port), timeout_s)


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    """Give an authority of this session."""
    return Certificates()


@pytest.fixture(scope="session")
def trusted(certificates: Certificates) -> ssl.SSLContext:
    """Give how the server shows who it is."""
    return certificates.serving("feed.test", "other.test", "*.assets.test", PUBLIC)


@pytest.fixture
def web(certificates: Certificates, trusted: ssl.SSLContext) -> Iterator[Web]:
    """Give a web of hosts that show certificates of their own."""
    with FaultServer(trusted) as server:
        yield Web(server, certificates.trusting(), FakeClock())


def failure(read: object, *told: object, **more: object) -> FeedError:
    """Return how a reading fails: by one of our errors, which holds nothing that it came from."""
    with pytest.raises(FeedError) as caught:
        read(*told, **more)  # type: ignore[operator]
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    return error
