"""The keys that a worker knows: whole, in force, and as they were when their store could last be read."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from entropy_assets.serving.access.keys import KeyRing
from entropy_assets.stores.api_keys import FileKeys, KeyRecord
from entropy_assets_tests.serving.keyed import FOLLOWS_S, key_of


def test_a_record_in_force_is_found_by_its_whole_key_alone(store: FileKeys) -> None:
    key = key_of(store)
    ring = KeyRing(store)
    ring.load()
    assert isinstance(ring.find(key), KeyRecord)
    assert [ring.find(wrong) for wrong in ("", key[:-1], key + "0", f" {key}", key.replace("eak", "EAK"))] == [None] * 5


def test_a_key_is_in_force_until_it_is_revoked_or_expires(store: FileKeys) -> None:
    kept, revoked, short = key_of(store), key_of(store), key_of(store, expires_in_s=1)
    ids = [key.split("_")[1] for key in (kept, revoked, short)]
    ring = KeyRing(store)
    ring.load()
    assert [ring.in_force(key_id) for key_id in (*ids, "nobody")] == [True, True, True, False]
    store.revoke(ids[1], 1)
    ring.load()
    time.sleep(1.1)
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


async def _until(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + FOLLOWS_S
    while not claim():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
