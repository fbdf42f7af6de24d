"""What the service does without HTTP: it leases from a server that was checked, and its sums add up."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from entropy_assets.errors import KeysUnreadable, PoolError, ProvenanceUnavailable
from entropy_assets.serving.answers.formats import AnswerKind
from entropy_assets.serving.config import ServiceConfig
from entropy_assets.serving.reservoir.demand import ReservoirLimits
from entropy_assets.serving.service import RandomService
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.ports import free_port
from entropy_assets_tests.serving.supplies import KNOWN_BLOCK, OneBlock

PATIENT = ReservoirLimits(wait_s=20.0)


@pytest.fixture
def config(valkey_url: str, pool_prefix: str) -> ServiceConfig:
    return ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix)


async def test_the_bytes_of_every_answer_are_in_the_sums(config: ServiceConfig, pool: PoolClient) -> None:
    pool.push(blocks_for_both(10))
    service = RandomService(replace(config, reservoir=PATIENT))
    service.reservoirs.start()
    for n, public in ((100, True), (4096, False), (5, True)):
        answer = await service.answer(n, AnswerKind(public), "raw")
        assert len(answer.body) == n
    counts = (await service.stats())["service"]
    await service.reservoirs.stop()
    assert counts["served_bytes"] == {"public": 105, "private": 4096}
    assert counts["answers"] == {"public": 2, "private": 1}
    assert counts["leased_bytes"] == 105 + 4096 + counts["buffered_bytes"]
    after = (await service.stats())["service"]
    assert after["leased_bytes"] == 105 + 4096 + after["burned_bytes"]
    assert after["buffered_bytes"] == after["lost_bytes"] == 0


async def _draw_until(service: RandomService, wanted: str) -> None:
    """Draw until the refusal is `wanted`; no draw may give bytes meanwhile."""
    async with asyncio.timeout(60):
        while True:
            with pytest.raises(PoolError) as refusal:
                await service.answer(1, AnswerKind(), "raw")
            if refusal.value.code == wanted:
                return
            await asyncio.sleep(0.05)


async def test_a_server_that_comes_back_is_checked_before_it_is_leased_from() -> None:
    """It may be another one: here one that keeps its data on a disk."""
    port = free_port()
    url, place = f"redis://127.0.0.1:{port}", {"port": str(port), "bind": "127.0.0.1"}
    service = RandomService(ServiceConfig(pool_url=url, pool_timeout_s=0.5, reservoir=PATIENT))
    with EmbeddedServer(overrides=place):
        PoolClient.from_url(url).push(blocks_for_both(1))
        service.reservoirs.start()
        assert len((await service.answer(4096, AnswerKind(), "raw")).body) == 4096
    await _draw_until(service, "pool-unavailable")
    with EmbeddedServer(overrides={**place, "appendonly": "yes"}):
        PoolClient.from_url(url).push(blocks_for_both(3, first=1))
        await _draw_until(service, "unsafe-pool-server")
    await service.reservoirs.stop()


async def _drawn_dry(service: RandomService) -> PoolError:
    """Draw what the service holds, and give the refusal that comes then."""
    async with asyncio.timeout(60):
        while True:
            try:
                await service.answer(4096, AnswerKind(), "raw")
            except PoolError as refusal:
                return refusal


DANGERS = {"appendonly": "yes", "save": "60 1", "maxmemory-policy": "allkeys-lru"}
"""What somebody may set while a server runs, so that it keeps or drops blocks by itself."""


@pytest.mark.parametrize("setting", DANGERS)
async def test_what_is_set_while_the_server_runs_is_noticed_by_who_leases_and_by_who_watches(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entropy_assets.serving.service.SAFETY_S", 0.2)
    with EmbeddedServer(data_dir=tmp_path) as server, redis.Redis.from_url(server.url) as raw:
        pool = PoolClient.from_url(server.url)
        pool.push(blocks_for_both(40))
        leasing, idle = (RandomService(ServiceConfig(pool_url=server.url, reservoir=PATIENT)) for _ in range(2))
        leasing.reservoirs.start()
        await leasing.answer(1, AnswerKind(), "raw")
        assert "unsafe-pool-server" not in codes(await idle.health())
        raw.config_set(setting, DANGERS[setting])
        await asyncio.sleep(0.2)
        assert "unsafe-pool-server" in codes(await idle.health()), "although it leases nothing"
        assert (await _drawn_dry(leasing)).code == "unsafe-pool-server"
        told = await leasing.health()
        assert (told["status"], codes(told).count("unsafe-pool-server")) == ("failing", 1)
        raw.config_set(setting, {"appendonly": "no", "save": "", "maxmemory-policy": "noeviction"}[setting])
        await asyncio.sleep(0.2)
        assert "unsafe-pool-server" not in codes(await idle.health())
        await leasing.reservoirs.stop()
        pool.close()


def codes(health: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in health["reasons"]]


async def test_where_a_block_comes_from_is_known_with_a_ledger_alone(config: ServiceConfig) -> None:
    with pytest.raises(ProvenanceUnavailable):
        await RandomService(config).find_block(KNOWN_BLOCK)
    service = RandomService(config, provenance=OneBlock())
    assert await service.find_block(KNOWN_BLOCK) == OneBlock().tell(KNOWN_BLOCK, None)
    assert await service.find_block("another") is None


def test_a_service_that_does_not_know_its_keys_does_not_begin(config: ServiceConfig, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_bytes(b"{")
    with pytest.raises(KeysUnreadable):
        RandomService(replace(config, keys=str(tmp_path / "keys.json")))
