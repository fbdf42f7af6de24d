"""What a test was asked and what it says, and the tails that several tests share."""

import math

import pytest

from entropy_assets.core.sp800_22.findings import (
    Finding,
    Parameters,
    PValue,
    chi_square_of,
    chi_square_tail,
    normal_tails,
)


@pytest.mark.parametrize(
    "name, value",
    [
        ("block_frequency", 0),
        ("longest_run", 64),
        ("template", 17),
        ("template_blocks", 0),
        ("overlapping_template", 65),
        ("universal", 17),
        ("linear_complexity", 0),
        ("serial", 1),
        ("serial", 25),
        ("approximate_entropy", 24),
    ],
)
def test_a_parameter_out_of_its_range_is_named(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{name} is .*, not {value}"):
        Parameters(**{name: value})


def test_an_finding_without_p_values_keeps_their_places() -> None:
    finding = Finding(name="serial", section="2.11").refused("too few", ("del1", "del2"))
    assert not finding.applicable
    assert finding.smallest_p is None
    assert [row["label"] for row in finding.rows()] == ["del1", "del2"]
    assert [row["reason"] for row in finding.rows()] == ["too few", "too few"]
    assert Finding(name="x", section="2", p_values=(PValue("", 0.5, 1.0), PValue("", 0.25, 2.0))).smallest_p == 0.25


def test_the_tails_have_the_values_of_tables() -> None:
    """Chi-square of 2 degrees is an exponential; 1.959964 is the 97.5 % point of the normal distribution."""
    assert chi_square_tail(3.0, 2) == pytest.approx(math.exp(-1.5), rel=1e-14)
    assert [chi_square_tail(-1e-12, 5), chi_square_tail(0.0, 0), chi_square_tail(1.0, 0)] == [1.0, 1.0, 0.0]
    assert normal_tails(-1.959964) == pytest.approx(0.05, abs=1e-7)
    assert chi_square_of([30, 70], (0.5, 0.5)) == pytest.approx(16.0)
