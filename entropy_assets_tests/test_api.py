"""The four classes, called as the mission calls them."""

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from entropy_assets.api import EntropyClass, EntropyHasher, EntropyPool, EntropyValidator, ImagePreprocessor
from entropy_assets.errors import BlockRefused, ImageRejected, PoolExhausted
from entropy_assets.stores.pool.ageing import ageing_s
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.pool_blocks import pool_block, pool_blocks
from entropy_assets_tests.test_contracts import packages_loaded_by


def test_noise_digest_and_verdict_of_a_real_image(samples: Path) -> None:
    noise = ImagePreprocessor().extract_noise(samples / "apogee_ccd_raw16_tiny.fits")
    digest = EntropyHasher().hash_entropy(noise_data=noise, previous_hash=b"\0" * 32, timestamp=datetime.now(UTC))
    assert isinstance(noise, bytes)
    assert len(digest) == 32
    block = b"".join(
        EntropyHasher().hash_entropy(noise_data=noise, previous_hash=bytes([i]), timestamp=datetime.now(UTC))
        for i in range(128)
    )
    verdict = EntropyValidator().validate(block)
    assert verdict["shannon_entropy"] > 7.9
    assert 0 <= verdict["chi_square"] <= 1
    assert verdict["passed"] is True


def test_two_extractions_differ_and_two_deterministic_ones_do_not(samples: Path) -> None:
    path = str(samples / "saao_1m_ccd_raw16_a.fits")
    assert ImagePreprocessor().extract_noise(path) != ImagePreprocessor().extract_noise(path)
    deterministic = ImagePreprocessor(deterministic=True)
    assert deterministic.extract_noise(path) == deterministic.extract_noise(path)


@pytest.mark.parametrize("name", ["earth_dark_2048.jpg", "hst_ngc2808.png", "earth_bluemarble_2048.jpg"])
def test_a_dead_image_has_no_noise_to_give(samples: Path, name: str) -> None:
    with pytest.raises(ImageRejected):
        ImagePreprocessor().extract_noise(samples / name)


async def test_what_is_added_comes_back_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a URL the pool is an embedded server of its own; the public class gives the bytes as they are."""
    monkeypatch.delenv("ENTROPY_REDIS_URL", raising=False)
    pool = EntropyPool()
    try:
        data = pool_block(1, length=512).data
        await pool.add_entropy(data, 9.5, entropy_class="public")
        first = await pool.get_entropy(256, entropy_class="public")
        second = await pool.get_entropy(n_bytes=256, entropy_class="public")
        assert first + second == data
        with pytest.raises(PoolExhausted):
            await pool.get_entropy(n_bytes=1, entropy_class="public")
        assert (await pool.get_stats())["pushed_bytes"] == 512
    finally:
        pool.close()


@pytest.mark.parametrize(
    "data", [b"", b"short", b"\0" * 512, bytes(range(256)) * 8], ids=["none", "5", "zeros", "even"]
)
async def test_bytes_that_fail_the_tests_are_not_added(valkey_url: str, data: bytes) -> None:
    pool = EntropyPool(valkey_url, prefix=f"api-{uuid4().hex}")
    try:
        with pytest.raises(BlockRefused):
            await pool.add_entropy(data, 10.0)
        assert (await pool.get_stats())["blocks"] == 0
    finally:
        pool.close()


async def test_the_service_never_serves_what_a_program_added(valkey_url: str) -> None:
    """By default it lies under another prefix than the pipeline's blocks, and under theirs it is refused."""
    own, pipeline = EntropyPool(valkey_url), PoolClient.from_url(valkey_url)
    theirs = EntropyPool(valkey_url, prefix="entropy")
    before = pipeline.stats().pushed_blocks
    try:
        await own.add_entropy(pool_block(3, length=512).data, 10.0)
        with pytest.raises(BlockRefused, match="prefix"):
            await theirs.add_entropy(pool_block(4, length=512).data, 10.0)
        assert pipeline.stats().pushed_blocks == before
    finally:
        for client in (own, theirs, pipeline):
            client.close()


