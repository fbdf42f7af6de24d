"""Publishing to several pools: each batch to one of them, whatever fails, and whoever tries again."""

import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest
import redis

from entropy_assets.errors import LedgerBehind, PoolUnavailable
from entropy_assets.stages.publication import publish_batch
from entropy_assets.stages.state import BlocksLost
from entropy_assets.stores.batches import Batch
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import LedgerBlock
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets.stores.pool.fitness import PoolFull
from entropy_assets.stores.pool.shards import BETWEEN, ShardedPool, pool_at
from entropy_assets_tests.pool_blocks import pool_blocks
from entropy_assets_tests.stages.batches_made import Place, frame
from entropy_assets_tests.stores.pool.clusters import eventually


@pytest.fixture
def servers() -> Iterator[list[EmbeddedServer]]:
    """Give two servers of their own."""
    with ExitStack() as stack:
        yield [stack.enter_context(EmbeddedServer()) for _ in range(2)]


@pytest.fixture
def shards(servers: list[EmbeddedServer]) -> Iterator[ShardedPool]:
    """Give both as one pool, whose scripts they know."""
    pool = pool_at(BETWEEN.join(server.url for server in servers), timeout_s=1.0)
    assert isinstance(pool, ShardedPool)
    yield pool
    pool.close()


def send(server: EmbeddedServer, number: int) -> None:
    assert server.pid is not None
    os.kill(server.pid, number)


def pushed(*servers: EmbeddedServer) -> list[int]:
    """Give how many blocks each has ever taken."""
    return [PoolClient.from_url(server.url).stats().pushed_blocks for server in servers]


def test_each_batch_goes_to_one_shard_and_the_next_one_to_the_other(
    place: Place, shards: ShardedPool, servers: list[EmbeddedServer]
) -> None:
    of_batches = []
    for seed in (1, 2):
        batch = place.validated([(f"{seed}.fits", frame(seed))])
        done = publish_batch(batch, place.ledger(), shards, run_id="run", now_us=seed)
        of_batches.append(done.pushed)
    assert pushed(*servers) == of_batches
    assert all(of_batches), "the first frame of a sensor and the next one may be worth another number of blocks"
    assert [shard.reason for shard in done.shards] == [None, None]
    assert (done.depth_before, done.depth_after) == (of_batches[0], sum(of_batches))
    assert shards.ledger_links() == (place.ledger().head(),), "both know the newest"


