"""What shows that a program made the noise of a frame: boxes of codes, a linear generator, a few frequencies."""
