"""From the pixels of a frame to samples of its noise: which squares are live, and what they hold beside the picture."""
