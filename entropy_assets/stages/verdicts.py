"""The verdicts that a batch keeps: what ``verdicts.json`` holds, by name."""

import math
from typing import Any, Final, TypedDict, cast

from entropy_assets.core import encoding
from entropy_assets.stores.batches import VERDICTS, Batch

FLOAT_TOLERANCE: Final = 1e-6
"""Allowed difference of a recomputed statistic, as a share of it: last digits differ between releases of SciPy."""


class VerdictRow(TypedDict):
    """What the tests say of one block: its id and quality beside the columns of `BlockVerdicts.to_rows`.

    P-values stand under the names of their tests, but that of ``shannon_entropy``, which is the entropy itself in bits
    per byte.
    """

    block_id: str
    length: int
    shannon_entropy: float
    shannon_entropy_p: float
    chi_square: float
    runs: float
    autocorrelation: float
    p_star: float
    score: float
    quality: float
    passed: bool
    warned: bool
    below_floor: bool
    chi_square_statistic: float
    ones: int
    runs_count: int
    runs_sp80022: float
    worst_lag: int
    worst_lag_z: float
    reasons: list[str]


class Verdicts(TypedDict):
    """What the tests say of a batch.

    Attributes
    ----------
    chain_head
        Last link of its chain, hex.
    released
        Ids of the blocks that may be published, in the order of the chain; none if the batch fails as a whole.
    report
        `BatchReport.to_row`: the tests over the whole batch.
    rows
        One per block, in the order of the chain.
    """

    chain_head: str
    released: list[str]
    report: dict[str, Any]
    rows: list[VerdictRow]


def is_same_figure(told: Any, again: object) -> bool:
    """Tell whether what was told is what is computed again, as JSON: 1, 1.0 and true are three values."""
    if isinstance(again, float):
        return isinstance(told, float) and math.isclose(told, again, rel_tol=FLOAT_TOLERANCE)
    return encoding.canonical_json(told) == encoding.canonical_json(again)


def verdicts_of(batch: Batch) -> Verdicts:
    """Return the verdicts of `batch`, as they were kept.

    Raises
    ------
    BatchError
        If it has none yet, or they can't be read.
    """
    return cast(Verdicts, batch.read_json(VERDICTS))
