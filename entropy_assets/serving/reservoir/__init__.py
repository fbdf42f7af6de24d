"""What is held ahead of need, and how bytes are cut off it. No web framework."""
