"""``/stream`` of the public class from a reservoir that has plenty: many messages from one visit, with one text."""

import contextlib
import dataclasses
import json
import threading
import time
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from entropy_assets.serving.answers.pieces import MOST_AT_ONCE_BYTES
from entropy_assets.serving.config import ServiceConfig, StreamLimits
from entropy_assets.serving.http.streams import MOST_CREDIT
from entropy_assets.serving.reservoir.demand import ReservoirLimits
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.serving.http.streaming import (
    grant,
    open_stream,
    raw_client,
    read,
    served,
    stands_still,
    wait_until,
)
from entropy_assets_tests.serving.running import RunningService

BLOCKS = 2048


@pytest.fixture
def config(valkey_url: str, pool_prefix: str) -> ServiceConfig:
    """Give the configuration of a service that holds all of this test's pool."""
    limits = ReservoirLimits(least_bytes=BLOCKS * 4096, most_bytes=BLOCKS * 4096)
    return ServiceConfig(
        pool_url=valkey_url, pool_prefix=pool_prefix, reservoir=limits, streams=StreamLimits(patience_s=2, idle_s=2)
    )


@contextlib.contextmanager
def _full(config: ServiceConfig, pool: PoolClient) -> Iterator[RunningService]:
    pool.push(blocks_for_both(BLOCKS))
    with RunningService(config) as service:
        reservoir = service.application.service.reservoirs.public
        wait_until(lambda: reservoir.buffered_bytes == BLOCKS * 4096)
        yield service


def _messages(client: ClientConnection, n: int) -> Iterator[tuple[dict[str, object], list[bytes]]]:
    while n > 0:
        note = json.loads(client.recv(timeout=30))
        yield note, read(client, note["n"])
        n -= note["n"]
    assert n == 0


def _binary_until_closed(client: ClientConnection) -> int:
    total = 0
    with contextlib.suppress(ConnectionClosed):
        while True:
            message = client.recv(timeout=30)
            total += len(message) if isinstance(message, bytes) else 0
    return total


def test_one_text_covers_many_messages(config: ServiceConfig, pool: PoolClient) -> None:
    """At most 1 MiB, and at most a quarter of what is held, so that there is something left for everybody."""
    held = BLOCKS * 4096
    with _full(config, pool) as service, open_stream(service, "?class=public") as client:
        grant(client, held)
        sizes = []
        for note, messages in _messages(client, held):
            assert max(map(len, messages)) == min(65_536, int(str(note["n"])))
            assert len(messages) == -(-int(str(note["n"])) // 65_536)
            sizes.append(note["n"])
            assert sizes[-1] <= max(65_536, min(MOST_AT_ONCE_BYTES, held // 4))
            held -= sizes[-1]
        assert sizes[:4] == [MOST_AT_ONCE_BYTES] * 4
        assert sizes[-1] <= 65_536


def test_messages_bring_exactly_the_credit(config: ServiceConfig, pool: PoolClient) -> None:
    with _full(config, pool) as service, open_stream(service, "?class=public") as client:
        for credit in (2**20 + 1, 3 * 2**20, 100):
            grant(client, credit)
            assert sum(int(str(note["n"])) for note, _ in _messages(client, credit)) == credit
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.2)
        assert served(service) == 4 * 2**20 + 101


def test_what_was_drawn_for_a_client_that_leaves_is_counted_as_undelivered(
    config: ServiceConfig, pool: PoolClient
) -> None:
    with _full(config, pool) as service:
        counts = service.application.service.counts
        with raw_client(service, "?class=public") as raw:
            stands_still(service)
            assert counts["undelivered_bytes"] == 0
            raw.recv(1)
        wait_until(lambda: counts["streams_ended"] == 1)
        assert 0 < counts["undelivered_bytes"] < MOST_AT_ONCE_BYTES
        assert counts["undelivered_bytes"] % 65_536 == 0, "messages are sent whole or not at all"


def test_nothing_is_undelivered_to_a_client_that_reads(config: ServiceConfig, pool: PoolClient) -> None:
    with _full(config, pool) as service:
        for answer_class in ("public", "private"):
            with open_stream(service, f"?class={answer_class}") as client:
                grant(client, 10**6)
                total = 0
                while total < 10**6:
                    message = client.recv(timeout=30)
                    total += len(message) if isinstance(message, bytes) else 0
        assert service.application.service.counts["undelivered_bytes"] == 0


def test_what_is_metered_is_drawn_and_paid_for_piece_by_piece(config: ServiceConfig, pool: PoolClient) -> None:
    """The bucket holds the longest answer, 64 KiB: a client gets that, and is charged for nothing that it does not."""
    with (
        _full(dataclasses.replace(config, limit_bytes=1000), pool) as service,
        open_stream(service, "?class=public") as client,
    ):
        grant(client, MOST_CREDIT)
        assert json.loads(client.recv(timeout=30))["n"] == 65_536
        total = _binary_until_closed(client)
        assert client.protocol.close_rcvd is not None
        assert client.protocol.close_rcvd.code == 1008
        assert 65_536 <= total == served(service) < 75_000


def test_four_that_want_everything_get_their_share(config: ServiceConfig, pool: PoolClient) -> None:
    got: list[int] = []

    def drain(client: ClientConnection) -> None:
        got.append(_binary_until_closed(client))

    with _full(config, pool) as service, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(open_stream(service, "?class=public")) for _ in range(4)]
        threads = [threading.Thread(target=drain, args=(client,)) for client in clients]
        with service.standing_still():  # all ask at once: the reservoir is empty before a late one is heard
            for client in clients:
                grant(client, MOST_CREDIT)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert sum(got) == BLOCKS * 4096
    assert min(got) > sum(got) / 16


def test_a_silent_stream_is_closed_a_while_after_its_last_bytes(config: ServiceConfig, pool: PoolClient) -> None:
    """Not after twice that."""
    pool.push(blocks_for_both(10))
    idle_s = config.streams.idle_s
    with RunningService(config) as service, open_stream(service) as client:
        time.sleep(0.4 * idle_s)
        grant(client, 100)
        read(client, 100)
        began = time.monotonic()
        with pytest.raises(ConnectionClosed, match="nothing was sent or asked for in 2 s"):
            client.recv(timeout=30)
        assert 0.9 * idle_s < time.monotonic() - began < 1.5 * idle_s
