"""Feeds in Dagster: an asset outside of it for each, upstream of the images, and the job that asks who is due."""
