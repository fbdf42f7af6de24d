"""The counts by arrays of any namespace; of arrays in memory their twins in `compiled` take them where numba is.

Both return the same integers, in memory. What follows from these in floating point is computed in one place for both.
"""
