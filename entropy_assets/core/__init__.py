"""What the bytes are. NumPy, SciPy, hashlib, blake3; no I/O, clock, environment, Dagster, Redis or HTTP."""
