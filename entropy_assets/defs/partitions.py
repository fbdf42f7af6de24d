"""The one partition: a batch of images, keyed by the ingest sensor."""

from typing import Final

import dagster as dg

IMAGE_BATCHES: Final = "image_batches"

image_batches = dg.DynamicPartitionsDefinition(name=IMAGE_BATCHES)
