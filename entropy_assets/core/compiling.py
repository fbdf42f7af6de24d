"""How the loops of the ``compiled`` folders are compiled; only they load it.

Without numba that raises `ExtraMissing`.
"""

from typing import Any, Final

from entropy_assets.errors import brought_by

with brought_by("sp800"):
    from numba import njit

OPTIONS: Final[dict[str, Any]] = {"nogil": True, "error_model": "numpy"}
"""No fastmath and no threads: the same integers on every machine."""


def kernel(function: Any) -> Any:
    """Compile `function` when it is first called, and keep the code beside its source for the next process.

    What is kept is made anew when the file of `function` changes, and only then: so no kernel may call one of another
    file. Where nothing can be kept, as in an installation that can't be written to by a user without a home, every
    process compiles anew.
    """
    try:
        return njit(cache=True, **OPTIONS)(function)
    except RuntimeError:
        return njit(**OPTIONS)(function)
