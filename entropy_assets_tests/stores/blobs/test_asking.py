"""Faults between a process and its object store: what is uncertain is looked at, and nothing is tried for ever."""

import traceback
from collections.abc import Iterator

import pytest

from entropy_assets.stores.blobs import asking
from entropy_assets.stores.blobs.asking import TRIES
from entropy_assets.stores.blobs.objects import ObjectBlobs
from entropy_assets.stores.blobs.refusals import StoreDenied, StoreError, StoreUnavailable
from entropy_assets_tests.stores.blobs.servers import CREDENTIALS, FaultyProxy, put_as_it_is


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "FIRST_PAUSE_S", 0.001)


@pytest.fixture
def proxy(s3_address: str, object_store: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    proxy = FaultyProxy(s3_address)
    with proxy.running() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        yield proxy


@pytest.fixture
def blobs(proxy: FaultyProxy, object_store: str) -> ObjectBlobs:
    blobs = ObjectBlobs(object_store)
    blobs.probe()
    proxy.asked.clear()
    return blobs


def test_a_create_whose_answer_was_lost_is_the_own_success(blobs: ObjectBlobs, proxy: FaultyProxy) -> None:
    """The second try is refused by what the first one kept."""
    proxy.drops_answers = 1
    assert blobs.create("intake.json", b"mine")
    assert [method for method, _ in proxy.asked] == ["PUT", "PUT", "GET"]
    assert not blobs.create("intake.json", b"mine")


def test_a_create_whose_answer_was_lost_is_no_success_over_another_ones(blobs: ObjectBlobs, proxy: FaultyProxy) -> None:
    blobs.create("intake.json", b"theirs")
    proxy.drops_answers = 1
    assert not blobs.create("intake.json", b"mine")
    assert blobs.read("intake.json") == b"theirs"


def test_a_busy_store_is_asked_again(blobs: ObjectBlobs, proxy: FaultyProxy) -> None:
    for ask in (lambda: blobs.create("a", b"1"), lambda: blobs.read("a"), lambda: blobs.find("a"), blobs.list):
        proxy.refuses = TRIES - 1
        assert ask()
        assert proxy.refuses == 0


def test_a_store_that_stays_busy_is_given_up(blobs: ObjectBlobs, proxy: FaultyProxy) -> None:
    proxy.refuses = 1000
    for ask in (lambda: blobs.create("a", b"1"), lambda: blobs.replace("a", b"1"), lambda: blobs.read("a"), blobs.list):
        proxy.asked.clear()
        with pytest.raises(StoreUnavailable, match=rf"no answer in {TRIES} tries \(HTTP 503\)"):
            ask()
        assert len(proxy.asked) == TRIES


def test_a_store_that_is_away_is_told_without_what_was_sent(object_store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StoreUnavailable) as caught:
        ObjectBlobs(object_store).read("a")
    told = "".join(traceback.format_exception(caught.value))
    assert object_store in told
    assert not any(secret in told for secret in CREDENTIALS.values() if secret.startswith("made-up"))


def test_whatever_is_kept_is_sent_in_one_piece(blobs: ObjectBlobs, proxy: FaultyProxy) -> None:
    """There are servers whose last part of several goes over what is there."""
    large = b"\x01" * (6 * 2**20)
    assert blobs.create("a", large)
    blobs.replace("b", large)
    assert [method for method, _ in proxy.asked] == ["PUT", "PUT"]


@pytest.mark.parametrize("name", ["in//a.fits", "in/a\tb.fits", "in/../b.fits"])
def test_a_name_that_no_tool_takes_is_named(s3_address: str, object_store: str, name: str) -> None:
    """Else an inbox into which somebody put one would seem to be a server that is away."""
    put_as_it_is(s3_address, object_store, f"/{name}", b"1")
    with pytest.raises(StoreError, match=r"under a name that can't be used: .*; remove .*/in/") as caught:
        ObjectBlobs(object_store).list("in")
    assert str(caught.value).isprintable()


def test_a_bucket_that_is_not_there_is_no_empty_one(object_store: str) -> None:
    blobs = ObjectBlobs("s3://no-such-bucket-here/prefix")
    for ask in (blobs.list, lambda: blobs.create("a", b"1"), lambda: blobs.replace("a", b"1")):
        with pytest.raises(StoreDenied, match="no such bucket; make it first"):
            ask()
