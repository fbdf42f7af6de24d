"""What is remembered comes back from the row that it is told by."""

import math

from hypothesis import given
from hypothesis import strategies as st

from entropy_assets.core.credit.elsewhere.recollection import Recollection

PARTS = st.integers(0, 10_000)


@given(
    st.builds(
        Recollection,
        frames=st.integers(0, 99),
        known_parts=PARTS,
        cells=st.just(()) | st.tuples(*[PARTS] * 16),
        of=st.none() | st.text(min_size=1),
        orientation=st.integers(0, 7),
        shift=st.tuples(st.integers(0, 127), st.integers(0, 127)),
        together=st.lists(st.text(min_size=1)).map(tuple),
        left_parts=st.none() | PARTS,
        made=st.none() | st.text(min_size=1),
    )
)
def test_every_recollection_comes_back_from_its_row(found: Recollection) -> None:
    assert Recollection.from_row(found.to_row()) == found


def test_more_is_known_where_less_is_left_of_a_few_values() -> None:
    ranks = [Recollection(1, 5000, left_parts=left).rank for left in (None, 90, 30)]
    assert ranks == sorted(ranks)
    assert Recollection(1, 5001).rank > ranks[-1]
    assert ranks[0] == (5000, -math.inf)
