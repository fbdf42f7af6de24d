"""The suite of SP 800-22 votes on blocks, always by the same names for one length."""

import numpy as np
import pytest

from entropy_assets.core.sp800_22.suite import run_suite
from entropy_assets.core.validation.standard_suite import BY_THE_BITS, PREFIX, sp800_22_suite
from entropy_assets.core.validation.validator import EntropyValidator
from entropy_assets.core.validation.verdicts import REJECT_BELOW
from entropy_assets.errors import InputRefused
from entropy_assets_tests.core.validation.defects import biased, good

AT_4096 = [
    *("frequency", "block_frequency", "runs", "longest_run", "spectral"),
    *("cumulative_sums_forward", "cumulative_sums_backward"),
]


def generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def test_good_blocks_pass_with_more_votes():
    """Seven P-values more at 4,096 bytes, those of the suite on the block, and p* by all ten."""
    blocks = good(generator(1), 20, 4096)
    verdicts = EntropyValidator(suites=[sp800_22_suite()]).validate_blocks(blocks)
    assert [name for name in verdicts.p_values if name.startswith(PREFIX)] == [f"{PREFIX}{name}" for name in AT_4096]
    assert verdicts.passed.all()
    [alone] = run_suite(blocks[3].tobytes(), tests=["spectral"])["spectral"].p_values
    assert verdicts.p_values["sp800_22_spectral"][3] == alone.p
    voting = np.stack([p for name, p in verdicts.p_values.items() if name != "shannon_entropy"])
    assert len(voting) == 10
    assert verdicts.p_star == pytest.approx(1 - (1 - voting.min(axis=0)) ** 10)


def test_a_defect_that_only_the_suite_sees_is_found():
    """Bits of period 96: bytes are even, lags of the validator end before, and the spectrum stands on few peaks."""
    row = generator(2).integers(0, 256, 12, np.uint8)
    block = np.resize(np.concatenate([row, ~row]), 4096)
    alone, voting = EntropyValidator(), EntropyValidator(suites=[sp800_22_suite(tests=["spectral"])])
    assert voting.validate(block.tobytes())["p_star"] < REJECT_BELOW
    assert "sp800_22_spectral" not in alone.validate(block.tobytes())


def test_the_names_are_settled_by_the_length_alone():
    """Also for a block of too many ones, to which the runs test isn't applicable: it votes 1 there."""
    suite = sp800_22_suite()
    odd = biased(0.6)(generator(3), 1, 4096)[0].tobytes()
    even = good(generator(3), 1, 4096)[0].tobytes()
    assert suite(odd).keys() == suite(even).keys()
    assert suite(odd)["sp800_22_runs"] == 1.0
    assert suite(odd)["sp800_22_frequency"] < 1e-20


@pytest.mark.parametrize("length, votes", [(128, 7), (8192, 9), (32_768, 9 + 148)])
def test_longer_blocks_have_more_votes(length, votes):
    """Ranks and approximate entropy from 65,536 bits on, templates where their small P-values are as rare as said."""
    block = good(generator(4), 1, length)[0].tobytes()
    assert len(sp800_22_suite()(block)) == votes


def test_what_depends_on_the_bits_has_no_vote():
    with pytest.raises(InputRefused, match="no vote"):
        sp800_22_suite(tests=BY_THE_BITS)
    with pytest.raises(ValueError, match="no test of SP 800-22"):
        sp800_22_suite(tests=["entropy"])
    with pytest.raises(InputRefused, match="no test of SP 800-22 is applicable to 128 bytes"):
        sp800_22_suite(tests=["universal"])(bytes(128))
