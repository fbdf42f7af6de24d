"""The four classes, called as the mission calls them."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from entropy_assets.api import EntropyHasher, EntropyPool, EntropyValidator, ImagePreprocessor
from entropy_assets.errors import BlockRefused, ImageRejected, PoolExhausted
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.pool_blocks import pool_block


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
    path = str(samples / "saao_1m_ccd_raw16.fits")
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
        await pool.add_entropy(data, 9.5)
        first = await pool.get_entropy(256, entropy_class="public")
        second = await pool.get_entropy(n_bytes=256, entropy_class="public")
        assert first + second == data
        with pytest.raises(PoolExhausted):
            await pool.get_entropy(n_bytes=1)
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
