"""Batches: their documents appear whole under names that stay, and what was published stays as it is."""

import os
from pathlib import Path

import numpy as np
import pytest

from entropy_assets.errors import BatchError
from entropy_assets.stores import batches
from entropy_assets.stores.batches import (
    BLOCKS,
    INTAKE,
    MANIFEST,
    RECEIPT,
    Batch,
    BatchStore,
    live_map_of,
    samples_of,
)
from entropy_assets.stores.blobs.objects import ObjectBlobs
from entropy_assets.stores.file_names import safe_name
from entropy_assets.stores.intakes import Intake, batch_key
from entropy_assets_tests.stores.blobs.servers import FaultyProxy

FILES = {"intake.json", "manifest.json", "noise.json", "blocks.npy", "records.json", "verdicts.json", "published.json"}


@pytest.fixture
def store(tmp_path: Path) -> BatchStore:
    return BatchStore(tmp_path / "batches")


def opened(store: BatchStore, source: str = "drop", time_ns: int = 10**18) -> Batch:
    """Give a new batch of no files."""
    return store.create(
        Intake(
            key=batch_key(source, time_ns, []),
            source=source,
            files=(),
            time_ns=time_ns,
            os_bytes="",
            recipe="r",
            max_file_bytes=1,
            max_pixels=1,
        )
    )


def test_the_names_of_the_documents_are_those_on_the_disk_of_every_installation() -> None:
    assert {value.file for value in vars(batches).values() if isinstance(value, batches.Document)} == FILES
    assert (samples_of("ab").file, live_map_of("ab").file) == ("noise/ab.npy", "noise/ab.map.npy")


def test_a_document_is_read_as_it_was_written(store: BatchStore) -> None:
    batch = opened(store)
    assert not batch.has(MANIFEST)
    batch.write_json(MANIFEST, {"rows": ["\udcff"]})
    batch.write_array(samples_of("ab"), np.arange(6, dtype=np.uint8).reshape(2, 3))
    assert batch.has(MANIFEST)
    assert batch.read_json(MANIFEST) == {"rows": ["\udcff"]}
    assert (batch.read_array(samples_of("ab")) == [[0, 1, 2], [3, 4, 5]]).all()


def test_a_missing_document_is_named_with_what_makes_it(store: BatchStore) -> None:
    with pytest.raises(BatchError, match=r"has no blocks\.npy yet; materialise hashed_blocks first") as caught:
        opened(store).read_array(BLOCKS)
    assert caught.value.data["file"] == "blocks.npy"


@pytest.mark.parametrize("content, problem", [(b"{", "is not JSON"), (b"\xff", "is not JSON"), (b"[]", "no object")])
def test_a_damaged_object_is_named(store: BatchStore, content: bytes, problem: str) -> None:
    batch = opened(store)
    batch.path(MANIFEST).write_bytes(content)
    with pytest.raises(BatchError, match=problem):
        batch.read_json(MANIFEST)


def test_a_damaged_array_or_one_of_another_type_is_named(store: BatchStore) -> None:
    batch = opened(store)
    for content in (b"", b"\x93NUMPY", b"no array"):
        batch.path(BLOCKS).write_bytes(content)
        with pytest.raises(BatchError, match="is damaged"):
            batch.read_array(BLOCKS)
    np.save(batch.path(BLOCKS), np.zeros(3))
    with pytest.raises(BatchError, match="holds float64, not uint8"):
        batch.read_array(BLOCKS)


def test_a_frozen_batch_takes_what_it_has_and_what_it_lacks_and_nothing_else(store: BatchStore) -> None:
    opened(store).write_json(MANIFEST, {"rows": []})
    frozen = store.batch(opened(store).key, frozen=True)
    frozen.write_json(MANIFEST, {"rows": []})
    frozen.write_array(BLOCKS, np.zeros(1, np.uint8))
    with pytest.raises(BatchError, match=r"is published, and this run gives another manifest\.json"):
        frozen.write_json(MANIFEST, {"rows": [1]})
    with pytest.raises(BatchError, match="is published"):
        frozen.write_array(BLOCKS, np.ones(1, np.uint8))
    assert frozen.read_json(MANIFEST) == {"rows": []}


def test_a_worker_that_was_given_up_changes_nothing_of_what_another_one_published(store: BatchStore) -> None:
    """It opened the batch before it was published, and writes on."""
    late = opened(store)
    late.write_json(MANIFEST, {"rows": []})
    store.batch(late.key).create_json(RECEIPT, {"seq": 1})
    late.write_json(MANIFEST, {"rows": []})
    with pytest.raises(BatchError, match="is published"):
        late.write_json(MANIFEST, {"rows": [1]})
    assert late.read_json(MANIFEST) == {"rows": []}


