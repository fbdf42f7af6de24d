"""What the noise of an image is worth, alone and beside others of its sensor."""
