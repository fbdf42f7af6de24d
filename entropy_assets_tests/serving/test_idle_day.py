"""A day in which nobody asks and nothing is published, by clocks that a test steps; then every kind of answer."""

import mmap
import os
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from entropy_assets.stores.api_keys import FileKeys, new_key
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer, find_server_binary
from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.serving.keyed import key_of
from entropy_assets_tests.serving.serve_process import ServeProcess
from entropy_assets_tests.stores.pool.stepped_clock import SteppedClock

pytestmark = pytest.mark.e2e

DAY_S = 86_400
STEP_S = 10
"""Longer than any of the service's own pauses, so each has its turn some thousand times."""
TTL_S = 3600.0
CLOCKS = """
import mmap, struct, time
with open({offset!r}, "rb") as file:
    ahead = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
def stepped(clock, unit=1):
    return lambda *which: clock(*which) + type(unit)(struct.unpack_from("d", ahead)[0]) * unit
for name in ("time", "monotonic", "perf_counter", "clock_gettime"):
    setattr(time, name, stepped(getattr(time, name), 1.0))
for name in ("time_ns", "monotonic_ns", "perf_counter_ns"):
    setattr(time, name, stepped(getattr(time, name), 10**9))
import threading
really_wait = threading.Event.wait
def wait(event, timeout=None):
    if timeout is None:
        return really_wait(event)
    until = time.monotonic() + timeout
    while not (is_set := really_wait(event, max(0.0, min(0.002, until - time.monotonic())))):
        if time.monotonic() >= until:
            break
    return is_set
threading.Event.wait = wait
"""
"""Steps every clock that the service reads, and what waits for one of them in a thread."""


class SteppedService(ServeProcess):
    """A service by a clock that is stepped, on a server by another one that goes with it."""

    def __init__(self, server: EmbeddedServer, clock: SteppedClock, folder: Path, **environment: str) -> None:
        offset = folder / "ahead"
        offset.write_bytes(struct.pack("d", 0.0))
        (folder / "sitecustomize.py").write_text(CLOCKS.format(offset=str(offset)))
        with offset.open("r+b") as file:
            self._ahead = mmap.mmap(file.fileno(), 8)
        self._clock = clock
        super().__init__(server.url, folder, PYTHONPATH=f"{folder}:{PROJECT}", **environment)

    def let_a_day_pass(self) -> None:
        """Step both clocks until a day has gone by."""
        for now_s in range(0, DAY_S + 1, STEP_S):
            struct.pack_into("d", self._ahead, 0, float(now_s))
            if now_s % 3600 == 0:
                self._clock.step_to(now_s)
            time.sleep(0.003)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[SteppedService, PoolClient]]:
    """Run a service that lets anybody draw a little, and its server."""
    clock = SteppedClock(tmp_path)
    with EmbeddedServer(binary=clock.binary(find_server_binary())) as server:
        pool = PoolClient.from_url(server.url, ttl_s=TTL_S)
        pool.push(blocks_for_both(20))
        limits = {"ENTROPY_LIMIT_REQUESTS": "4", "ENTROPY_ANONYMOUS_SCOPES": "draw"}
        with SteppedService(server, clock, tmp_path, **limits) as running:
            yield running, pool
        pool.close()


def asked(service: ServeProcess, path: str, key: str | None = None) -> httpx.Response:
    answer = service.client.get(path, headers={"X-API-Key": key} if key else {})
    assert answer.status_code < 500 or answer.status_code == 503, answer.text
    if answer.status_code in (429, 503):
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.json()["retry_after_s"] == int(answer.headers["Retry-After"])
    return answer


def eventually(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def counted(service: ServeProcess, key: str) -> dict[str, Any]:
    """Return the counts of the service; every byte that was leased is somewhere."""
    counts: dict[str, Any] = asked(service, "/stats", key).json()["service"]
    places = [*counts["served_bytes"].values(), *(counts[name] for name in ("burned_bytes", "buffered_bytes"))]
    assert counts["leased_bytes"] == sum(places) + counts["lost_bytes"]
    return counts


def test_after_an_idle_day_every_answer_is_the_right_one_and_is_counted(
    service: tuple[SteppedService, PoolClient], tmp_path: Path
) -> None:
    """All that was held and ready has expired; refusals say when to ask again; what is pushed then is served."""
    running, pool = service
    store = FileKeys(tmp_path / "home" / "keys.json")
    drawer, watcher = key_of(store, "draw", requests_per_s=1000), key_of(store, "stats", requests_per_s=1000)
    eventually(lambda: asked(running, "/random/16", drawer).status_code == 200)
    before = counted(running, watcher)
    running.let_a_day_pass()
    # the clocks went faster than a look at the keys does, so these were not believed for a moment
    eventually(lambda: "pool-exhausted" in asked(running, "/random/16", drawer).text)

    refusals: Counter[str] = Counter()
    for path, key, status, code in (
        *[("/random/16", drawer, 503, "pool-exhausted")] * 3,
        ("/random/16?format=uint8", drawer, 503, "pool-exhausted"),
        ("/download/100000", drawer, 403, "scope-missing"),
        ("/stats", None, 401, "key-missing"),
        ("/random/16", new_key(os.urandom), 401, "key-invalid"),
        ("/random/16", watcher, 503, "pool-exhausted"),
        ("/random/0", drawer, 422, "invalid-request"),
    ):
        answer = asked(running, path, key)
        assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{code}"), path
        refusals[code] += 1
    for _ in range(100):
        answer = asked(running, "/random/16")
        refusals[answer.json()["type"].removeprefix("/problems/")] += 1
        if answer.status_code == 429:
            break
    assert answer.status_code == 429
    told = running.client.get("/health")
    assert (told.status_code, told.json()["status"]) == (503, "failing")
    assert {reason["code"] for reason in told.json()["reasons"]} >= {"pool-empty", "pool-stale"}
    assert told.json()["pool"]["since_last_push_s"] >= DAY_S - 60

    after = counted(running, watcher)
    assert after["served_bytes"] == before["served_bytes"]
    assert after["buffered_bytes"] == 0
    grown = {code: after["refused"][code] - before["refused"].get(code, 0) for code in refusals}
    dry = grown.pop("pool-exhausted") - refusals.pop("pool-exhausted")
    assert grown == dict(refusals)
    assert dry >= 1, "and the draws that found the pool dry before"
    ages = running.client.get("/metrics", headers={"X-API-Key": watcher}).text
    assert "entropy_reservoir_age_seconds 8" in ages

    pool.push(blocks_for_both(20, first=20))
    eventually(lambda: asked(running, "/random/16", drawer).status_code == 200)
    drawn = [asked(running, f"/random/{n}", drawer) for n in (1, 1000, 5000, 65_536)]
    assert [len(answer.content) for answer in drawn] == [1, 1000, 5000, 65_536]
    last = counted(running, watcher)
    served = sum(last["served_bytes"].values()) - sum(after["served_bytes"].values())
    assert served == 16 + 1 + 1000 + 5000 + 65_536
    assert running.client.get("/readyz").status_code == 200
    assert "unhandled-error" not in running.events()
