"""The test of the longest repeated substring is the tool's to the digit."""

from pathlib import Path

import numpy as np
import pytest

from entropy_assets.core.sp800_90b.alphabets import numbered
from entropy_assets.core.sp800_90b.iid.repeats import repeat_test
from entropy_assets_tests.core.sp800_90b.references import LONG_ARE_SLOW, known, symbols_of


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", LONG_ARE_SLOW)
def test_the_figures_are_those_of_the_tool(shared_data: Path, name: str) -> None:
    """P_col, W and Pr(X >= 1), 5.2.5."""
    told = known(shared_data)["iid"][name]["lrs"]
    found = repeat_test(*numbered(symbols_of(shared_data, name)))
    assert found.longest == int(told["W"])
    assert found.p_col == pytest.approx(float(told["P_col"]), abs=1e-10)
    assert found.p_value == pytest.approx(float(told["Pr(X >= 1)"]), abs=1e-10)


def test_a_passage_that_comes_again_is_found() -> None:
    """Twenty bytes in five thousand have no business to be there twice."""
    symbols = np.random.default_rng(11).integers(0, 256, 5000, dtype=np.uint8)
    assert repeat_test(symbols, 256).passed
    symbols[4000:4020] = symbols[:20]
    found = repeat_test(symbols, 256)
    assert found.longest >= 20
    assert not found.passed


def test_no_repeat_at_all_is_no_failure() -> None:
    """Each symbol once."""
    assert repeat_test(np.arange(256, dtype=np.uint8), 256).passed
