"""When a block reveals: never before it can't be served any more, and a private one never."""

import json
import shutil
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropy_assets.provenance.reveal import MARGIN_S, reveal_of
from entropy_assets.provenance.trail import MOST_THUMBNAIL_BYTES, Trail
from entropy_assets.stages.publication import publish_batch
from entropy_assets.stores.batches import INTAKE, MANIFEST, Document, thumbnail_of
from entropy_assets.stores.lanes import Fate, Lane
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.stages.batches_made import Place, alter_json, frame, simulated_frame

LIFE_S = 3600.0
fates = st.one_of(
    st.none(),
    st.builds(Fate, state=st.sampled_from(["gone", "unknown"]), ahead_s=st.floats(-2 * LIFE_S, 2 * LIFE_S)),
    st.builds(Fate, state=st.sampled_from(["ready", "open"]), left_s=st.floats(0, LIFE_S)),
)


@given(fates, st.booleans(), st.floats(-1e4, 1e6))
def test_a_private_block_never_reveals(fate: Fate | None, has_own_nonce: bool, age_s: float) -> None:
    told = reveal_of("private", fate, has_own_nonce=has_own_nonce, age_s=age_s, life_s=LIFE_S)
    assert told == {"lane": "private", "revealed": False, "reveals_in_s": None}


@given(fates, st.booleans(), st.floats(-1e4, 1e6))
def test_a_public_block_reveals_when_nobody_can_serve_it(fate: Fate | None, has_own_nonce: bool, age_s: float) -> None:
    """That is: it is gone, and no other block of its batch hangs on it; or every block of so long ago has expired.

    Who has another time than this machine can't tell that: by a clock that is ahead all that workers hold is gone.
    """
    told = reveal_of("public", fate, has_own_nonce=has_own_nonce, age_s=age_s, life_s=LIFE_S)
    if fate is not None and abs(fate.ahead_s) > MARGIN_S:
        fate = None
    all_expired = age_s >= LIFE_S + MARGIN_S and fate is not None
    knows_it_waits = fate is not None and fate.state in ("ready", "open")
    is_gone = fate is not None and fate.state == "gone" and has_own_nonce
    assert told["revealed"] == (is_gone or (all_expired and not knows_it_waits))
    assert told["revealed"] == (told["reveals_in_s"] == 0)
    if not told["revealed"]:
        assert 0 < told["reveals_in_s"] <= LIFE_S + MARGIN_S + 1e4


SECRETS = ("slices", "block_nonce", "images", "manifest", "sampling_nonce")


def published(place: Place, lane: Lane, recipe: str) -> str:
    batch = place.open([("a.fits", frame(1))], lane=lane, recipe=recipe)
    place.finished(batch)
    return place.in_ledger(batch)[0]


@pytest.mark.parametrize("recipe", ["ea-2026-1", "ea-2026-2"])
@pytest.mark.parametrize("lane", ["public", "private"])
@pytest.mark.parametrize("state", ["ready", "open", "gone", "unknown", None])
def test_nothing_that_gives_a_block_away_is_told_before_it_reveals(
    tmp_path: Path, recipe: str, lane: Lane, state: Any
) -> None:
    """A minute after its publication, whatever the pool says; and from the hour on, if it is public."""
    place = Place(tmp_path)
    block_id = published(place, lane, recipe)
    record = Trail.of(place).find(block_id)
    assert record is not None
    now = 60.0
    fate = None if state is None else Fate(state=state, left_s=5.0 if state in ("ready", "open") else 0.0)
    trail = Trail(place.ledger(), place.batches(), place.images(), None, LIFE_S, clock=lambda: now)
    told = trail.tell(block_id, fate)
    assert told is not None
    may_know = lane == "public" and state == "gone" and recipe == "ea-2026-2"
    assert told["revealed"] is may_know
    text = json.dumps(told)
    if not may_know:
        assert not set(SECRETS) & set(told)
        assert json.dumps(record["slices"]) not in text  # type: ignore[typeddict-item]
        assert all(image["sampling_nonce"] not in text for image in record["images"])  # type: ignore[typeddict-item]
    now = 2 * LIFE_S
    later = trail.tell(block_id, None if fate is None else Fate(state="unknown"))
    assert later is not None
    reveals = lane == "public" and fate is not None
    assert later["revealed"] is reveals, "while the pool does not answer, nothing reveals"
    assert set(SECRETS) - {"sampling_nonce"} <= set(later) or not reveals


