"""The keys that a worker knows: whole, in force, and as they were when their store could last be read."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from entropy_assets.errors import KeysUnreadable
from entropy_assets.serving.access import keys as keys_module
from entropy_assets.serving.access.keys import MOST_AGE_S, MOST_HANGING, KeyRing
from entropy_assets.stores.api_keys import FileKeys, KeyRecord
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.serving.keyed import FOLLOWS_S, key_of
from entropy_assets_tests.serving.serve_process import ServeProcess


def test_a_record_in_force_is_found_by_its_whole_key_alone(store: FileKeys) -> None:
    key = key_of(store)
    ring = KeyRing(store)
    ring.load()
    assert isinstance(ring.find(key), KeyRecord)
    assert [ring.find(wrong) for wrong in ("", key[:-1], key + "0", f" {key}", key.replace("eak", "EAK"))] == [None] * 5


def test_a_key_is_in_force_until_it_is_revoked_or_expires(store: FileKeys) -> None:
    kept, revoked, short = key_of(store), key_of(store), key_of(store, expires_in_s=3)
    ids = [key.split("_")[1] for key in (kept, revoked, short)]
    ring = KeyRing(store)
    ring.load()
    assert [ring.in_force(key_id) for key_id in (*ids, "nobody")] == [True, True, True, False]
    store.revoke(ids[1], 1)
    ring.load()
    time.sleep(3.1)
    assert [ring.in_force(key_id) for key_id in ids] == [True, False, False]
    assert [ring.find(key) is not None for key in (kept, revoked, short)] == [True, False, False]


async def test_a_change_is_told_once_and_a_store_that_can_not_be_read_changes_nothing(
    store: FileKeys, tmp_path: Path
) -> None:
    key = key_of(store)
    changes: list[int] = []
    ring = KeyRing(store, lambda: changes.append(len(ring)))
    ring.load()
    ring.start()
    try:
        key_of(store)
        await _until(lambda: changes == [2])
        (tmp_path / "keys.json").write_bytes(b"{")
        await _until(lambda: ring.problem is not None)
        assert ring.find(key) is not None
        assert changes == [2]
    finally:
        await ring.stop()
    assert ring.problem == "nobody watches the store of keys any more: restart the service"


class Hanging(FileKeys):
    """A store on a mount that hangs while `hangs` is set; a look that hangs ends when the test does."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.hangs = False
        self.looks = 0
        self.ends = threading.Event()

    def version(self) -> object:
        """Hang, or not."""
        self.looks += 1
        if self.hangs:
            self.ends.wait(60)
        return super().version()


@pytest.fixture
def hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    """Give a store that can hang, of which a ring waits for a tenth of a second."""
    for name, value in {"LOOK_S": 0.02, "READ_S": 0.1, "GIVEN_UP_S": 0.0}.items():
        monkeypatch.setattr(keys_module, name, value)
    store = Hanging(tmp_path / "keys.json")
    yield store
    store.ends.set()


def _end_unheard(hanging: Hanging) -> None:
    """Let the look end while the loop that waits for it does nothing."""
    hanging.ends.set()
    time.sleep(0.05)


