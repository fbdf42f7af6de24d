"""Where images come from: one protocol, one file each."""
