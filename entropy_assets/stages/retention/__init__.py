"""What goes when: images, noise and whole batches that nobody needs any more. By default nothing does."""