@pytest.mark.parametrize("turns", range(8))
async def test_a_stop_in_the_moment_in_which_a_look_ends_is_heard(
    hanging: Hanging, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    """It once was lost there, and a service that was told to end went on for ever, without a listener."""
    monkeypatch.setattr(keys_module, "LOOK_S", 0)
    ring = KeyRing(hanging)
    hanging.hangs = True
    ring.start()
    await _until(lambda: hanging.looks > 0)
    hanging.hangs = False
    _end_unheard(hanging)
    for _ in range(turns):
        await asyncio.sleep(0)
    monkeypatch.setattr(keys_module, "LOOK_S", 60)
    async with asyncio.timeout(5):
        await ring.stop()


def test_a_store_that_hangs_is_not_loaded(hanging: Hanging) -> None:
    hanging.hangs = True
    with pytest.raises(KeysUnreadable, match="did not end in 5 s"):
        KeyRing(hanging).load()


async def test_a_store_that_hangs_is_told_of_costs_few_threads_and_is_believed_for_a_minute(
    hanging: Hanging, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    """Then no key is in force any more, until the store can be read again; each of it is logged once."""
    key, now, changes = key_of(hanging), [0.0], [0]

    def changed() -> None:
        changes[0] += 1

    ring = KeyRing(hanging, changed, clock=lambda: now[0])
    ring.load()
    ring.start()
    try:
        hanging.hangs, hanging.looks = True, 0
        await _until(lambda: ring.problem is not None)
        now[0] = MOST_AGE_S
        assert ring.find(key) is not None
        now[0] += 0.1
        assert (ring.find(key), ring.in_force(key.split("_")[1])) == (None, False)
        await _until(lambda: changes[0] == 1)
        await _until(lambda: hanging.looks >= MOST_HANGING)
        await asyncio.sleep(0.5)
        assert hanging.looks == MOST_HANGING
        hanging.hangs = False
        hanging.ends.set()
        await _until(lambda: ring.problem is None)
        assert ring.find(key) is not None
        assert changes[0] == 2
    finally:
        await ring.stop()
    events = [line["event"] for line in lines()]
    assert [event for event in events if event.startswith("keys-")] == ["keys-unreadable", "keys-refused", "keys-back"]


async def _until(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + FOLLOWS_S
    while not claim():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


_HANGS_WHERE_KEYS_ARE = """
import os
really_open = os.open
def hang(path, *more, **how):
    if str(path).endswith("keys.json") and os.path.exists({flag!r}):
        really_open({pipe!r}, os.O_RDONLY)  # the kernel lets it wait for somebody who writes
    return really_open(path, *more, **how)
os.open = hang
"""


@pytest.mark.e2e
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("by", ["pipe", "mount"])
def test_a_service_whose_keys_hang_says_so_and_ends_when_it_is_told(
    by: str, workers: str, pool: PoolClient, pool_prefix: str, valkey_url: str, tmp_path: Path
) -> None:
    """By a pipe in their place, and by a system call that does not return, as on a mount whose server is gone."""
    pool.push(blocks_for_both(10))
    store, flag, pipe = FileKeys(tmp_path / "home" / "keys.json"), tmp_path / "hangs", tmp_path / "pipe"
    key = key_of(store)
    os.mkfifo(pipe)
    (tmp_path / "sitecustomize.py").write_text(_HANGS_WHERE_KEYS_ARE.format(flag=str(flag), pipe=str(pipe)))
    environment = {"PYTHONPATH": f"{tmp_path}:{PROJECT}", "ENTROPY_POOL_PREFIX": pool_prefix}
    with ServeProcess(valkey_url, tmp_path, "--workers", workers, **environment) as service:
        asking = {"X-API-Key": key}
        assert service.client.get("/random/16", headers=asking).status_code == 200
        deadline = time.monotonic() + 20
        while service.events().count("worker-started") < int(workers):
            assert time.monotonic() < deadline, "each worker reads the keys before it starts"
            time.sleep(0.1)
        if by == "pipe":
            (tmp_path / "home" / "keys.json").unlink()
            os.mkfifo(tmp_path / "home" / "keys.json", 0o600)
        else:
            flag.touch()
        deadline = time.monotonic() + 20
        while "keys-unreadable" not in service.client.get("/health").text:
            assert time.monotonic() < deadline, "a revoked key would go on, and nobody would know"
            time.sleep(0.1)
        assert service.client.get("/random/16", headers=asking).status_code == 200
        began = time.monotonic()
        service.process.terminate()
        service.process.wait(20)
        assert time.monotonic() - began < 10
    assert "keys-unreadable" in service.events()
