"""The verdicts of all batches in one table: small deviations that no batch shows add up here (SP 800-22 4.2)."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

from entropy_assets.core.sp800_22.second_level.tails import ALPHA, LEAST_FOR_UNIFORMITY, binomial_p, uniformity_p
from entropy_assets.core.validation.block_tests import TESTS
from entropy_assets.errors import brought_by
from entropy_assets.stages.state import Stage, stage_of
from entropy_assets.stages.verdicts import VerdictRow, verdicts_of
from entropy_assets.stores.batches import Batch
from entropy_assets.stores.removals import BatchRemoved

with brought_by("dagster"):
    import pandas as pd

COLUMNS: Final = ["batch", "block_id", "p_star", "score", "quality", "passed", *TESTS]


def verdict_history(batches: Iterable[Batch]) -> pd.DataFrame:
    """Return one row per tested block of `batches`, with the P-value of each test; of those that are still there."""
    rows: list[dict[str, Any]] = []
    for batch in batches:
        verdicts: list[VerdictRow] = []
        with suppress(BatchRemoved):  # a moment ago
            verdicts = verdicts_of(batch)["rows"] if stage_of(batch) is Stage.VALIDATED else []
        # A row has the entropy itself, in bits per byte, under the test's own name.
        rows += [{"batch": batch.key, **row, "shannon_entropy": row["shannon_entropy_p"]} for row in verdicts]
    return pd.DataFrame(rows, columns=COLUMNS)


def long_run_report(history: pd.DataFrame) -> pd.DataFrame:
    """Return what the P-values of each test say over the life of the stream.

    Returns
    -------
    pandas.DataFrame
        By test: ``blocks``, ``smallest_p``, ``proportion`` passing at alpha = 0.01, ``proportion_p`` (exact binomial,
        two-sided) and ``uniformity_p`` (10 bins; missing below 55 blocks), and ``corrected_p``, the smaller of the two
        times their number over all tests (Bonferroni).
    """
    report = pd.DataFrame(
        {
            "blocks": history[list(TESTS)].count(),
            "smallest_p": history[list(TESTS)].min(),
            "proportion": (history[list(TESTS)] >= ALPHA).mean(),
        }
    )
    report["proportion_p"] = [binomial_p(int((history[test] < ALPHA).sum()), len(history), ALPHA) for test in TESTS]
    enough = len(history) >= LEAST_FOR_UNIFORMITY
    report["uniformity_p"] = [uniformity_p(history[test].to_numpy(float)) if enough else None for test in TESTS]
    smallest = report[["proportion_p", "uniformity_p"]].astype(float).min(axis=1)
    report["corrected_p"] = (smallest * 2 * len(TESTS)).clip(upper=1.0)
    return report
