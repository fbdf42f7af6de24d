"""Assets on an ephemeral instance: what goes through, what is refused, what a re-run does."""

import json

import pytest

from entropy_assets.stores.batches import VERDICTS
from entropy_assets_tests.defs.conftest import CHECKS, Home, evaluations
from entropy_assets_tests.stages.batches_made import break_conditioning, frame


def pool_blocks(home: Home) -> int:
    with home.pool.connect() as client:
        return client.depth().blocks


def test_a_batch_goes_from_inbox_to_pool_and_the_inbox_is_settled(home: Home) -> None:
    key = home.batch_of(("a.fits", frame(1, side=512)), ("dead.jpg", b""))
    result = home.run("process_images", key)
    assert {name for name, passed in evaluations(result).items() if passed} >= CHECKS
    home.run("publish_blocks", key)
    assert pool_blocks(home) >= 1
    inbox = home.stores.layout.inbox_folder
    assert (inbox / "processed" / key / "a.fits").is_file()
    note = json.loads((inbox / "rejected" / key / "dead.jpg.reason.json").read_text())
    assert note == {
        "name": "dead.jpg",
        "reason": "empty_file",
        "detail": "the file is empty",
        "advice": "copy it again",
    }


@pytest.mark.parametrize("path", [["validated_blocks", "published_blocks"], ["published_blocks"]])
def test_a_failed_batch_stays_out_of_the_pool_when_assets_are_materialised_alone(
    home: Home, monkeypatch: pytest.MonkeyPatch, path: list[str]
) -> None:
    """A failing check gates only its own run, so what comes after verifies by itself."""
    break_conditioning(monkeypatch)
    key = home.batch_of(("a.fits", frame(1, side=512)))
    home.run("process_images", key, fails=True)
    for asset in path:
        job = "publish_blocks" if asset == "published_blocks" else "process_images"
        assert not home.run(job, key, only=asset, fails=True).success
    assert pool_blocks(home) == 0
    assert not home.stores.layout.ledger().is_published(key)


def test_materialising_a_stage_before_its_input_says_what_to_do(home: Home) -> None:
    key = home.batch_of(("a.fits", frame(1, side=512)))
    result = home.run("process_images", key, only="hashed_blocks", fails=True)
    failure = result.get_step_failure_events()[0].step_failure_data
    assert "materialise" in str(failure.user_failure_data.description)


def test_running_everything_again_publishes_nothing_new(home: Home) -> None:
    key = home.batch_of(("a.fits", frame(1, side=512)))
    for _ in range(2):
        home.run("process_images", key)
        home.run("publish_blocks", key)
    with home.pool.connect() as client:
        released = home.stores.batch(key).read_json(VERDICTS)["released"]
        assert sorted(leased.block.block_id for leased in client.lease(1000).blocks) == sorted(released)


def test_a_file_in_the_way_of_settled_ones_fails_no_run(home: Home) -> None:
    """Its images are spent by then, and a batch needs no file of the inbox any more."""
    home.drop("processed", b"a list of them")
    key = home.batch_of(("a.fits", frame(1, side=512)))
    home.run("process_images", key)
    assert (home.stores.layout.inbox_folder / ".taken" / key / "a.fits").is_file()
