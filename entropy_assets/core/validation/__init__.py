"""The tests of blocks, one by one and as a batch, with exact null distributions."""
