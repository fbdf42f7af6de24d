"""The parts of an answer, each by itself, for `instructions`: ``python -m benchmarks.answer_parts``.

It reads lines ``NAME N`` and for each prepares that part, says ``ready``, waits for a line, runs it `N` times and says
``done``. Connections lead nowhere: what is written to them is dropped. What is asked for is what wrk sends: 1 KiB of
the private class with an API key, under limits in requests and bytes.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import httptools
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from benchmarks.serving_app import bare
from entropy_assets.core.conditioning.records import block_id_of
from entropy_assets.serving.access.accounts import Accounts
from entropy_assets.serving.access.allowances import Headers, Limits
from entropy_assets.serving.access.gate import Gate, caller_in
from entropy_assets.serving.access.hosts import Hosts
from entropy_assets.serving.access.keys import KeyRing
from entropy_assets.serving.answers.hot_path import HotPath, HotRequest, Plan, Taken
from entropy_assets.serving.answers.mixing import mixed
from entropy_assets.serving.config import ConnectionLimits
from entropy_assets.serving.http.app import MemoryFirst
from entropy_assets.serving.reservoir.reservoir import Reservoir, Reservoirs
from entropy_assets.serving.server.fast_lane import FastLane
from entropy_assets.serving.server.workers import tune_process
from entropy_assets.serving.service import RandomService
from entropy_assets.stores.api_keys import FileKeys, create
from entropy_assets.stores.buckets import LocalBuckets
from entropy_assets.stores.lanes import LANES
from entropy_assets.stores.pool.ageing import ageing_s
from entropy_assets.stores.pool.blocks import Lease, LeasedBlock, PoolBlock, PoolDepth, SealedLease

SIZE: Final = 1024
BLOCK_LEN: Final = 4096
ADDRESS: Final = "127.0.0.1"
TARGET: Final = b"/random/%d" % SIZE
HUGE: Final = 10**9
NO_LEASE: Final = SealedLease((), 0.0, 0.0, PoolDepth(0, 0))
NOTHING_ASKED: Final[HotRequest] = (cast(Plan, None), None)
NAMES: Final = (
    "nothing",
    "parser",
    "protocol",
    "request known by its bytes",
    "request known by its digest",
    "digest of a key",
    "key",
    "key and limits",
    "cut and count",
    "system's bytes",
    "mixing",
    "from memory, plain",
    "from memory, full",
    "through ASGI, bare",
    "through ASGI, plain",
    "through ASGI, full",
    "lane, plain",
    "lane, full",
    "lane, full, each request read",
)


class Deaf:
    """A protocol that does nothing with what the parser tells it."""

    def on_message_begin(self) -> None:
        """Need not know."""

    def on_url(self, url: bytes) -> None:
        """Need not know."""

    def on_header(self, name: bytes, value: bytes) -> None:
        """Need not know."""

    def on_headers_complete(self) -> None:
        """Need not know."""

    def on_message_complete(self) -> None:
        """Need not know."""


class Nowhere(asyncio.Transport):
    """A connection that leads nowhere."""

    def write(self, data: Any) -> None:
        """Drop it."""

    def is_closing(self) -> bool:
        """Tell that it never does."""
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Tell the address of the other side."""
        return (ADDRESS, 1) if name == "peername" else default


class Unreached:
    """An application that is not reached: what is asked for is in memory."""

    async def __call__(self, scope: object, receive: object, send: object) -> None:
        """Fail."""
        raise AssertionError("an answer was not in memory")


class Application(Unreached):
    """What a lane asks for its memory.

    Parameters
    ----------
    hot_path
        The memory, or what stands for it.
    """

    def __init__(self, hot_path: Any) -> None:
        self.hot_path = hot_path


class Forgetful(HotPath):
    """A memory that knows no request by its bytes, as if each were written in another way."""

    def known(self, request: bytes) -> HotRequest | None:
        """Tell of none."""
        return None

    def remember(self, request: bytes, headers: Headers, asked: HotRequest) -> None:
        """Remember none."""


