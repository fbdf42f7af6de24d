"""The non-IID track gives every value that NIST's tool prints, and says what its figure is worth."""

import json
from pathlib import Path
from typing import Any

import array_api_strict
import numpy as np
import pytest

from entropy_assets.core.sp800_90b.alphabets import bitstring, numbered
from entropy_assets.core.sp800_90b.estimators import Estimate
from entropy_assets.core.sp800_90b.non_iid import SECTIONS, assess_non_iid, counted
from entropy_assets.errors import InputRefused
from entropy_assets_tests.core.sp800_90b.references import BITS_PER_SYMBOL, LONG, SHORT, known, symbols_of

NAMES = {
    "Most Common Value": "most_common_value",
    "Collision": "collision",
    "Markov": "markov",
    "Compression": "compression",
    "t-Tuple": "t_tuple",
    "LRS": "repeated_substring",
    "MultiMCW Prediction": "multi_mcw",
    "Lag Prediction": "lag",
    "MultiMMC Prediction": "multi_mmc",
    "LZ78Y Prediction": "lz78y",
}
VALUES = {
    "Mode count": "mode_count",
    "p-hat": "p_hat",
    "p_u": "p_u",
    "v": "v",
    "Sum t_i": "sum_t",
    "X-bar": "x_bar",
    "sigma-hat": "sigma_hat",
    "X-bar'": "x_bar_bound",
    "p": "p",
    "P_0": "p_0",
    "P_1": "p_1",
    "P_{0,0}": "p_00",
    "P_{0,1}": "p_01",
    "P_{1,0}": "p_10",
    "P_{1,1}": "p_11",
    "p-hat_max": "p_max",
    "t": "t",
    "u": "u",
    "C": "c",
    "r": "r",
    "N": "n",
    "P_global": "p_global",
    "P_global'": "p_global_bound",
    "P_local": "p_local",
}


def agree(found: dict[str, Estimate], told: dict[str, dict[str, Any]]) -> None:
    """Hold every estimate and every value behind it to what the tool printed."""
    assert set(found) == {NAMES[name] for name in told}
    for name, printed in told.items():
        estimate = found[NAMES[name]]
        assert estimate.min_entropy == pytest.approx(float(printed["min entropy"]), abs=1e-10), name
        values = {VALUES[key]: value for key, value in printed.items() if key in VALUES}
        assert set(estimate.values) == set(values), name
        for key, value in values.items():
            assert estimate.values[key] == pytest.approx(float(value), abs=1e-10), (name, key)


def hold_to_the_tool(shared_data: Path, name: str) -> None:
    told = known(shared_data)["non_iid"][name]["results"]
    found = assess_non_iid(symbols_of(shared_data, name), BITS_PER_SYMBOL[name])
    agree(found.literal, told["Literal"])
    agree(found.of_bits, told.get("Bitstring", {}))
    assert found.h_i == pytest.approx(float(told["Assessed min entropy"]), abs=1e-10)
    assert found.h_original == pytest.approx(float(told["H_original"]), abs=1e-10)
    assert (found.samples, found.alphabet) == (told["samples"], told["alphabet"])
    if "H_bitstring" in told:
        assert found.h_bitstring == pytest.approx(float(told["H_bitstring"]), abs=1e-10)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", SHORT)
def test_every_value_of_the_tool_on_short_files(shared_data: Path, name: str) -> None:
    """Of symbols and of bits, as the tool's -vv prints them, to 1e-10."""
    hold_to_the_tool(shared_data, name)


@pytest.mark.slow
@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", LONG)
def test_every_value_of_the_tool_on_a_million_samples(shared_data: Path, name: str) -> None:
    """The same where the dictionaries of MultiMMC and LZ78Y are full, and of eight million bits."""
    hold_to_the_tool(shared_data, name)


