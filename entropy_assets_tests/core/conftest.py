"""The array API standard, made as strict as CuPy is beside it: what passes here fails on no card by its type."""

import functools
from collections.abc import Iterator
from typing import Any

import array_api_strict
import pytest


def refused(self: object, *args: object, **named: object) -> Any:
    """Take the place of what would move an array to memory without saying so."""
    raise TypeError("implicit conversion to a NumPy array or an index is not allowed")


@pytest.fixture(scope="session", autouse=True)
def as_strict_as_cupy() -> Iterator[None]:
    """Refuse what CuPy refuses and the standard allows: conversions, and steps that the asked type does not hold."""
    arange = array_api_strict.arange

    @functools.wraps(arange)
    def typed(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, **named: Any) -> Any:
        if dtype is not None and array_api_strict.isdtype(dtype, "integral"):
            held = array_api_strict.iinfo(dtype)
            if not held.min <= step <= held.max:
                raise OverflowError(f"{dtype} holds no {step}")
        return arange(start, stop, step, dtype=dtype, **named)

    kind = type(array_api_strict.asarray([0]))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("__array__", "__buffer__", "__index__"):
            patch.setattr(kind, name, refused, raising=False)
        patch.setattr(array_api_strict, "arange", typed)
        yield
