"""The files that NIST's tool was run on, and what it said of them (usnistgov/SP800-90B_EntropyAssessment v1.1.8)."""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BITS_PER_SYMBOL = {
    "rand1_short": 1,
    "rand4_short": 4,
    "rand8_short": 8,
    "truerand_1bit": 1,
    "biased-random-bits": 1,
    "truerand_8bit": 8,
    "sha256-counter-1M": 8,
}
SHORT = ("rand1_short", "rand4_short", "rand8_short")
LONG = tuple(name for name in BITS_PER_SYMBOL if name not in SHORT)
IID_FILES = tuple(name for name in BITS_PER_SYMBOL if name != "sha256-counter-1M")
"""Those that the IID track was run on too."""
LONG_ARE_SLOW = [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in IID_FILES]


def known(shared_data: Path) -> dict[str, Any]:
    """Give all that is known."""
    reference: dict[str, Any] = json.loads((shared_data / "statistics" / "sp80090b_reference.json").read_text())
    return reference


def symbols_of(shared_data: Path, name: str) -> np.ndarray:
    """Give the symbols of a file; those of the counter are made again by the recipe that stands beside them."""
    if name == "sha256-counter-1M":
        digests = (hashlib.sha256(b"imgrng-ref-1" + struct.pack("<Q", i)).digest() for i in range(31_250))
        return np.frombuffer(b"".join(digests)[:1_000_000], dtype=np.uint8)
    return np.fromfile(shared_data / "statistics" / f"{name}.bin", dtype=np.uint8)
