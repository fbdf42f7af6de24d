"""From a file to a frame, nothing trusted: one container or check per file."""
