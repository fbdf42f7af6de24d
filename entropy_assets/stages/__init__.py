"""The five stages of a batch, over the stores. The Dagster assets and ``entropy-assets process`` both call these.

Each stage reads what the one before kept, re-computes the hashes of what it reads, and keeps its own result whole. A
stage run again gives the same result: everything that could differ was fixed in the batch's intake.
"""
