"""What a table of ``sources.toml`` may say: a model for each kind of feed, with what its server is known to need."""
