"""A verdict says what the tests found, and nothing else decides it."""

import hashlib
import json
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.validation.block_tests import TESTS, sidak
from entropy_assets.core.validation.validator import EntropyValidator
from entropy_assets.errors import InputRefused, InputTooShort
from entropy_assets_tests.core.validation.defects import good


@pytest.fixture
def block():
    return good(np.random.Generator(np.random.PCG64(7)), 1, 4096).tobytes()


def test_a_verdict_has_the_names_of_the_mission(block):
    """Shannon entropy in bits per byte, three P-values, and whether the block passed, as plain JSON."""
    verdict = EntropyValidator().validate(block)
    assert {"shannon_entropy", "chi_square", "runs", "autocorrelation", "p_star", "score", "passed"} <= set(verdict)
    assert 7.9 < verdict["shannon_entropy"] <= 8.0
    assert verdict["passed"] is True
    assert verdict["length"] == 4096
    assert verdict["reasons"] == []
    assert all(0 < verdict[name] <= 1 for name in (*TESTS[1:], "shannon_entropy_p", "p_star"))
    assert json.loads(json.dumps(verdict)) == verdict


def test_the_family_value_is_that_of_three_votes(block):
    """Shannon entropy has a P-value but no vote: chi-square already counts the same bytes."""
    verdict = EntropyValidator().validate(block)
    least = min(verdict[name] for name in ("chi_square", "runs", "autocorrelation"))
    assert verdict["p_star"] == pytest.approx(1 - (1 - least) ** 3)


def test_a_block_and_its_batch_agree():
    """One block alone and the same block in a batch get the same row."""
    blocks = good(np.random.Generator(np.random.PCG64(8)), 5, 700)
    rows = EntropyValidator().validate_blocks(blocks).to_rows()
    assert rows == [EntropyValidator().validate(block.tobytes()) for block in blocks]


def test_a_hashed_counter_passes_every_test():
    """Zero entropy, perfect statistics: why nothing here is ever called proof of entropy."""
    hashed = b"".join(hashlib.sha256(i.to_bytes(8, "big")).digest() for i in range(128 * 40))
    verdicts = EntropyValidator().validate_blocks(np.frombuffer(hashed, np.uint8).reshape(40, 4096))
    assert verdicts.passed.all()
    assert (verdicts.score == 10).mean() > 0.9


@pytest.mark.parametrize("length", [0, 1, 32, 127])
def test_short_input_is_refused_with_both_lengths(length):
    """Too short to say anything is an error, not a pass."""
    with pytest.raises(InputTooShort) as refusal:
        EntropyValidator().validate(bytes(length))
    assert refusal.value.data == {"length": length, "shortest": 128}


@pytest.mark.parametrize("blocks", [np.zeros((2, 4096)), np.zeros(4096, np.uint8), np.zeros((1, 2, 256), np.uint8)])
def test_what_is_no_table_of_bytes_is_refused(blocks):
    """Other types and shapes are not silently cast."""
    with pytest.raises(InputRefused):
        EntropyValidator().validate_blocks(blocks)


def test_no_blocks_give_no_rows():
    """An empty batch is data, not an error."""
    verdicts = EntropyValidator().validate_blocks(np.empty((0, 4096), np.uint8))
    assert len(verdicts) == 0
    assert verdicts.to_rows() == []


def test_the_floor_rejects_on_its_own_where_it_applies(monkeypatch):
    """7.8 bits per byte is a rule beside the family value, at 4096 bytes and not at 1024."""
    long, short = (good(np.random.Generator(np.random.PCG64(9)), 1, n) for n in (4096, 1024))
    monkeypatch.setattr("entropy_assets.core.validation.validator.SHANNON_FLOOR_BITS", 7.999)
    verdict = EntropyValidator().validate(long.tobytes())
    assert (verdict["passed"], verdict["below_floor"], verdict["reasons"]) == (False, True, ["shannon_entropy"])
    assert verdict["p_star"] > 1e-3
    verdict = EntropyValidator().validate(short.tobytes())
    assert (verdict["passed"], verdict["below_floor"]) == (True, False)