def test_a_worker_in_the_middle_of_writing_changes_nothing_of_what_is_published_meanwhile(
    store: BatchStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its disk takes seconds to keep a file, and another worker publishes the batch in them."""
    late = opened(store)
    late.write_json(MANIFEST, {"rows": []})
    real = os.fsync

    def slow(descriptor: int) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", real)
            Batch(store.blobs, late.key).create_json(RECEIPT, {"seq": 1})
        real(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    with pytest.raises(BatchError, match="is published"):
        late.write_json(MANIFEST, {"rows": [1]})
    assert late.read_json(MANIFEST) == {"rows": []}
    assert [path.name for path in late.root.iterdir() if path.suffix == ".tmp"] == []


def test_a_batch_that_an_older_version_published_is_run_again_with_the_names_that_are_kept_now(
    store: BatchStore,
) -> None:
    """It kept names as they came; a run gives safe ones. Both name the same files, so what is there stays."""
    old = {"rows": [{"file": "\udcff" * 250, "detail": "\x1b: no image", "width": 3}]}
    opened(store).write_json(MANIFEST, old)
    frozen = store.batch(opened(store).key, frozen=True)
    new = {"rows": [{"file": safe_name("\udcff" * 250), "detail": r"\x1b: no image", "width": 3}]}
    frozen.write_json(MANIFEST, new)
    assert frozen.read_json(MANIFEST) == old
    for changes in ({"width": 4}, {"file": "other"}, {"detail": None}):
        with pytest.raises(BatchError, match="is published"):
            frozen.write_json(MANIFEST, {"rows": [{**new["rows"][0], **changes}]})
    frozen.path(MANIFEST).write_bytes(b"{")
    with pytest.raises(BatchError, match="is published"):
        frozen.write_json(MANIFEST, new)


@pytest.mark.parametrize("key", ["", ".", "..", ".hidden", "a/b", "../a", "a\\b", "a\nb", "absent"])
def test_what_is_no_key_or_no_batch_is_refused(store: BatchStore, key: str) -> None:
    """Also where an intake lies there, inside the folder of the batches or outside."""
    intake = opened(store).path(INTAKE).read_bytes()
    if key != "absent":
        (store.root / key).mkdir(parents=True, exist_ok=True)
        (store.root / key / INTAKE.file).write_bytes(intake)
    with pytest.raises(BatchError):
        store.batch(key)


def test_a_folder_without_an_intake_is_no_batch(store: BatchStore) -> None:
    first, second = opened(store, "zoo"), opened(store, "drop", 2 * 10**18)
    (store.root / "zoo-30000101T000000Z-00000000").mkdir()
    first.path(INTAKE).rename(first.root / "elsewhere")
    assert [batch.key for batch in store] == [batch.key for batch in store.newest(5)] == [second.key]
    assert (store.has(first.key), store.has(second.key)) == (False, True)


def test_each_receipt_is_asked_for_once(object_store: str, s3_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever publishes reads them all, and a bucket bills each request."""
    proxy = FaultyProxy(s3_address)
    with proxy.running() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        store = BatchStore(ObjectBlobs(object_store))
        keys = [opened(store, time_ns=second * 10**18).key for second in range(1, 4)]
        for key in keys[1:]:
            store.batch(key).create_json(RECEIPT, {"seq": 1})
        proxy.asked.clear()
        assert dict(store.receipts()) == {key: {"seq": 1} for key in keys[1:]}
    of_receipts = [(method, path) for method, path in proxy.asked if path.endswith(RECEIPT.file)]
    assert sorted(of_receipts) == [("GET", f"{object_store.removeprefix('s3:/')}/{key}/{RECEIPT.file}") for key in keys]


def test_a_name_behind_which_no_receipt_has_room_stops_nobody(object_store: str) -> None:
    """Whoever may put an object into the bucket must not end all publishing by its name."""
    blobs = ObjectBlobs(object_store)
    store = BatchStore(blobs)
    batch = opened(store)
    for name in ("x" * 1010, "\u00e9" * 505):
        blobs.create(f"{name}/x", b"")
    assert batch.create_json(RECEIPT, {"seq": 1})
    assert dict(store.receipts()) == {batch.key: {"seq": 1}}
    assert store.names() == (batch.key,)


def test_a_name_that_no_terminal_shows_is_no_batch(store: BatchStore) -> None:
    """What is told of batches, their names among it, is told to terminals too."""
    intake = opened(store).path(INTAKE).read_bytes()
    for name in ("drop-\u200b", "drop-\u202f"):
        (store.root / name).mkdir()
        (store.root / name / INTAKE.file).write_bytes(intake)
    assert [batch.key for batch in store] == list(store.names()) == [opened(store).key]
