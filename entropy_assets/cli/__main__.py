"""``python -m entropy_assets.cli``: the same as ``entropy-assets``."""

from entropy_assets.cli import main

main()