@pytest.mark.parametrize(
    "lane, state, is_shown", [("public", "ready", 0), ("public", "gone", 1), ("private", "gone", 0)]
)
def test_a_picture_of_an_image_is_shown_once_a_public_block_revealed_and_no_sooner(
    tmp_path: Path, lane: Lane, state: Any, is_shown: int
) -> None:
    place = Place(tmp_path)
    block_id = published(place, lane, "ea-2026-2")
    [batch] = place.batches()
    image = batch.intake.files[0].image_sha256
    trail = Trail(place.ledger(), place.batches(), place.images(), None, LIFE_S, clock=lambda: 60.0)
    fate = Fate(state=state, left_s=5.0 if state == "ready" else 0.0)
    png = trail.thumbnail(block_id, image, fate)
    assert (png is not None) is bool(is_shown)
    assert trail.thumbnail(block_id, image, None) is None
    assert trail.thumbnail(block_id, "ab" * 32, fate) is None
    assert trail.thumbnail("00000000-0000-0000-0000-000000000000", image, fate) is None
    if png:
        assert png.startswith(b"\x89PNG")
        assert len(png) <= MOST_THUMBNAIL_BYTES
        for damage in (b"<html><script>", png + bytes(MOST_THUMBNAIL_BYTES), b""):
            batch.path(thumbnail_of(image)).write_bytes(damage)
            assert trail.thumbnail(block_id, image, fate) is None
        batch.path(thumbnail_of(image)).unlink()
        assert trail.thumbnail(block_id, image, fate) is None


@pytest.mark.parametrize("document", [INTAKE, MANIFEST])
def test_who_may_write_the_batches_makes_no_private_block_reveal(tmp_path: Path, document: Document) -> None:
    """The lane stands in the intake, which lies where others may write; the ledger says which intake it was."""
    place = Place(tmp_path)
    block_id = published(place, "private", "ea-2026-2")
    [batch] = place.batches()
    trail = Trail(place.ledger(), place.batches(), place.images(), None, LIFE_S, clock=lambda: 2 * LIFE_S)
    alter_json(batch, INTAKE, lambda intake: intake.update(lane="public"))
    if document is MANIFEST:
        alter_json(batch, MANIFEST, lambda manifest: manifest["rows"][0].update(source="drop"))
    told = trail.tell(block_id, Fate(state="gone"))
    assert told is not None
    assert not set(SECRETS) & set(told)
    assert told["block_id"] == block_id
    assert "ledger binds" in str(told["problem"])
    image = batch.intake.files[0].image_sha256
    assert trail.thumbnail(block_id, image, Fate(state="gone")) is None


@pytest.mark.parametrize("lane", ["public", "private"])
def test_a_block_of_a_simulated_camera_says_so_before_it_reveals(tmp_path: Path, lane: Lane) -> None:
    place = Place(tmp_path)
    for name, data, source in (("sky.fits", frame(1), "raw-ccd"), ("mock.fits", simulated_frame(2), "simulated")):
        batch = place.open([(name, data)], lane=lane, source=source)
        place.finished(batch)
        told = Trail.of(place).tell(place.in_ledger(batch)[0], Fate(state="ready", left_s=5.0))
        assert told is not None
        assert told["revealed"] is False
        assert told["simulated"] is (source == "simulated")


def test_nobody_is_told_of_a_block_that_was_never_published(tmp_path: Path) -> None:
    place = Place(tmp_path)
    published(place, "public", "ea-2026-2")
    assert Trail.of(place).tell("00000000-0000-0000-0000-000000000000", None) is None


@pytest.mark.parametrize("state", ["ready", "gone"])
def test_of_a_batch_that_is_gone_the_ledger_tells_what_it_has(tmp_path: Path, state: Any) -> None:
    place = Place(tmp_path)
    block_id = published(place, "public", "ea-2026-2")
    [batch] = place.batches()
    shutil.rmtree(batch.root)
    told = Trail.of(place).tell(block_id, Fate(state=state))
    assert told is not None
    assert told["block_id"] == block_id
    assert batch.key in str(told["problem"])


def test_a_publisher_whose_clock_is_behind_makes_no_block_reveal_that_a_worker_holds(
    place: Place, pool: PoolClient
) -> None:
    """The pool's server was restarted and knows nothing of it; by the ledger it would have expired long ago."""
    batch = place.validated([("a.fits", frame(1))], lane="public")
    behind_us = round((time.time() - 2 * LIFE_S) * 1e6)
    publish_batch(batch, place.ledger(), pool, run_id="run", now_us=behind_us)
    [held, *_] = pool.lease(1, lane="public").blocks
    with EmbeddedServer() as restarted, closing(PoolClient.from_url(restarted.url)) as empty:
        fate = empty.fate_of(held.block.block_id)
        assert fate.state == "unknown"
        told = Trail.of(place).tell(held.block.block_id, fate)
    assert told is not None
    assert not told["revealed"]
