"""The same counts as the arrays give, by compiled loops; only `kernels` loads it, and only where numba is installed.

Every function here has a twin in NumPy beside it and returns the same integers; what follows from them, in floating
point, is computed in one place for both.
"""

from entropy_assets.errors import require_extra

require_extra("sp800", "numba")