async def test_from_several_pools_a_program_draws_and_adds_nothing(
    valkey_url: str, pool_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No single one has what is asked for here; and none could tell what another one had."""
    with EmbeddedServer() as other:
        for number, url in enumerate((valkey_url, other.url)):
            PoolClient.from_url(url, prefix=pool_prefix).push(pool_blocks(1, first=number))
        monkeypatch.setenv("ENTROPY_REDIS_URLS", f"{valkey_url} {other.url}")
        pool = EntropyPool(prefix=pool_prefix)
        try:
            with pytest.raises(BlockRefused, match="by its url"):
                await pool.add_entropy(pool_block(3).data, 10.0)
            with pytest.raises(PoolExhausted):
                await pool.get_entropy(8193)
            assert len(await pool.get_entropy(8000)) == 8000
            assert len((await pool.get_stats())["shards"]) == 2
        finally:
            pool.close()


async def test_private_bytes_are_mixed_with_the_operating_systems(valkey_url: str) -> None:
    pool = EntropyPool(valkey_url)
    try:
        data = pool_block(2, length=512).data
        await pool.add_entropy(data, 10.0)
        first, second = await pool.get_entropy(256), await pool.get_entropy(256)
        assert len(first + second) == 512
        assert data[:16] not in first
        assert data[256:272] not in second
    finally:
        pool.close()


@pytest.fixture
def drawing(valkey_url: str, pool_prefix: str, pool: PoolClient) -> Iterator[EntropyPool]:
    """Give a pool on the blocks of `pool`."""
    entropy = EntropyPool(valkey_url, prefix=pool_prefix)
    yield entropy
    entropy.close()


async def test_the_missions_calls_work_as_written(drawing: EntropyPool) -> None:
    entropy_bytes = pool_block(1).data
    block_id = await drawing.add_entropy(entropy_bytes, 9.5, entropy_class="public")
    assert block_id == pool_block(1).block_id
    assert await drawing.get_entropy(n_bytes=256, entropy_class="public") == entropy_bytes[:256]
    assert await drawing.get_entropy(entropy_class="public") == entropy_bytes[256:512]
    assert (await drawing.get_stats())["leased_bytes"] == 4096


async def test_a_draw_across_blocks_has_exactly_the_bytes_asked_for(drawing: EntropyPool, pool: PoolClient) -> None:
    pool.push(pool_blocks(3, length=100, lane="public"))
    first = await drawing.get_entropy(150, entropy_class="public")
    second = await drawing.get_entropy(150, entropy_class="public")
    whole = first + second
    assert sorted(whole[at : at + 100] for at in (0, 100, 200)) == sorted(
        block.data for block in pool_blocks(3, length=100)
    )


async def test_many_who_await_at_once_share_no_byte(drawing: EntropyPool, pool: PoolClient) -> None:
    pool.push(pool_blocks(20, length=100, lane="public"))
    parts = await asyncio.gather(*(drawing.get_entropy(40, entropy_class="public") for _ in range(50)))
    whole = b"".join(parts)
    assert sorted(whole[at : at + 100] for at in range(0, 2000, 100)) == sorted(
        block.data for block in pool_blocks(20, length=100)
    )


@pytest.mark.parametrize("entropy_class", ["private", "public"])
async def test_too_few_bytes_are_an_error_and_stay_where_they_are(
    entropy_class: EntropyClass, drawing: EntropyPool, pool: PoolClient
) -> None:
    pool.push(pool_blocks(2, length=100, lane=entropy_class))
    with pytest.raises(PoolExhausted) as caught:
        await drawing.get_entropy(201, entropy_class=entropy_class)
    assert caught.value.data == {"requested": 201, "ready": 200}
    assert pool.depth().blocks == 2
    assert len(await drawing.get_entropy(130, entropy_class=entropy_class)) == 130
    with pytest.raises(PoolExhausted) as caught:
        await drawing.get_entropy(71, entropy_class=entropy_class)
    assert caught.value.data == {"requested": 71, "ready": 70}
    assert len(await drawing.get_entropy(70, entropy_class=entropy_class)) == 70


async def test_a_number_that_is_no_integer_costs_nobody_a_byte(drawing: EntropyPool) -> None:
    """What was asked for wrongly once must not spoil the block for those after it."""
    await drawing.add_entropy(pool_block(1).data, 9.5, entropy_class="public")
    assert len(await drawing.get_entropy(10, entropy_class="public")) == 10
    with pytest.raises(TypeError):
        await drawing.get_entropy(2.5, entropy_class="public")  # type: ignore[arg-type]
    assert await drawing.get_entropy(10, entropy_class="public") == pool_block(1).data[10:20]


@pytest.mark.parametrize("n_bytes", [0, -1])
async def test_nothing_can_not_be_asked_for(n_bytes: int, drawing: EntropyPool) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        await drawing.get_entropy(n_bytes)


async def test_what_is_left_of_a_block_does_not_outlive_it(
    drawing: EntropyPool, valkey_url: str, pool_prefix: str
) -> None:
    pool = PoolClient.from_url(valkey_url, prefix=pool_prefix, ttl_s=1.0)
    pool.push(pool_blocks(1))
    pool.close()
    await drawing.get_entropy(1)
    await asyncio.sleep(1.0)
    with pytest.raises(PoolExhausted):
        await drawing.get_entropy(1)


async def test_what_is_left_of_a_block_ages_while_the_machine_sleeps(
    drawing: EntropyPool, pool: PoolClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool.push(pool_blocks(1))
    await drawing.get_entropy(1)
    monkeypatch.setattr("entropy_assets.api.ageing_s", lambda: ageing_s() + 3601)
    with pytest.raises(PoolExhausted):
        await drawing.get_entropy(1)


def test_a_fork_does_not_share_what_is_left_of_a_block(drawing: EntropyPool, pool: PoolClient) -> None:
    pool.push(pool_blocks(2, lane="public"))
    asyncio.run(drawing.get_entropy(1, entropy_class="public"))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, asyncio.run(drawing.get_entropy(32, entropy_class="public")))
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    childs = os.read(reading, 99)
    os.close(reading)
    assert len(childs) == 32
    assert asyncio.run(drawing.get_entropy(32, entropy_class="public")) != childs


async def test_what_was_drawn_can_not_be_added_again(drawing: EntropyPool) -> None:
    data = pool_block(1, length=512).data
    await drawing.add_entropy(data, 5.0)
    await drawing.get_entropy(512)
    with pytest.raises(BlockRefused, match="before"):
        await drawing.add_entropy(data, 5.0)


@pytest.mark.parametrize("score", [-1.0, 11.0, float("nan")])
async def test_bytes_without_a_sound_score_are_refused(score: float, drawing: EntropyPool) -> None:
    with pytest.raises(BlockRefused, match="score"):
        await drawing.add_entropy(pool_block(1, length=512).data, score)


def test_a_program_that_wants_the_parts_loads_no_web_framework() -> None:
    """Although what cuts bytes off blocks lies in the service's house."""
    loaded = packages_loaded_by("entropy_assets.api")
    assert "redis" in loaded
    assert not loaded & {"dagster", "fastapi", "starlette", "uvicorn", "prometheus_client"}