def test_a_publication_whose_push_ran_out_of_time_is_tried_again_at_no_shard(
    place: Place, shards: ShardedPool, servers: list[EmbeddedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shard is frozen between the ledger's row and the push; the other one is empty and well."""
    batch = place.validated([("a.fits", frame(1))])
    tell = ShardedPool.keep_ledger_link

    def told_and_frozen(pool: ShardedPool, link: str, seq: int) -> None:
        tell(pool, link, seq)
        send(servers[0], signal.SIGSTOP)

    with monkeypatch.context() as patched:
        patched.setattr(ShardedPool, "keep_ledger_link", told_and_frozen)
        with pytest.raises(BlocksLost, match="no answer in time"):
            publish_batch(batch, place.ledger(), shards, run_id="run", now_us=1)
    retry = publish_batch(batch, place.ledger(), shards, run_id="retry", now_us=2)
    assert (retry.newly_published, retry.pushed) == (False, 0)
    send(servers[0], signal.SIGCONT)
    eventually(lambda: all(each.reason is None for each in shards.stats().shards))
    retry = publish_batch(batch, place.ledger(), shards, run_id="retry", now_us=3)
    assert (retry.newly_published, retry.pushed, pushed(servers[1])) == (False, 0, [0])


def test_a_shard_that_is_away_keeps_nobody_from_publishing(
    place: Place, shards: ShardedPool, servers: list[EmbeddedServer]
) -> None:
    servers[0].stop()
    batch = place.validated([("a.fits", frame(1))])
    done = publish_batch(batch, place.ledger(), shards, run_id="run", now_us=1)
    assert done.newly_published
    assert pushed(servers[1]) == [done.pushed]
    assert "no connection" in str(done.shards[0].reason)


def limit(server: EmbeddedServer, room_bytes: int) -> None:
    """Let a server take no more than that from now on."""
    with redis.Redis.from_url(server.url) as raw:
        raw.config_set("maxmemory", raw.info("memory")["used_memory"] + room_bytes)


def test_a_shard_that_is_full_keeps_nobody_from_publishing(
    place: Place, shards: ShardedPool, servers: list[EmbeddedServer]
) -> None:
    """It is the emptiest of the lane, full of the other one, and can't be told of the ledger's newest link."""
    PoolClient.from_url(servers[0].url).push(pool_blocks(50))
    PoolClient.from_url(servers[1].url).push(pool_blocks(1, first=90, lane="public"))
    limit(servers[0], -10_000)
    batches = [place.validated([(f"{seed}.fits", frame(seed))]) for seed in (1, 2)]
    done = [publish_batch(batch, place.ledger(), shards, run_id="run", now_us=1) for batch in batches]
    assert pushed(*servers) == [50, 1 + done[0].pushed + done[1].pushed]
    assert all(each.newly_published and each.pushed for each in done)
    assert [shard.reason for shard in done[1].shards] == [None, None], "what is in it is leased on"


def test_a_shard_that_is_full_of_an_earlier_epoch_heals_before_the_ledger(
    place: Place, shards: ShardedPool, servers: list[EmbeddedServer]
) -> None:
    with redis.Redis.from_url(servers[0].url) as raw:
        PoolClient.from_url(servers[0].url).push(pool_blocks(50, lane="public"))
        raw.hset("entropy:pool:meta", "epoch", "another")
    limit(servers[0], -10_000)
    batch = place.validated([("a.fits", frame(1))])
    done = publish_batch(batch, place.ledger(), shards, run_id="run", now_us=1)
    assert (done.newly_published, shards.stats().inherited_blocks) == (True, 50)
    assert sum(pushed(*servers)) == done.pushed > 0
    assert shards.stats().epoch_ok


def test_if_all_shards_are_full_nothing_enters_the_ledger(
    place: Place, shards: ShardedPool, servers: list[EmbeddedServer]
) -> None:
    batch = place.validated([("a.fits", frame(1))])
    for server in servers:
        limit(server, 100_000)
    with pytest.raises(PoolFull):
        publish_batch(batch, place.ledger(), shards, run_id="run", now_us=1)
    assert not place.ledger().is_published(batch.key)


def test_without_any_shard_nothing_enters_the_ledger(
    place: Place, shards: ShardedPool, servers: list[EmbeddedServer]
) -> None:
    batch = place.validated([("a.fits", frame(1))])
    for server in servers:
        server.stop()
    with pytest.raises(PoolUnavailable):
        publish_batch(batch, place.ledger(), shards, run_id="run", now_us=1)
    assert not place.ledger().is_published(batch.key)


class Outrun(Ledger):
    """A copy of the ledger whose user is outrun by the right one, between his look at the receipts and his row."""

    rival: tuple[Batch, Ledger, ShardedPool]

    def append_publication(
        self, batch_key: str, chain_head: str, blocks: Sequence[LedgerBlock], run_id: str, time_us: int
    ) -> bool:
        self.rival[2].taker("public").push(pool_blocks(1, lane="public"))
        publish_batch(*self.rival, run_id="rival", now_us=1)
        return super().append_publication(batch_key, chain_head, blocks, run_id, time_us)


def test_two_publishers_with_a_ledger_each_push_a_batch_once(
    place: Place, shards: ShardedPool, servers: list[EmbeddedServer]
) -> None:
    """As after a failover of the ledger that lost a row: no shard knows the tombstones of the other."""
    batch = place.validated([("a.fits", frame(1))])
    ledger = place.ledger()
    copy = ledger.path.with_name("copy.sqlite")
    shutil.copy(ledger.path, copy)
    second = Outrun(copy)
    second.rival = batch, ledger, shards
    with pytest.raises(LedgerBehind, match="the receipt of batch"):
        publish_batch(batch, second, shards, run_id="run", now_us=2)
    publication = ledger.publication_of(batch.key)
    assert publication is not None
    assert pushed(*servers) == [1, publication.block_count]
