"""Feeds: images that keep coming, each fetched with a note of where it came from, as a file of the operator says."""
