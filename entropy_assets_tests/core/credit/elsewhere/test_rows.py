"""The newest rows lie in one piece, in the order in which they came, however many were dropped."""

import numpy as np

from entropy_assets.core.credit.elsewhere.rows import SPARE, NewestRows


def test_the_newest_rows_are_kept_in_order() -> None:
    rows = NewestRows(5)
    for number in range(3 * SPARE):
        rows.add(np.full(2, number, dtype=np.float32))
        assert rows.all[:, 0].tolist() == list(range(max(0, number - 4), number + 1))
    assert rows.all.flags.c_contiguous
