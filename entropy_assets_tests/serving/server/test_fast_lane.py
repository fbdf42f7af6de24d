"""The lane inside uvicorn's protocol: the same answers as the usual way, in the order of the requests, once each."""

import socket
import time
from collections.abc import Iterator

import pytest

from entropy_assets.serving.config import ConnectionLimits, ServiceConfig
from entropy_assets.serving.reservoir.demand import ReservoirLimits
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.serving.running import RunningService

HOST = b"Host: localhost\r\n"
FAST = b"GET /random/16?class=public HTTP/1.1\r\n" + HOST + b"\r\n"
SLOW = b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n"


@pytest.fixture
def service(valkey_url: str, pool_prefix: str, pool: PoolClient) -> Iterator[RunningService]:
    """Run a service with the lane on a pool of 200 blocks, and let it fill its reservoir."""
    pool.push(blocks_for_both(200))
    with RunningService(ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix)) as running:
        reservoir = running.application.service.reservoirs.public
        while reservoir.buffered_bytes < reservoir.limits.least_bytes:
            time.sleep(0.005)
        yield running


class Link:
    """One connection, read answer by answer."""

    def __init__(self, service: RunningService) -> None:
        self.socket = socket.create_connection(("127.0.0.1", service.port), timeout=10)
        self._rest = b""

    def __enter__(self) -> "Link":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self, *, body: bool = True) -> tuple[int, dict[str, str], bytes]:
        """Read one answer: status, headers, body."""
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        length = int(headers.get("content-length", 0)) if body else 0
        while len(self._rest) < length:
            self._more()
        data, self._rest = self._rest[:length], self._rest[length:]
        return int(lines[0].split()[1]), headers, data

    def _more(self) -> None:
        data = self.socket.recv(65_536)
        assert data, f"closed after {self._rest!r}"
        self._rest += data

    def closed(self) -> bool:
        """Tell whether the other side closes without another byte."""
        return not self._rest and self.socket.recv(1) == b""


def _served(service: RunningService) -> int:
    return service.application.service.counts["served_public_bytes"]


def test_answers_come_in_the_order_of_the_requests(service: RunningService, lane_answers: list[int]) -> None:
    """Fast, slow, fast in one packet: the second fast one may not overtake the slow one before it."""
    with Link(service) as link:
        link.send(FAST + SLOW + FAST + SLOW)
        kinds = [link.answer()[1]["content-type"] for _ in range(4)]
    assert kinds == ["application/octet-stream", "application/json"] * 2
    assert lane_answers == [1]


def test_a_request_that_comes_again_is_not_read_again(
    service: RunningService, lane_answers: list[int], unread: list[bytes]
) -> None:
    """On whichever connection; the answer is a new one, with the same headers but for what was cut."""
    answers = []
    for _ in range(2):
        with Link(service) as link:
            for _ in range(3):
                link.send(FAST)
                answers.append(link.answer())
    assert (len(lane_answers), unread) == (6, [FAST] * 5)
    assert len({headers.pop("x-entropy-blocks") for _, headers, _ in answers}) == 6
    for name in ("date", "x-entropy-reveals-at"):
        assert all(headers.pop(name) for _, headers, _ in answers)
    assert all(answer[:2] == answers[0][:2] for answer in answers)
    assert _served(service) == 6 * 16


@pytest.mark.parametrize(
    "packets",
    [
        [FAST[:20], FAST[20:]],
        [FAST + FAST],
        [FAST + FAST[:20], FAST[20:]],
        [SLOW + FAST],
        [b"HEAD" + FAST[3:]],
        [FAST.replace(b"\r\n\r\n", b"\r\nX: " + b"a" * 1024 + b"\r\n\r\n")],
    ],
)
def test_only_a_packet_that_is_one_request_is_remembered(
    packets: list[bytes], service: RunningService, unread: list[bytes]
) -> None:
    for _ in range(2):
        with Link(service) as link:
            for packet in packets:
                link.send(packet)
                time.sleep(0.05)
            link.answer(body=False)
    assert unread == []


