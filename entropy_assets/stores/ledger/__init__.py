"""What was published and which images were spent, append-only."""
