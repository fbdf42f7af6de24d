"""A day of six feeds on a clock that jumps: from what servers hold to what consumers draw."""
