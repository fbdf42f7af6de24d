"""Both ways to take the counts: by arrays, which always are there, and by compiled loops."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from entropy_assets.core.sp800_90b import contexts, kernels, predictors, scoreboard, tuples
from entropy_assets.core.sp800_90b.iid import shuffles, statistics


@contextmanager
def by_arrays() -> Iterator[None]:
    """Leave the compiled loops out."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (contexts, kernels, predictors, scoreboard, shuffles, statistics, tuples):
            patch.setattr(module, "kernels", lambda: None)
        yield


@pytest.fixture(params=["arrays", "compiled"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run a test by arrays and by compiled loops."""
    if request.param == "compiled":
        pytest.importorskip("numba")
        assert kernels.kernels() is not None
        yield request.param
    else:
        with by_arrays():
            yield request.param