@pytest.mark.parametrize("name", [*SHORT, *(pytest.param(name, marks=pytest.mark.slow) for name in LONG)])
def test_counts_by_the_standard_alone_give_every_value_of_the_tool(shared_data: Path, name: str) -> None:
    """6.3.1 to 6.3.6, of symbols and of bits that lie where a card would have them: the floats too, to the last bit."""
    told, bits = known(shared_data)["non_iid"][name]["results"], BITS_PER_SYMBOL[name]
    literal, alphabet = numbered(symbols_of(shared_data, name))
    sides = [("Literal", literal, alphabet)]
    if "Bitstring" in told:
        sides.append(("Bitstring", bitstring(symbols_of(shared_data, name), bits), 2))
    for side, symbols, kinds in sides:
        found = counted(array_api_strict.asarray(symbols), kinds, are_bits=kinds == 2)
        assert found == counted(symbols, kinds, are_bits=kinds == 2)
        made = {name: estimate for name, estimate in found.items() if estimate is not None}
        agree(made, {title: told[side][title] for title in told[side] if NAMES[title] in found})


def test_the_least_decides_and_is_named() -> None:
    """3.1.3: H_original, n times H_bitstring or H_submitter."""
    symbols = np.random.default_rng(3).integers(0, 16, 4000, dtype=np.uint8)
    free = assess_non_iid(symbols, 4)
    assert free.h_bitstring is not None
    assert free.h_i == min(free.h_original, 4 * free.h_bitstring)
    assert free.decided_by == "of_bits.compression"
    claimed = assess_non_iid(symbols, 4, h_submitter=0.5)
    assert (claimed.h_i, claimed.decided_by) == (0.5, "h_submitter")
    runs = assess_non_iid(np.repeat(symbols[:2000], 2), 4)
    assert runs.decided_by.startswith("literal.")
    assert json.loads(json.dumps(claimed.to_row()))["h_i"] == 0.5
    assert list(free.of_bits) == list(SECTIONS)


def test_fewer_samples_than_the_standard_wants_are_told() -> None:
    """3.1.1 item 1."""
    symbols = np.random.default_rng(4).integers(0, 2, 1_000_000, dtype=np.uint8)
    assert assess_non_iid(symbols, 1).enough_samples
    assert not assess_non_iid(symbols[:1000], 1).to_row()["enough_samples"]


def test_one_symbol_has_no_entropy() -> None:
    """Whatever is claimed."""
    found = assess_non_iid(np.full(100, 7, dtype=np.uint8), 8, h_submitter=3.0)
    assert (found.h_i, found.alphabet, found.decided_by) == (0.0, 1, "alphabet")


def test_wide_symbols_of_which_two_occur_are_bits() -> None:
    """As in NIST's tool: they have all ten estimates as symbols, and no bitstring."""
    bits = np.random.default_rng(5).integers(0, 2, 7000, dtype=np.uint8)
    found = assess_non_iid(bits * np.uint8(200), 8)
    assert found.literal == assess_non_iid(bits, 1).literal
    assert found.of_bits == {}
    assert len(found.literal) == 10


@pytest.mark.parametrize(
    "symbols, bits",
    [
        (np.zeros(1, np.uint8), 1),
        (np.full(9, 4, np.uint8), 2),
        (np.zeros(9, np.uint16), 8),
        (np.zeros((3, 3), np.uint8), 8),
        (np.zeros(9, np.uint8), 0),
        (np.zeros(9, np.uint8), 9),
    ],
)
def test_what_is_no_sequence_of_such_symbols_is_refused(symbols: np.ndarray, bits: int) -> None:
    """Nothing is masked or cut in silence."""
    with pytest.raises(InputRefused):
        assess_non_iid(symbols, bits)


@pytest.mark.parametrize("bits, total", [(1, 10), (3, 17)])
def test_each_estimator_is_told_when_it_is_made(bits: int, total: int) -> None:
    """Of bits there are ten; of wider symbols seven, and ten of their bits. What is raised stops it."""
    symbols = np.random.default_rng(5).integers(0, 1 << bits, 2000, dtype=np.uint8)
    told: list[tuple[int, int]] = []
    assess_non_iid(symbols, bits, progress=lambda done, of: told.append((done, of)))
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1] == (total, total)
    assert {of for _, of in told} == {total}

    def stop(done: int, of: int) -> None:
        raise KeyboardInterrupt(done, of)

    with pytest.raises(KeyboardInterrupt):
        assess_non_iid(symbols, bits, progress=stop)