def test_perfect_short_blocks_pass_although_7_8_is_beyond_them():
    """No 256-byte block can reach 7.8 bits per byte; good ones pass all the same."""
    verdicts = EntropyValidator().validate_blocks(good(np.random.Generator(np.random.PCG64(10)), 500, 256))
    assert verdicts.values.shannon_bits.max() < 7.8
    assert verdicts.passed.all()


# -------------------------------------------------------------------------------------------------------------- suites


def first_byte(block):
    return {"first_byte": (block[0] + 0.5) / 256}


def test_further_suites_vote(block):
    """The P-values of a suite join the verdict, and the family grows by their number."""
    verdict = EntropyValidator([first_byte, lambda block: {"constant": 1e-9, "other": 0.5}]).validate(block)
    assert verdict["first_byte"] == (block[0] + 0.5) / 256
    assert verdict["p_star"] == pytest.approx(float(sidak(np.array([1e-9]), 6)[0]))
    assert verdict["passed"] is False
    assert verdict["score"] == 0.0
    assert verdict["reasons"] == ["constant"]


def test_a_suite_sees_every_block(block):
    """Columns of a suite stand beside those of the four tests."""
    blocks = np.frombuffer(block, np.uint8).reshape(16, 256)
    verdicts = EntropyValidator([first_byte]).validate_blocks(blocks)
    assert verdicts.p_values["first_byte"].tolist() == [(row[0] + 0.5) / 256 for row in blocks.tolist()]


@pytest.mark.parametrize("bad", [{"x": -0.1}, {"x": 1.1}, {"x": math.nan}, {"runs": 0.5}, {"first_byte": 0.5}])
def test_a_suite_that_returns_no_p_value_is_refused(block, bad):
    """Out of range, not a number, or a name that is taken: an error, since a wrong suite must not pass blocks."""
    with pytest.raises(InputRefused):
        EntropyValidator([first_byte, lambda _: bad]).validate(block)


def test_a_suite_whose_names_change_is_refused():
    """Every block must be judged by the same tests."""
    blocks = np.stack([np.zeros(256, np.uint8), np.ones(256, np.uint8)])
    with pytest.raises(InputRefused):
        EntropyValidator([lambda block: {f"name {block[0]}": 0.5}]).validate_blocks(blocks)


def test_an_error_inside_a_suite_is_not_swallowed(block):
    """Nobody passes because a test crashed."""
    with pytest.raises(ZeroDivisionError):
        EntropyValidator([lambda _: {"x": 1 / 0}]).validate(block)


@pytest.mark.parametrize("m, n", [(4096, 4096), (1, 1 << 24), (60_000, 256)])
@pytest.mark.slow
def test_memory_stays_under_64_mb_above_the_input(m, n):
    """Many blocks, one huge block, many short ones: working memory is bounded."""
    blocks = good(np.random.Generator(np.random.PCG64(11)), m, n)
    EntropyValidator().validate_blocks(blocks[:1])
    tracemalloc.start()
    try:
        EntropyValidator().validate_blocks(blocks)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64e6


@given(st.sampled_from([128, 131, 256]).flatmap(lambda n: st.binary(min_size=n, max_size=n)))
@settings(max_examples=60, deadline=None)
def test_any_bytes_get_a_verdict(data):
    """Whatever the bytes, every number of the verdict is finite and in range."""
    verdict = EntropyValidator().validate(data)
    assert all(0 <= verdict[name] <= 1 for name in (*TESTS[1:], "shannon_entropy_p", "p_star", "runs_sp80022"))
    assert 0 <= verdict["score"] <= 10
    assert -1e-9 <= verdict["shannon_entropy"] <= 8
    assert math.isfinite(verdict["worst_lag_z"])
