"""What `sources` shows and asks."""
