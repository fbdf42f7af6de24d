"""The counts behind the tests by NumPy, piece by piece; where numba is installed, their twins in `compiled` take them.

Both return the same integers. What follows from these in floating point is computed in one place for both.
"""
