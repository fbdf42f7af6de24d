"""Every reference value of SP 800-90B beside what is computed here, with the worst difference of each estimator.

``python -m benchmarks.sp800_90b_values FOLDER``: the folder holds `sp80090b_reference.json` and the files of symbols
that it names. The references are those that NIST's tool v1.1.8 prints (``ea_non_iid -vv`` and ``ea_iid -vv``).
"""

import argparse
import hashlib
import json
import math
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.sp800_90b.alphabets import numbered
from entropy_assets.core.sp800_90b.iid.chi_square import goodness_of_fit, independence
from entropy_assets.core.sp800_90b.iid.repeats import repeat_test
from entropy_assets.core.sp800_90b.non_iid import assess_non_iid

NAMES: Final = {
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
"""Names of the program, in the order of their sections."""
BITS: Final = {"rand4_short": 4, "rand8_short": 8, "truerand_8bit": 8, "sha256-counter-1M": 8}
"""Bits of a symbol, where it is not one."""
MOST: Final = 1e-10
"""Largest difference that is called equal."""

Row = tuple[str, str, float, float]
"""File, what, the program's value, ours."""


def symbols_of(folder: Path, name: str) -> npt.NDArray[np.uint8]:
    """Return the symbols of a file; those of the counter are made again by the recipe beside the references."""
    if name == "sha256-counter-1M":
        digests = (hashlib.sha256(b"imgrng-ref-1" + struct.pack("<Q", i)).digest() for i in range(31_250))
        return np.frombuffer(b"".join(digests)[:1_000_000], dtype=np.uint8)
    return np.fromfile(folder / f"{name}.bin", dtype=np.uint8)


def non_iid_rows(folder: Path, name: str, told: dict[str, Any]) -> Iterator[Row]:
    """Yield each estimate of a file, of symbols and of bits, and what is assessed."""
    found = assess_non_iid(symbols_of(folder, name), BITS.get(name, 1))
    for printed, ours in ((told["Literal"], found.literal), (told.get("Bitstring", {}), found.of_bits)):
        for estimator, values in printed.items():
            key = NAMES[estimator]
            mine = ours[key].min_entropy if key in ours else math.nan
            yield name, key, float(values["min entropy"]), mine
    yield name, "assessed", float(told["Assessed min entropy"]), found.h_i


def iid_rows(folder: Path, name: str, told: dict[str, Any]) -> Iterator[Row]:
    """Yield what the tests of 5.2 follow from, and their P-values, of a file."""
    places, alphabet = numbered(symbols_of(folder, name))
    for section, test in (("independence", independence), ("goodness of fit", goodness_of_fit)):
        printed, found = told["chi_square"][section], test(places, alphabet)
        yield name, f"{section}: T", float(printed["T"]), found.statistic
        yield (
            name,
            f"{section}: P-value",
            float(printed["P-value"]),
            math.nan if found.p_value is None else found.p_value,
        )
    repeats = repeat_test(places, alphabet)
    yield name, "longest repeat: W", float(told["lrs"]["W"]), float(repeats.longest)
    yield name, "longest repeat: Pr(X >= 1)", float(told["lrs"]["Pr(X >= 1)"]), repeats.p_value


def main() -> int:
    """Print the tables; fail if a value is farther off than is called equal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    reference = json.loads((folder / "sp80090b_reference.json").read_text())
    rows: list[Row] = []
    for name, told in reference["non_iid"].items():
        rows += non_iid_rows(folder, name, told["results"])
    for name, told in reference["iid"].items():
        rows += iid_rows(folder, name, told)
    print("## SP 800-90B: values\n")
    print("Estimates of symbols and of bits, and the tests of 5.2, beside what NIST's tool v1.1.8 prints.\n")
    print("| what | values | equal to 1e-10 | worst difference |\n|---|---:|---:|---:|")
    for what in dict.fromkeys(row[1] for row in rows):
        differences = [abs(theirs - ours) for _, one, theirs, ours in rows if one == what]
        equal = sum(difference <= MOST for difference in differences)
        print(f"| {what.replace('_', ' ')} | {len(differences)} | {equal} | {max(differences):.1e} |")
    print("\n| file | bits | assessed by the tool | here |\n|---|---:|---:|---:|")
    for name, what, theirs, ours in rows:
        if what == "assessed":
            print(f"| {name} | {BITS.get(name, 1)} | {theirs:.12f} | {ours:.12f} |")
    return int(not all(abs(theirs - ours) <= MOST for _, _, theirs, ours in rows))


if __name__ == "__main__":
    sys.exit(main())
