"""What a column has for all its pixels is known, and squares that a drift masks don't thin a pattern out."""

import numpy as np
import numpy.typing as npt
import pytest

from entropy_assets.core.credit.squarewise.columns import known_beside_columns

SHAPE = (16, 32, 16)


def fold(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int8]:
    return np.clip(np.rint(24 * values / values.std()), -127, 127).astype(np.int8)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("drift", [0.3, 1.0, 3.0])
def test_columns_that_drift_over_a_pattern_leave_only_what_is_new_at_each_pixel(drift: float, sign: int) -> None:
    rng = np.random.default_rng(1)
    pattern = rng.normal(0, 1, SHAPE)
    one, other = (
        fold(way * (pattern + rng.normal(0, drift, (16, 1, 16)) + rng.normal(0, 0.3, SHAPE))) for way in (1, sign)
    )
    left = 1 - known_beside_columns(one, other, sign, 1.0)
    assert left == pytest.approx(0.09 / (1.09 + drift**2), rel=0.25)


@pytest.mark.parametrize("sigma", [0.5, 4.0])
def test_frames_without_offsets_of_columns_are_left_alone(sigma: float) -> None:
    rng = np.random.default_rng(2)
    pattern = rng.normal(0, 1, SHAPE)
    one, other = (fold(pattern + rng.normal(0, sigma, SHAPE)) for _ in range(2))
    assert known_beside_columns(one, other, 1, 1.0) == 0
    assert known_beside_columns(np.zeros(SHAPE, dtype=np.int8), other, 1, 1.0) == 0


def test_columns_alone_are_known_whatever_the_other_frame_shows() -> None:
    rng = np.random.default_rng(3)
    one, other = (fold(rng.normal(0, 1, SHAPE) + rng.normal(0, 1, (16, 1, 16))) for _ in range(2))
    assert known_beside_columns(one, other, 1, 1.0) == pytest.approx(0.5, abs=0.1)


def test_squares_that_are_live_in_one_frame_alone_leave_nothing_that_a_pattern_explains() -> None:
    """A tenth of each fold is of squares that the other frame has masked: the rest is the same but for its drift."""
    rng = np.random.default_rng(4)
    pattern = rng.normal(0, 0.9**0.5, SHAPE)
    one, other = (fold(pattern + rng.normal(0, 0.1**0.5, SHAPE) + rng.normal(0, 0.5, (16, 1, 16))) for _ in range(2))
    assert known_beside_columns(one, other, 1, 1.0) < 0.93
    assert known_beside_columns(one, other, 1, 0.9) > 0.98
