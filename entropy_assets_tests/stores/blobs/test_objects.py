"""The client of an object store: one for a process, made when it is needed, and sent to others by its address."""

import pickle

import pytest

from entropy_assets.stores.blobs.objects import ObjectBlobs
from entropy_assets.stores.blobs.refusals import StoreAddressInvalid


def test_it_is_sent_to_another_process_by_its_address_alone(object_store: str) -> None:
    """As the service sends what it reads to its workers; the credentials are in their environment too."""
    blobs = ObjectBlobs(object_store, "images")
    blobs.create("a", b"1")
    sent = pickle.dumps(blobs)
    assert b"made-up" not in sent
    assert pickle.loads(sent).read("a") == b"1"  # noqa: S301 - its own


def test_folders_of_a_store_are_apart(object_store: str) -> None:
    images, batches = ObjectBlobs(object_store, "images"), ObjectBlobs(object_store, "batches")
    images.create("a", b"1")
    assert batches.find("a") is None
    assert ObjectBlobs(object_store).list().folders == ("images",)


def test_a_listing_of_many_is_whole(object_store: str) -> None:
    """A store answers by pages, this one by pages of five."""
    blobs = ObjectBlobs(object_store)
    names = [f"{number:04}/intake.json" for number in range(12)]
    for name in names:
        blobs.create(name, b"")
    assert blobs.list().folders == tuple(name.partition("/")[0] for name in names)


def test_no_client_is_made_before_it_is_needed() -> None:
    """This one lacks its account, which stands in the environment."""
    blobs = ObjectBlobs("az://container/prefix")
    with pytest.raises(StoreAddressInvalid, match="there is no client"):
        blobs.read("a")