class Constant(Forgetful):
    """A memory that holds one answer."""

    constant: Taken | None = None

    def asked(self, target: bytes, headers: Headers) -> HotRequest:
        """Need not look."""
        return NOTHING_ASKED

    def take(self, asked: HotRequest, address: str) -> Taken | None:
        """Give it."""
        return self.constant


class Parts:
    """Everything that an answer needs, in one process without sockets.

    Parameters
    ----------
    folder
        Where the store of keys may be.
    """

    def __init__(self, folder: Path) -> None:
        store = FileKeys(folder / "keys.json")
        key, _ = create(store, "benchmark", random_bytes=os.urandom)
        ring = self._ring = KeyRing(store)
        ring.load()
        host = (b"Host", b"127.0.0.1:8000")
        self._plain, self._full = [host], [host, (b"X-API-Key", key.encode())]
        self._keyed = Gate(ring, ())
        self._limited = Gate(ring, (), Limits(1e9, 10**12, 65_536), Accounts(LocalBuckets()))
        self.reservoirs = Reservoirs(*(Reservoir(lane, lambda _: NO_LEASE) for lane in LANES))

    async def admit(self) -> None:
        """Let the client in, so that memory knows it, with units for all that is going to be asked."""
        self._ring.load()  # what was read too long ago lets nobody in
        headers = _as_read(self._full)
        for gate in (self._keyed, self._limited):
            await gate.admit(headers, ADDRESS, "draw", SIZE)
        await asyncio.sleep(0.1)  # what was asked for ahead is here then

    def fill(self, n_bytes: int) -> None:
        """Hold so many bytes of each lane, and none that were held before."""
        for reservoir in self.reservoirs:
            leased = []
            for _ in range(1 + n_bytes // BLOCK_LEN):
                data = os.urandom(BLOCK_LEN)
                block = PoolBlock(block_id_of(data.hex()[:64]), data, "", 9.0, 1, lane=reservoir.lane)
                leased.append(LeasedBlock(block, 1e6))
            reservoir._stock.drop_all()
            reservoir.arrived(Lease(tuple(leased), PoolDepth(0, 0)), ageing_s())

    def answers(self) -> int:
        """Return how many answers were given."""
        return sum(each.counts[f"{each.lane}_answers"] for each in self.reservoirs)

    def part(self, name: str) -> Callable[[], object]:
        """Return one part as something to be called."""
        headers, data = _as_read(self._full), os.urandom(SIZE)
        bare_headers = _as_read(self._plain)
        plain = HotPath(self.reservoirs, Gate(), 2 * SIZE, Hosts())
        full = HotPath(self.reservoirs, self._limited, 2 * SIZE, Hosts())
        public, caller = TARGET + b"?class=public", caller_in(headers)
        whole, request = _request(public, self._plain), _request(TARGET, self._full)
        plain.remember(whole, bare_headers, _asked(plain, public, bare_headers))
        full.remember(request, headers, _asked(full, TARGET, headers))
        parser = httptools.HttpRequestParser(Deaf())
        self.fill(10 * SIZE)
        anew = (self.reservoirs, self._limited, 2 * SIZE, Hosts())
        constant = Constant(*anew)
        constant.constant = full.take(_asked(full, TARGET, headers), ADDRESS)
        parts: dict[str, Callable[[], object]] = {
            "nothing": lambda: None,
            "parser": lambda: parser.feed_data(request),
            "protocol": _connection(constant, request),
            "request known by its digest": lambda: full.known(request),
            "request known by its bytes": lambda: plain.known(whole),
            "digest of a key": lambda: caller_in(headers),
            "key": lambda: self._keyed.admit_at_once(caller, ADDRESS, "draw", SIZE),
            "key and limits": lambda: self._limited.admit_at_once(caller, ADDRESS, "draw", SIZE),
            "cut and count": lambda: self.reservoirs.private.take_piece(SIZE),
            "system's bytes": lambda: os.urandom(SIZE),
            "mixing": lambda: mixed(data),
            "from memory, plain": lambda: plain.answer(public, bare_headers, ADDRESS),
            "from memory, full": lambda: full.answer(TARGET, headers, ADDRESS),
            "through ASGI, bare": self._through_asgi(bare, TARGET, bare_headers),
            "through ASGI, plain": self._through_asgi(self._application(Gate()), public, bare_headers),
            "through ASGI, full": self._through_asgi(self._application(self._limited), TARGET, headers),
            "lane, full, each request read": _connection(Forgetful(*anew), request),
            "lane, plain": _connection(plain, whole),
            "lane, full": _connection(full, request),
        }
        return parts[name]

    def _application(self, gate: Gate) -> MemoryFirst:
        config = SimpleNamespace(max_request_bytes=2 * SIZE)
        service = SimpleNamespace(reservoirs=self.reservoirs, gate=gate, config=config, hosts=Hosts())
        return MemoryFirst(Unreached(), cast(RandomService, service))

    def _through_asgi(self, application: Any, target: bytes, headers: Headers) -> Callable[[], object]:
        """Return what lets an application answer through uvicorn's own messages, without the turn of the loop."""
        path, _, query = target.partition(b"?")
        scope = {
            "type": "http",
            "method": "GET",
            "raw_path": path,
            "query_string": query,
            "headers": headers,
            "client": (ADDRESS, 1),
        }
        link, date = Nowhere(), [(b"date", b"Sun, 29 Nov 2026 12:00:00 GMT")]
        flow, never = FlowControl(link), cast(Any, None)

        def answer() -> None:
            cycle = RequestResponseCycle(
                cast(Any, scope),
                link,
                flow,
                never,
                never,
                access_log=False,
                default_headers=date,
                message_event=asyncio.Event(),
                expect_100_continue=False,
                keep_alive=True,
                on_response=_nothing,
            )
            try:
                cycle.run_asgi(application).send(None)
            except StopIteration:
                return
            raise AssertionError("an answer had to be waited for")

        return answer


def _nothing() -> None:
    """Do nothing."""


def _asked(hot_path: HotPath, target: bytes, headers: Headers) -> HotRequest:
    asked = hot_path.asked(target, headers)
    assert asked is not None
    return asked


def _as_read(headers: Headers) -> Headers:
    return [(name.lower(), value) for name, value in headers]


def _request(target: bytes, headers: Headers) -> bytes:
    return b"GET %b HTTP/1.1\r\n%b\r\n" % (target, b"".join(b"%b: %b\r\n" % header for header in headers))


def _connection(hot_path: object, request: bytes) -> Callable[[], object]:
    config = uvicorn.Config(Application(hot_path), proxy_headers=False, log_config=None, lifespan="off")
    state = ServerState()
    state.default_headers = [(b"date", b"Sun, 29 Nov 2026 12:00:00 GMT")]
    limits = ConnectionLimits(request_s=HUGE, idle_s=HUGE, write_s=HUGE, closing_s=HUGE)
    lane = FastLane(config, state, {}, limits=limits)
    lane.connection_made(Nowhere())
    return lambda: lane.data_received(request)


async def converse() -> None:
    """Run what standard input asks for."""
    with tempfile.TemporaryDirectory() as folder:
        parts = Parts(Path(folder))
        tune_process()
        for line in sys.stdin:
            name, _, n = line.rstrip("\n").rpartition(" ")
            await parts.admit()
            part = parts.part(name)
            parts.fill((int(n) + 2) * SIZE)
            print("ready", flush=True)
            sys.stdin.readline()
            before = parts.answers()
            for _ in repeat(None, int(n)):
                part()
            assert not name.startswith(("from", "lane")) or parts.answers() - before == int(n), name
            print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(converse())
