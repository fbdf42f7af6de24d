"""A verdict names what a block was rejected for, and its score says how usual the block is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropy_assets.core.validation.validator import EntropyValidator
from entropy_assets.core.validation.verdicts import score_of


def test_a_broken_block_is_rejected_with_its_reasons():
    """Zeros fail everything and score nothing; the names of what failed are in the row."""
    verdict = EntropyValidator().validate(bytes(4096))
    assert verdict["passed"] is False
    assert verdict["warned"] is True
    assert verdict["score"] == 0.0
    assert verdict["reasons"] == ["chi_square", "runs", "autocorrelation", "shannon_entropy"]


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_score_follows_the_family_value_alone(one, other):
    """10 from one in a hundred upwards, 0 at one in a million, falling by 2.5 a decade, never rising as p* falls."""
    low, high = score_of(np.sort(np.array([one, other])))
    assert 0 <= low <= high <= 10
    assert score_of(np.array([1.0, 1e-2, 1e-3, 1e-4, 1e-6, 0.0])).tolist() == pytest.approx([10, 10, 7.5, 5, 0, 0])
