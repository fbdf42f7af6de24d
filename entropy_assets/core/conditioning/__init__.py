"""From samples to blocks by vetted hashes, and the chain of records that ties each block to its images."""