def test_what_looks_like_a_known_request_is_none_inside_a_body(service: RunningService, unread: list[bytes]) -> None:
    with Link(service) as link:
        link.send(FAST)
        link.answer()
        link.send(b"POST /random HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(FAST))
        time.sleep(0.05)
        link.send(FAST)
        assert link.answer()[0] == 415
    assert (unread, _served(service)) == ([], 16)


def test_what_looks_like_a_known_request_is_none_inside_a_head(service: RunningService, unread: list[bytes]) -> None:
    with Link(service) as link:
        link.send(FAST)
        link.answer()
        link.send(SLOW[:-2] + b"X: ")
        time.sleep(0.05)
        link.send(FAST)  # a value, and a second Host
        assert link.answer()[0] == 400
    assert (unread, _served(service)) == ([], 16)


def test_a_known_request_behind_a_slow_one_waits_for_its_turn(service: RunningService) -> None:
    usual = FAST.replace(b"class=public", b"class=%70ublic")
    with Link(service) as link:
        link.send(FAST)
        link.answer()
        for _ in range(20):
            link.send(SLOW)
            link.send(FAST)
            link.send(usual)
        kinds = [link.answer()[1]["content-type"] for _ in range(60)]
    assert kinds == ["application/json", "application/octet-stream", "application/octet-stream"] * 20


def test_a_hundred_requests_in_one_packet_get_a_hundred_different_ranges(
    service: RunningService, lane_answers: list[int]
) -> None:
    with Link(service) as link:
        link.send(FAST * 100)
        answers = [link.answer() for _ in range(100)]
    assert {status for status, _, _ in answers} == {200}
    assert len({headers["x-entropy-blocks"] for _, headers, _ in answers}) == 100
    assert len(lane_answers) == 100
    assert _served(service) == 1600


def test_a_request_that_comes_byte_by_byte_is_one_request(service: RunningService, lane_answers: list[int]) -> None:
    with Link(service) as link:
        for at in range(len(FAST)):
            link.send(FAST[at : at + 1])
        assert link.answer()[0] == 200
    assert lane_answers == [1]


@pytest.mark.parametrize(
    "request_bytes, status",
    [
        (b"GET /random/16 HTTP/1.0\r\n" + HOST + b"\r\n", 200),
        (b"GET /random/16 HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n", 200),
        (b"GET /random/16 HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc", 200),
        (b"GET /random/16 HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 200),
        (b"GET /random/16 HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\n\r\n", 200),
        (b"GET /random/1%36 HTTP/1.1\r\n" + HOST + b"\r\n", 200),
        (b"GET http://a/random/16 HTTP/1.1\r\n" + HOST + b"\r\n", 200),
        (b"GET /random/16 HTTP/1.1\r\n" + HOST + b"Accept: application/json\r\n\r\n", 200),
        (b"GET /random/0 HTTP/1.1\r\n" + HOST + b"\r\n", 422),
        (b"GET /random/-1 HTTP/1.1\r\n" + HOST + b"\r\n", 422),
        (b"GET /random/1000000000 HTTP/1.1\r\n" + HOST + b"\r\n", 422),
        (b"GET /random/16?class=secret HTTP/1.1\r\n" + HOST + b"\r\n", 422),
        (b"DELETE /random/16 HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    ],
)
def test_what_is_out_of_the_ordinary_goes_the_usual_way(
    request_bytes: bytes, status: int, service: RunningService, lane_answers: list[int]
) -> None:
    with Link(service) as link:
        link.send(request_bytes)
        assert link.answer()[0] in (status, 100)
    assert lane_answers == []


def test_head_consumes_nothing(service: RunningService, lane_answers: list[int]) -> None:
    with Link(service) as link:
        link.send(b"HEAD /random/16?class=public HTTP/1.1\r\n" + HOST + b"\r\n" + FAST)
        link.answer(body=False)
        assert link.answer()[0] == 200
    assert _served(service) == 16
    assert lane_answers in ([], [1])


@pytest.mark.parametrize("fast_lane", [True, False])
def test_a_download_ends_with_its_client_also_when_that_had_asked_for_more_already(
    valkey_url: str, pool_prefix: str, pool: PoolClient, fast_lane: bool, caplog: pytest.LogCaptureFixture
) -> None:
    pool.push(blocks_for_both(200))
    config = ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix, fast_lane=fast_lane)
    with RunningService(config) as service:
        counts = service.application.service.counts
        with Link(service) as link:
            link.send(b"GET /download/100000000 HTTP/1.1\r\n" + HOST + b"\r\n" + SLOW)
            link.socket.recv(1)
        deadline = time.monotonic() + 30
        while not counts["downloads_cut"] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert counts["downloads_cut"] == 1
    assert "unhandled-error" not in [record.msg for record in caplog.records]


def test_who_leaves_in_the_middle_of_a_body_makes_no_error(
    service: RunningService, caplog: pytest.LogCaptureFixture
) -> None:
    with Link(service) as link:
        link.send(
            b"POST /random HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 99\r\n" + HOST + b"\r\n{"
        )
        time.sleep(0.1)
    deadline = time.monotonic() + 5
    while service.connections and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert "unhandled-error" not in [record.msg for record in caplog.records]


def test_after_connection_close_the_connection_is_closed(service: RunningService) -> None:
    with Link(service) as link:
        link.send(FAST)
        link.answer()
        link.send(FAST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert link.answer()[1]["connection"] == "close"
        assert link.closed()


def test_both_ways_give_the_same_headers(service: RunningService, lane_answers: list[int]) -> None:
    """The usual way is taken here by an odd spelling of the query."""
    usual = FAST.replace(b"class=public", b"class=%70ublic")
    with Link(service) as link:
        link.send(FAST + usual)
        names = [sorted(link.answer()[1]) for _ in range(2)]
    assert lane_answers == [1]
    assert names[0] == names[1]


def test_a_client_that_does_not_read_holds_no_more_than_the_buffers(
    valkey_url: str, pool_prefix: str, pool: PoolClient
) -> None:
    """It asks for 12 MB that are all in memory, and reads nothing: most of them stay where they are."""
    held = 3000 * 4096
    pool.push(blocks_for_both(6000))
    limits = ReservoirLimits(least_bytes=2 * held, most_bytes=2 * held)  # filled to the half at least
    config = ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix, reservoir=limits)
    with RunningService(config) as service, Link(service) as link:
        while service.application.service.reservoirs.public.buffered_bytes < held:
            time.sleep(0.005)
        link.send(FAST.replace(b"/16", b"/65536") * (held // 65_536))
        time.sleep(1.0)
        assert _served(service) < held / 2


def test_a_silent_connection_is_closed_after_the_keep_alive_time(
    valkey_url: str, pool_prefix: str, pool: PoolClient
) -> None:
    """A connection that is in use may not be cut."""
    pool.push(blocks_for_both(20))
    config = ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix, connections=ConnectionLimits(idle_s=3.0))
    with RunningService(config) as service, Link(service) as link:
        for _ in range(10):
            link.send(FAST)
            assert link.answer()[0] == 200
            time.sleep(0.4)
        begun = time.monotonic()
        assert link.closed()
        assert 0.2 < time.monotonic() - begun < 9
