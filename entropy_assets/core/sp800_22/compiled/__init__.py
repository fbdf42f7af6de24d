"""The counts of `arrays` by compiled loops; only `kernels` loads them, and only where numba is installed.

Every function here has a twin of its name in `arrays` and returns the same integers.
"""

from entropy_assets.errors import require_extra

require_extra("sp800", "numba")
