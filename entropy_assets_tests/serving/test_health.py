"""The table of monitoring/README.md: what is served, and what the probes say, when a part is away, stale or wrong."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from entropy_assets.provenance.trail import Trail
from entropy_assets.serving.config import ServiceConfig
from entropy_assets.stores.lanes import LANES, Lane
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer, find_server_binary
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.serving.running import RunningService
from entropy_assets_tests.serving.supplies import Supply
from entropy_assets_tests.stages.batches_made import Place, frame
from entropy_assets_tests.stores.pool.stepped_clock import SteppedClock

README = Path(__file__).resolve().parents[2] / "monitoring" / "README.md"
Break = Callable[[RunningService, EmbeddedServer], None]


def _nothing(service: RunningService, server: EmbeddedServer) -> None: ...


def _stop(service: RunningService, server: EmbeddedServer) -> None:
    deadline = time.monotonic() + 10
    reservoirs = service.application.service.reservoirs
    while not all(each.buffered_bytes for each in reservoirs) and time.monotonic() < deadline:
        time.sleep(0.01)
    server.stop()


def _stop_and_drain(service: RunningService, server: EmbeddedServer) -> None:
    _stop(service, server)
    _drain(service)


def _break_filler(service: RunningService, server: EmbeddedServer) -> None:
    service.application.service.pool.lease_sealed = lambda most, lane: 1 // 0  # type: ignore[assignment,method-assign,return-value]
    _drain(service)


def _drain(service: RunningService) -> None:
    deadline = time.monotonic() + 20
    for target in ("/random/4096", "/random/1", "/random/4096?class=public", "/random/1?class=public"):
        while service.client.get(target).is_success and time.monotonic() < deadline:
            pass


@contextmanager
def _situation(
    folder: Path,
    blocks: int,
    ages: dict[str, Any],
    *,
    lanes: tuple[Lane, ...],
    foreign: bool,
    break_it: Break,
    beside: str,
    clock_s: float,
) -> Iterator[httpx.Client]:
    with EmbeddedServer(binary=_with_clock(folder, clock_s) if clock_s else None) as server:
        pool = PoolClient.from_url(server.url)
        pool.push([block for block in blocks_for_both(blocks) if block.lane in lanes])
        pool.close()
        if foreign:
            client = redis.Redis.from_url(server.url)
            client.hset("entropy:pool:meta", "epoch", "0" * 40)
            client.close()
        config = ServiceConfig(pool_url=server.url + beside, low_water_bytes=100_000, pool_timeout_s=0.5)
        with RunningService(config, Supply(**ages)) as service:
            break_it(service, server)
            yield service.client


def _with_clock(folder: Path, ahead_s: float) -> Path:
    clock = SteppedClock(folder)
    clock.step_to(ahead_s)
    return clock.binary(find_server_binary())


SITUATIONS: dict[str, dict[str, Any]] = {
    "all is well": {},
    "the last image is older than the limit": {"ages": {"image_age_s": 4000.0}},
    "the newest images failed the health tests": {"ages": {"image_age_s": 60.0, "health_test_failure_age_s": 5.0}},
    "the ledger can't be read": {"ages": {"problem": "the ledger can't be used: locked"}},
    "the ledger lacks publications that batches have receipts of": {
        "ages": {"doubts": [("ledger-behind", "it lacks")]}
    },
    "a file of a batch can't be read, as one of another user": {
        "ages": {"doubts": [("store-denied", "x/noise.json can't be read")]}
    },
    "batches stand still for more than five minutes": {"ages": {"doubts": [("batches-stuck", "batch x stands")]}},
    "nobody will take something in the inbox": {"ages": {"doubts": [("inbox-left-alone", "x will not be taken")]}},
    "a feed of images stays in trouble": {"ages": {"doubts": [("feed-quarantined", "a feed is in quarantine: x")]}},
    "the pool is under its low water mark": {"blocks": 10},
    "no public block is ready, private ones are": {"lanes": ("private",)},
    "one of several pools is down or unfit, another one is well": {"beside": "\nunix:///nonexistent.sock"},
    "the clock of the pool's server is off by more than a minute": {"clock_s": 90.0},
    "the pool is empty": {"blocks": 0},
    "the pool's server is away, blocks are held": {"break_it": _stop},
    "the pool's server is away, no blocks are held": {"break_it": _stop_and_drain},
    "the pool was filled on another server process": {"foreign": True},
    "what leases blocks has ended by a defect, no blocks are held": {"break_it": _break_filler},
}
ROW = re.compile(r"^\| (.+?) \| (\d{3}) \| (\d{3}) \| (\w+) \| (.*?) \|$", re.MULTILINE)
TABLE = {row[0]: row[1:] for row in ROW.findall(README.read_text(encoding="utf-8"))}


def test_the_table_and_this_file_know_the_same_situations() -> None:
    assert list(TABLE) == list(SITUATIONS)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_service_does_what_the_table_says(situation: str, tmp_path: Path) -> None:
    random, ready, status, reasons = TABLE[situation]
    how = {
        "blocks": 60,
        "ages": {},
        "lanes": LANES,
        "foreign": False,
        "break_it": _nothing,
        "beside": "",
        "clock_s": 0.0,
    }
    how |= SITUATIONS[situation]
    with _situation(tmp_path, **how) as client:
        answer = client.get("/random/100")
        health, readyz = client.get("/health"), client.get("/readyz")
        assert client.get("/livez").status_code == 200
    assert (answer.status_code, readyz.status_code) == (int(random), int(ready))
    assert len(answer.content) == 100 or answer.headers["Content-Type"] == "application/problem+json"
    assert health.json()["status"] == status
    assert [reason["code"] for reason in health.json()["reasons"]] == re.findall(r"`(.+?)`", reasons)
    assert health.status_code == (503 if status == "failing" else 200)
    assert ("Retry-After" in answer.headers) == (answer.status_code == 503)


@pytest.mark.parametrize("file", ["intake.json", "manifest.json", "noise.json", "verdicts.json", "published.json"])
def test_a_file_that_the_system_does_not_let_be_read_leaves_every_probe_its_answer(file: str, tmp_path: Path) -> None:
    """Else one file of another user takes a service out of the balancer that gives out bytes."""
    place = Place(tmp_path)
    batch = place.validated([("a.fits", frame(1))])
    (batch.root / file).unlink(missing_ok=True)
    (batch.root / file).symlink_to(file)
    with EmbeddedServer() as server:
        pool = PoolClient.from_url(server.url)
        pool.push(blocks_for_both(60))
        pool.close()
        with RunningService(ServiceConfig(pool_url=server.url, low_water_bytes=1000), Trail.of(place)) as service:
            paths = ("/health", "/stats", "/metrics", "/readyz", "/batches", "/random/16")
            answers = {path: service.client.get(path) for path in paths}
    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(paths, 200)
    reasons = answers["/health"].json()["reasons"]
    if file != "verdicts.json":  # told when its batch has stood still for minutes
        assert any(f"{batch.key}/{file} can't be read" in reason["detail"] for reason in reasons)
    assert str(tmp_path) not in answers["/health"].text + answers["/batches"].text
