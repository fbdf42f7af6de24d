"""The stream is what was published of the public lane, in the order of the ledger, and each byte is in one sequence."""

import shutil

import pytest

from entropy_assets.errors import BatchError, LedgerError
from entropy_assets.stages.reports.stream import SEQUENCE_BYTES, Place, stream_after
from entropy_assets.stores.batches import BLOCKS
from entropy_assets_tests.stages.batches_made import Place as Installation
from entropy_assets_tests.stages.reports.streams import BLOCK, honest, published


def all_of(place: Installation, after: Place | None = None, most: int = 1000) -> list[bytes]:
    return list(stream_after(after, place.batches(), place.ledger()).newest(most, place.ledger()))


def test_sequences_are_cut_over_batches_in_the_order_of_the_ledger(place: Installation) -> None:
    first, second = honest(40, 1), honest(30, 2)
    published(place, first)
    published(place, second)
    stream = first + second
    assert all_of(place) == [stream[:SEQUENCE_BYTES], stream[SEQUENCE_BYTES : 2 * SEQUENCE_BYTES]]


def test_no_byte_of_the_private_lane_is_read(place: Installation) -> None:
    private = published(place, honest(70, 1), lane="private")
    private.path(BLOCKS).write_bytes(b"whoever reads this fails")
    data = honest(31, 2)
    published(place, data)
    assert all_of(place) == [data[:SEQUENCE_BYTES]]


def test_a_block_that_was_not_published_is_not_of_the_stream(place: Installation) -> None:
    data = honest(40)
    published(place, data, without=[0, 7])
    blocks = [data[n * BLOCK : (n + 1) * BLOCK] for n in range(40) if n not in (0, 7)]
    assert all_of(place) == [b"".join(blocks)[:SEQUENCE_BYTES]]


def test_what_lies_behind_a_place_is_never_seen_again(place: Installation) -> None:
    """Night after night, each sequence is in one look: the rest of a batch begins where the last look ended."""
    data = honest(130)
    published(place, data[: 50 * BLOCK])
    ahead = stream_after(None, place.batches(), place.ledger())
    place_reached = ahead.place_after(ahead.sequences)
    assert ahead.sequences == 1
    published(place, data[50 * BLOCK :])
    assert all_of(place, place_reached) == [
        data[n * SEQUENCE_BYTES : (n + 1) * SEQUENCE_BYTES] for n in range(1, len(data) // SEQUENCE_BYTES)
    ]


def test_only_the_newest_are_looked_at_and_they_are_the_same_as_without_a_limit(place: Installation) -> None:
    published(place, honest(200))
    assert all_of(place, most=2) == all_of(place)[-2:]


def test_blocks_that_are_not_those_that_were_published_are_refused(place: Installation) -> None:
    batch = published(place, honest(31))
    altered = batch.read_array(BLOCKS).copy()
    altered[30, -1] ^= 1
    batch.write_array(BLOCKS, altered)
    with pytest.raises(BatchError, match="not the one that was published"):
        all_of(place)


def test_a_batch_that_is_gone_is_told_and_the_stream_goes_on(place: Installation) -> None:
    gone = published(place, honest(31, 1))
    data = honest(31, 2)
    published(place, data)
    shutil.rmtree(gone.root)
    ahead = stream_after(None, place.batches(), place.ledger())
    assert ahead.missing == (gone.key,)
    assert all_of(place) == [data[:SEQUENCE_BYTES]]


def test_a_ledger_that_does_not_know_the_place_is_refused(place: Installation) -> None:
    with pytest.raises(LedgerError, match="does not know"):
        stream_after(Place("another-batch", 0), place.batches(), place.ledger())
