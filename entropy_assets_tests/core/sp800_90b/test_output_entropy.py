"""What a conditioning component puts out is the formula of SP 800-90B 3.1.5, to the digit, however small the loss."""

import json
import math
from decimal import Decimal, localcontext
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.sp800_90b.output_entropy import non_vetted, output_entropy_bits, vetted
from entropy_assets.errors import InputRefused


def exact_output_entropy(n_in: int, n_out: int, nw: int, h_in: float) -> float:
    """Work SP 800-90B 3.1.5.1.2 line by line in 500 digits."""
    with localcontext() as context:
        context.prec = 500
        two, n = Decimal(2), min(n_out, nw)
        p_high = two ** -Decimal(h_in)
        p_low = (1 - p_high) / (two**n_in - 1)
        psi = two ** (n_in - n) * p_low + p_high
        u = two ** (n_in - n) + (2 * n * two ** (n_in - n) * two.ln()).sqrt()
        return max(0.0, float(-max(psi, u * p_low).ln() / two.ln()))


@given(
    st.integers(8, 600),
    st.sampled_from([8, 64, 256, 512]),
    st.sampled_from([8, 256, 512]),
    st.floats(0, 1, exclude_min=True),
)
@settings(max_examples=40, deadline=None)
def test_output_entropy_is_the_formula_of_the_standard(n_in: int, n_out: int, nw: int, share: float) -> None:
    """The log-domain form equals the formula of 3.1.5.1.2 in 500 digits."""
    h_in = round(share * n_in, 3)
    assert output_entropy_bits(n_in, n_out, nw, h_in) == pytest.approx(
        exact_output_entropy(n_in, n_out, nw, h_in), rel=1e-12, abs=1e-12
    )


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ((512, 256, 256, 256), 255.0),
        ((320, 256, 256, 257), 255.4150374992788),
        ((64, 64, 64, 60), 59.9125371587),
        ((8, 8, 8, 4), 3.917537839808027),
        ((4640, 256, 256, 320), 256.0),
    ],
)
def test_output_entropy_of_the_published_cases(arguments: tuple[int, int, int, int], expected: float) -> None:
    """The values of NIST's tool (v1.1.8)."""
    assert output_entropy_bits(*arguments) == pytest.approx(expected, rel=1e-11)


def test_output_entropy_agrees_with_every_case_of_the_tool(shared_data: Path) -> None:
    """All cases that NIST's tool was run on, vetted or not, and how little of full entropy it says is missing."""
    reference = json.loads((shared_data / "statistics" / "sp80090b_reference.json").read_text())
    assert len(reference["conditioning"]) >= 7
    for case in reference["conditioning"]:
        arguments = [int(case[name]) for name in ("n_in", "n_out", "nw", "h_in")]
        if "h'" in case:
            found = non_vetted(*arguments, float(case["h'"]))
            assert found.h_out == pytest.approx(float(case["(Non-vetted) h_out"]), rel=1e-12)
            continue
        found = vetted(*arguments)
        assert found.h_out == pytest.approx(float(case["(Vetted) h_out"]), rel=1e-12)
        if "epsilon" in case:
            assert found.missing_log2 == pytest.approx(float(case["epsilon"][3:-1]), rel=1e-12)


@pytest.mark.parametrize("h_measured, h_out", [(0.99, 253.44), (1.0, 255.744), (0.5, 128.0)])
def test_a_component_that_is_not_vetted_never_has_full_entropy(h_measured: float, h_out: float) -> None:
    """3.1.5.2: the least of the formula, .999 n_out and h' n_out; the first is a value of NIST's tool."""
    assert non_vetted(512, 256, 256, 300, h_measured).h_out == pytest.approx(h_out, rel=1e-15)


@pytest.mark.parametrize("arguments, h_out", [((5000, 4096, 4096, 100), 100.0), ((40_000, 4096, 4096, 0), 0.0)])
def test_wide_outputs_overflow_nothing(arguments: tuple[int, int, int, int], h_out: float) -> None:
    """Powers of two beyond the largest float: what goes in comes out."""
    assert output_entropy_bits(*arguments) == h_out


def test_what_is_missing_is_told_where_the_float_can_not() -> None:
    """At 151 bits more than the output's, the output is 256 bits to the last digit, and 2**-151 is still missing."""
    found = vetted(1024, 256, 256, 400)
    assert found.h_out == 256.0
    assert found.to_row()["missing_log2"] == pytest.approx(-151.4712336270551)


def test_a_share_that_is_none_is_refused() -> None:
    """A bit holds at most a bit."""
    with pytest.raises(InputRefused):
        non_vetted(512, 256, 256, 300, 1.5)


@pytest.mark.parametrize("n_in, h_in", [(0, 0), (8, 9), (8, -1), (8, math.nan)])
def test_impossible_input_entropy_is_refused(n_in: int, h_in: float) -> None:
    """Nothing holds more than its length."""
    with pytest.raises(InputRefused):
        output_entropy_bits(n_in, 256, 256, h_in)
