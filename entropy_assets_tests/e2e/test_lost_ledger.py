"""Somebody deletes the ledger and starts everything again: it is told, accepted, and nothing is served twice."""

from pathlib import Path

import pytest

from entropy_assets.stores.batches import VERDICTS
from entropy_assets.stores.home import Home
from entropy_assets.stores.ledger.rows import NO_LINK
from entropy_assets_tests.e2e.running import Installation, command, eventually
from entropy_assets_tests.stages.batches_made import frame

pytestmark = pytest.mark.e2e

ALL_PUBLIC = "1"
"""Share of the public lane: what is drawn there is the pool's bytes, so that a repeat would be seen."""


def drawn(installation: Installation) -> bytes:
    """Draw a public block's worth once bytes can be had."""
    eventually("bytes", lambda: installation.get("/readyz").status_code == 200)
    answer = installation.get("/random/4000", **{"class": "public"})
    assert answer.status_code == 200, answer.text
    return answer.content


def told(installation: Installation, code: str) -> bool:
    report = installation.get("/health").json()
    return code in {reason["code"] for reason in report["reasons"]} and report["status"] != "ok"


def test_an_installation_that_lost_its_ledger_serves_nothing_twice(tmp_path: Path) -> None:
    with Installation.running(tmp_path, ENTROPY_PUBLIC_SHARE=ALL_PUBLIC) as installation:
        batch = installation.drop({"a.fits": frame(1, side=512)})
        eventually("publication", lambda: installation.published(batch))
        served = drawn(installation)
        eventually("the end of all runs", installation.idle)
    for path in tmp_path.glob("ledger.sqlite*"):
        path.unlink()
    with Installation.running(tmp_path, ENTROPY_PUBLIC_SHARE=ALL_PUBLIC) as installation:
        eventually("health tells", lambda: told(installation, "ledger-behind"))
        assert "entropy-assets ledger accept --head" in str(installation.get("/stats").json()["problems"])
        assert any(f"the ledger ledger.sqlite {word}" in installation.up.said for word in ("is missing", "is empty"))
        batch_again = installation.launch(batch, "process_images")
        assert batch_again["status"] == "FAILURE", "no image is spent on a ledger that has forgotten"
        assert installation.launch(batch, "publish_blocks")["status"] == "FAILURE"
        refused = command("ledger", "accept", "--head", NO_LINK, ENTROPY_HOME=str(tmp_path))
        assert (refused.returncode, "another 'entropy-assets up'" in refused.stderr) == (1, True)
    accepted = command("ledger", "accept", "--head", Home(tmp_path).ledger().head(), ENTROPY_HOME=str(tmp_path))
    assert accepted.returncode == 0, accepted.stderr
    assert "1 batches are burned" in accepted.stdout
    with Installation.running(tmp_path, ENTROPY_PUBLIC_SHARE=ALL_PUBLIC) as installation:
        again, other = [installation.drop({f"{seed}.fits": frame(seed, side=512)}) for seed in (1, 2)]
        eventually("publication of new images", lambda: installation.published(other))
        eventually("verdicts on the old one", lambda: again.has(VERDICTS))
        assert installation.ledger.published_blocks(again.key) == []
        assert not told(installation, "ledger-behind")
        assert not set(chunks(served)) & set(chunks(drawn(installation)))
        installation.ledger.verify()


def chunks(data: bytes) -> list[bytes]:
    """Cut what was drawn into pieces of a digest."""
    return [data[start : start + 32] for start in range(0, len(data), 32)]
