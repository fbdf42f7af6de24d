"""A store that ignores the condition is refused before anything is created in it."""

from collections.abc import Iterator

import pytest

from entropy_assets.stores.blobs.objects import ObjectBlobs
from entropy_assets.stores.blobs.probe import PROBES
from entropy_assets.stores.blobs.refusals import StoreUnsafe
from entropy_assets_tests.stores.blobs.servers import FaultyProxy


@pytest.fixture
def proxy(s3_address: str, object_store: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    proxy = FaultyProxy(s3_address)
    with proxy.running() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        yield proxy


def test_a_store_that_ignores_the_condition_is_refused(proxy: FaultyProxy, object_store: str) -> None:
    """At the start, and by each call that would keep something, however often it is tried."""
    proxy.ignores_condition = True
    blobs = ObjectBlobs(object_store, "batches")
    with pytest.raises(StoreUnsafe, match=r"ignores 'If-None-Match: \*': 5 writers created the same name"):
        blobs.probe()
    for change in (blobs.create, blobs.replace):
        with pytest.raises(StoreUnsafe):
            change("intake.json", b"1")
    assert ObjectBlobs(object_store).list().folders == (), "neither a probe nor a blob is left"


def test_a_store_that_honours_it_is_asked_once_in_a_process(proxy: FaultyProxy, object_store: str) -> None:
    ObjectBlobs(object_store).probe()
    probed = len(proxy.asked)
    assert probed > 0
    assert ObjectBlobs(object_store, "batches").create("a", b"1")
    assert [(method, PROBES in path) for method, path in proxy.asked[probed:]] == [("PUT", False)]


def test_who_only_reads_asks_nothing_more(proxy: FaultyProxy, object_store: str) -> None:
    """A service may have credentials that keep nothing."""
    assert ObjectBlobs(object_store).find("a") is None
    assert [method for method, _ in proxy.asked] == ["HEAD"]
