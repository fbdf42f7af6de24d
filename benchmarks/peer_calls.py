"""What another package says of a file, by its public interface: one line of JSON a test, as soon as it is done.

``PYTHON -I benchmarks/peer_calls.py PACKAGE FILE [BITS]``, with the interpreter of an environment that has the package
and need not have this project: `peers.py` starts it. Nothing of the packages is here but names of what they offer.
"""

import importlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

Calls = dict[str, Callable[[], Any]]
"""What to call, by the name that this project has for it."""


def unpacked(data: bytes) -> bytes:
    """Return a byte, 0 or 1, for each bit, the most significant first."""
    return bytes(byte >> (7 - i) & 1 for byte in data for i in range(8))


def nistrng(data: bytes) -> Calls:
    """Return the calls of nistrng, which gives one score a test.

    Its sums are of the type that its input has: 64-bit integers are given, since those of its own `pack_sequence` hold
    8 bits and overflow.
    """
    package, numpy = importlib.import_module("nistrng"), importlib.import_module("numpy")
    battery, bits = package.SP800_22R1A_BATTERY, numpy.frombuffer(unpacked(data), dtype=numpy.uint8).astype(numpy.int64)
    names = {
        "frequency": "monobit",
        "block_frequency": "frequency_within_block",
        "runs": "runs",
        "longest_run": "longest_run_ones_in_a_block",
        "rank": "binary_matrix_rank",
        "spectral": "dft",
        "non_overlapping_template": "non_overlapping_template_matching",
        "overlapping_template": "overlapping_template_matching",
        "universal": "maurers_universal",
        "cumulative_sums": "cumulative sums",
        "random_excursions": "random_excursion",
        "random_excursions_variant": "random_excursion_variant",
        "serial": "serial",
        "approximate_entropy": "approximate_entropy",
        "linear_complexity": "linear_complexity",
    }

    def call(name: str) -> Callable[[], Any]:
        return lambda: package.run_by_name_battery(name, bits, battery, check_eligibility=False)[0].score

    return {ours: call(name) for ours, name in names.items()}


def sp80022suite(data: bytes) -> Calls:
    """Return the calls of sp80022suite, which gives one P-value a test; the templates it reads from ``./templates``."""
    package, bits = importlib.import_module("sp80022suite"), unpacked(data)
    return {
        "frequency": lambda: package.frequency(bits),
        "block_frequency": lambda: package.block_frequency(128, bits),
        "runs": lambda: package.runs(bits),
        "longest_run": lambda: package.longest_run_of_ones(bits),
        "rank": lambda: package.rank(bits),
        "spectral": lambda: package.discrete_fourier_transform(bits),
        "non_overlapping_template": lambda: package.non_overlapping_template_matchings(9, bits),
        "overlapping_template": lambda: package.overlapping_template_matchings(9, bits),
        "universal": lambda: package.universal(bits),
        "linear_complexity": lambda: package.linear_complexity(500, bits),
        "serial": lambda: package.serial(16, bits),
        "approximate_entropy": lambda: package.approximate_entropy(10, bits),
        "cumulative_sums": lambda: package.cumulative_sums(bits),
        "random_excursions": lambda: package.random_excursions(bits),
        "random_excursions_variant": lambda: package.random_excursions_variant(bits),
    }


def nist80022(data: bytes) -> Calls:
    """Return the calls of nist80022, which gives lists of name, P-value, verdict; one template a call, one is tried."""
    bits = "".join("01"[bit] for bit in unpacked(data))

    def call(module: str, of: str, function: str, *modes: dict[str, int]) -> Callable[[], Any]:
        found = getattr(getattr(importlib.import_module(f"nist80022.{module}"), of), function)
        return lambda: [row[1] for mode in (modes or ({},)) for row in found(bits, **mode)]

    return {
        "frequency": call("FrequencyTest", "FrequencyTest", "monobit_test"),
        "block_frequency": call("FrequencyTest", "FrequencyTest", "block_frequency"),
        "runs": call("RunTest", "RunTest", "run_test"),
        "longest_run": call("RunTest", "RunTest", "longest_one_block_test"),
        "rank": call("Matrix", "Matrix", "binary_matrix_rank_text"),
        "spectral": call("Spectral", "SpectralTest", "spectral_test"),
        "non_overlapping_template": call("TemplateMatching", "TemplateMatching", "non_overlapping_test"),
        "overlapping_template": call("TemplateMatching", "TemplateMatching", "overlapping_patterns"),
        "universal": call("Universal", "Universal", "statistical_test"),
        "serial": call("Serial", "Serial", "serial_test"),
        "approximate_entropy": call("ApproximateEntropy", "ApproximateEntropy", "approximate_entropy_test"),
        "cumulative_sums": call("CumulativeSum", "CumulativeSums", "cumulative_sums_test", {"mode": 0}, {"mode": 1}),
        "random_excursions": call("RandomExcursions", "RandomExcursions", "random_excursions_test"),
        "random_excursions_variant": call("RandomExcursions", "RandomExcursions", "variant_test"),
        "linear_complexity": call("Complexity", "ComplexityTest", "linear_complexity_test"),
    }


