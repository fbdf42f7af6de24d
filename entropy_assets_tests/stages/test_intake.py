"""Intake: every file comes to its turn, in groups within the limits of a batch."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from entropy_assets.stages.intake import first_group
from entropy_assets.stores.inbox import ReadyFile


def ready(*sizes: int) -> list[ReadyFile]:
    return [ReadyFile(f"f{i}", Path(f"f{i}"), size, i) for i, size in enumerate(sizes)]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.integers(1, 8), st.integers(1, 120))
def test_groups_keep_order_and_limits_and_never_stop(sizes: list[int], max_files: int, max_bytes: int) -> None:
    """Every file comes to its turn, also one that is larger than a whole batch may be."""
    files = ready(*sizes)
    seen = []
    while files:
        group = first_group(files, max_files, max_bytes)
        assert 1 <= len(group) <= max_files
        assert len(group) == 1 or sum(file.size for file in group) <= max_bytes
        seen += group
        files = files[len(group) :]
    assert seen == ready(*sizes)
