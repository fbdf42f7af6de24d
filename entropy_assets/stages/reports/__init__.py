"""Reports over many batches: on the noise of each source, and on the published public stream."""