def coinflip(data: bytes) -> Calls:
    """Return the calls of coinflip, whose results have `p` or `pvalues`; parameters are those of sts-2.1.2."""
    package, pandas = importlib.import_module("coinflip.randtests"), importlib.import_module("pandas")
    bits = pandas.Series(list(unpacked(data)))

    def call(name: str, *ways: dict[str, Any]) -> Callable[[], Any]:
        def run() -> list[float]:
            results = [getattr(package, name)(bits, **way) for way in (ways or ({},))]
            return [p for one in results for p in (one.pvalues if hasattr(one, "pvalues") else [one.p])]

        return run

    return {
        "frequency": call("monobit"),
        "block_frequency": call("frequency_within_block", {"blocksize": 128}),
        "runs": call("runs"),
        "longest_run": call("longest_runs"),
        "rank": call("binary_matrix_rank", {"matrix_dimen": (32, 32)}),
        "spectral": call("spectral"),
        "universal": call("maurers_universal"),
        "serial": call("serial", {"blocksize": 16}),
        "approximate_entropy": call("approximate_entropy", {"blocksize": 10}),
        "cumulative_sums": call("cusum", {"reverse": False}, {"reverse": True}),
        "random_excursions": call("random_excursions"),
        "random_excursions_variant": call("random_excursions_variant"),
        "overlapping_template": call("overlapping_template_matching", {"template_size": 9, "blocksize": 1032}),
        "linear_complexity": call("linear_complexity", {"blocksize": 500}),
        "non_overlapping_template": call("non_overlapping_template_matching", {"template_size": 9}),
    }


def sp800_90b(data: bytes, bits: int) -> Calls:
    """Return the calls of sp800-90b, one symbol a byte: estimates of the symbols and, of wider ones, of their bits."""
    samples = importlib.import_module("sp800_90b").Data(data, bits)
    names = {
        "most_common_value": "most_common",
        "t_tuple, repeated_substring": "t_tuple_and_lrs",
        "multi_mcw": "multi_most_common",
        "lag": "lag_prediction",
        "multi_mmc": "multi_markov",
        "lz78y": "lz78y",
    }
    of_bits = {**names, "collision": "collision", "markov": "markov", "compression": "compression"}
    views = (
        {"literal": ("h_", of_bits)} if bits == 1 else {"literal": ("h_", names), "of_bits": ("h_bitstring_", of_bits)}
    )
    return {
        f"{view}: {ours}": getattr(samples, prefix + name)
        for view, (prefix, asked) in views.items()
        for ours, name in asked.items()
    }


PACKAGES: dict[str, Callable[..., Calls]] = {
    "sp80022suite": sp80022suite,
    "nist80022": nist80022,
    "nistrng": nistrng,
    "coinflip": coinflip,
    "sp800-90b": sp800_90b,
}
"""Packages by the name that the index has for them."""


def numbers(said: Any) -> list[float]:
    """Return what a package said as numbers, NaN where it has none."""
    return [float(x) for x in said] if isinstance(said, Iterable) else [math.nan if said is None else float(said)]


def rows(calls: Calls) -> Iterator[dict[str, Any]]:
    """Give a row for each call: what it returned or why not, and its CPU seconds."""
    for name, call in calls.items():
        start = time.process_time()
        try:
            row: dict[str, Any] = {"values": numbers(call())}
        except Exception as error:  # noqa: BLE001 - whatever another package raises is what it says of the file
            row = {"values": [], "why": f"{type(error).__name__}: {error}".strip()}
        yield {"test": name, "cpu_s": time.process_time() - start, **row}


def main(name: str, file: str, *bits: str) -> int:
    """Print the versions and then the rows."""
    try:
        versions = {name: version(name)}
    except PackageNotFoundError:
        print(json.dumps({"missing": "it is not installed"}))
        return 0
    print(json.dumps({"python": sys.version.split()[0], "versions": versions}), flush=True)
    for row in rows(PACKAGES[name](Path(file).read_bytes(), *map(int, bits))):
        print(json.dumps(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
