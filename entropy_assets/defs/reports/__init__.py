"""Nightly reports: what the raw noise of the sources is worth, and whether the public stream looks as it should."""
