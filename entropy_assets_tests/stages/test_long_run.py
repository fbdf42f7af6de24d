"""All P-values together: a deviation too small for any batch shows over many."""

from pathlib import Path

import numpy as np
import pandas as pd

from entropy_assets.core.validation.block_tests import TESTS
from entropy_assets.stages.long_run import COLUMNS, long_run_report, verdict_history
from entropy_assets.stores.batches import VERDICTS
from entropy_assets_tests.stages.batches_made import Place, frame


def history_of(p_values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({**dict.fromkeys(COLUMNS, 0.5), **dict.fromkeys(TESTS, p_values)})


def test_every_tested_block_of_every_batch_has_a_row(tmp_path: Path) -> None:
    place = Place(tmp_path)
    batches = [place.validated([("a.fits", frame(1))]), place.validated([("b.fits", frame(2))], time_ns=10**9)]
    place.open([("unfinished.fits", frame(3))], time_ns=2 * 10**9)
    history = verdict_history(place.batches())
    assert set(history["batch"]) == {batch.key for batch in batches}
    rows = batches[0].read_json(VERDICTS)["rows"]
    assert (history.loc[history["block_id"] == rows[0]["block_id"], "shannon_entropy"] <= 1.0).all()


def test_even_p_values_pass_and_a_slight_tilt_over_many_blocks_does_not() -> None:
    rng = np.random.default_rng(11)
    even = rng.random(5000)
    assert (long_run_report(history_of(even))["corrected_p"] > 1e-3).all()
    assert (long_run_report(history_of(even**1.2))["corrected_p"] < 1e-6).all()


def test_too_few_blocks_claim_no_uniformity() -> None:
    report = long_run_report(history_of(np.linspace(0.01, 0.99, 54)))
    assert report["uniformity_p"].isna().all()


def test_no_blocks_at_all_is_no_evidence() -> None:
    report = long_run_report(pd.DataFrame([], columns=COLUMNS))
    assert (report["corrected_p"] == 1.0).all()
