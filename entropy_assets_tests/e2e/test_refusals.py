"""A batch whose checks fail never reaches the pool, whichever way somebody tries."""

from collections.abc import Iterator

import pytest

from entropy_assets.core.validation.block_tests import TESTS
from entropy_assets.stores.batches import BLOCKS, VERDICTS, Batch
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.e2e.running import Installation, eventually
from entropy_assets_tests.stages.batches_made import frame

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def altered(installation: Installation) -> Iterator[Batch]:
    """Let a batch be validated while nothing publishes, then change one byte of its blocks.

    When the tests are done the sensor is started again from its first event, so that it sees this batch.
    """
    with installation.stopped("publish_validated_blocks"):
        batch = installation.drop({"altered.fits": frame(910)})
        eventually("its verdicts", lambda: batch.has(VERDICTS))
        eventually("the end of all runs", installation.idle)
        blocks = batch.read_array(BLOCKS).copy()
        assert len(blocks)
        blocks[0, 7] ^= 1
        batch.write_array(BLOCKS, blocks)
        yield batch


def state(installation: Installation, pool: PoolClient) -> tuple[int, str]:
    return pool.stats().pushed_blocks, installation.ledger.head()


def test_the_checks_fail_for_it(installation: Installation, altered: Batch) -> None:
    """Run again alone on what is stored, all four say that these are not the blocks that were hashed."""
    run = installation.launch(altered, checks=tuple(TESTS))
    assert run["status"] in ("SUCCESS", "FAILURE")
    statuses = installation.checks()
    for name in TESTS:
        assert altered.key in statuses[name]["failedPartitions"], name
        assert altered.key not in statuses[name]["succeededPartitions"], name


@pytest.mark.parametrize(
    "assets", [("validated_blocks",), ("published_blocks",), ("validated_blocks", "published_blocks")], ids="+".join
)
def test_materialising_its_assets_alone_fails_and_pushes_nothing(
    installation: Installation, altered: Batch, pool: PoolClient, assets: tuple[str, ...]
) -> None:
    before = state(installation, pool)
    assert installation.launch(altered, assets=assets)["status"] == "FAILURE"
    assert state(installation, pool) == before


def test_the_publishing_job_fails_and_pushes_nothing(
    installation: Installation, altered: Batch, pool: PoolClient
) -> None:
    before = state(installation, pool)
    assert installation.launch(altered, "publish_blocks")["status"] == "FAILURE"
    assert state(installation, pool) == before


def test_a_backfill_pushes_nothing(installation: Installation, altered: Batch, pool: PoolClient) -> None:
    before = state(installation, pool)
    installation.backfill(altered, "validated_blocks", "published_blocks")
    assert state(installation, pool) == before


def test_a_sensor_that_starts_again_without_memory_publishes_what_waits_and_not_this(
    installation: Installation, altered: Batch, pool: PoolClient
) -> None:
    with installation.stopped("publish_validated_blocks"):
        pass
    before = pool.stats().pushed_blocks
    batch = installation.drop({"good.fits": frame(911, side=512)})
    eventually("publication of a good batch", lambda: installation.published(batch))
    eventually("the end of all runs", installation.idle)
    assert installation.runs(altered, "publish_blocks")[0]["status"] == "FAILURE"
    assert not installation.published(altered)
    assert pool.stats().pushed_blocks - before == len(installation.ledger.published_blocks(batch.key))
