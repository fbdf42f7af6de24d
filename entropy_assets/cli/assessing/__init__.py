"""What ``entropy-assets assess`` looks at: images, files of raw samples, and restart matrices."""
