"""The IID track gives a figure only to what passes all of its tests."""

import json
from pathlib import Path

import numpy as np
import pytest

from entropy_assets.core.sp800_90b.iid.permutations import EARLY
from entropy_assets.core.sp800_90b.iid.track import assess_iid
from entropy_assets.errors import InputRefused
from entropy_assets_tests.core.sp800_90b.references import known, symbols_of


@pytest.mark.parametrize("name, bits", [("rand1_short", 1), ("rand4_short", 4)])
def test_the_figure_is_that_of_the_tool(shared_data: Path, name: str, bits: int) -> None:
    """H_I by the most common value, of symbols and of bits."""
    pytest.importorskip("numba")
    told = known(shared_data)["iid"][name]
    found = assess_iid(symbols_of(shared_data, name), bits, 1)
    assert found.passed
    assert found.h_i == pytest.approx(float(told["Assessed min entropy"]), abs=1e-10)
    assert not found.enough_samples


def test_what_fails_has_no_figure(shared_data: Path) -> None:
    """The tool prints one for this file all the same, though its pairs depend (P = 4e-11)."""
    found = assess_iid(symbols_of(shared_data, "rand8_short"), 8, 1, rule=EARLY)
    row = json.loads(json.dumps(found.to_row()))
    assert found.permutations.passed
    assert (row["h_i"], row["passed"], row["failed"]) == (None, False, ["independence"])


def test_a_claim_caps_the_figure() -> None:
    """3.1.3."""
    bits = np.random.default_rng(1).integers(0, 2, 3000, dtype=np.uint8)
    free, claimed = assess_iid(bits, 1, 3), assess_iid(bits, 1, 3, h_submitter=0.25)
    assert free.passed
    assert free.h_i is not None
    assert free.h_i > 0.85
    assert claimed.h_i == 0.25


@pytest.mark.parametrize("symbols", [np.zeros(1000, np.uint8), np.arange(30, dtype=np.uint8)])
def test_what_can_not_be_permuted_is_refused(symbols: np.ndarray) -> None:
    """One symbol, or hardly any samples."""
    with pytest.raises(InputRefused):
        assess_iid(symbols, 8, 1)
