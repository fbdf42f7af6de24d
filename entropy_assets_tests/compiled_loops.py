"""Compiles the loops that most tests call, on two cores: else each worker of a suite would, on a new checkout.

``python -m entropy_assets_tests.compiled_loops``; what is compiled already is only loaded.
"""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from entropy_assets.core.extraction.noise import NoiseExtractor
from entropy_assets.core.frame import Frame
from entropy_assets.core.sp800_22.suite import run_suite
from entropy_assets.core.sp800_90b.non_iid import assess_non_iid
from entropy_assets.recipe import STANDARD


def of_frames() -> None:
    """Extract noise of steps of 16 and of 32 bits."""
    for width in (100, 10_000):
        pixels = np.random.default_rng(1).normal(50_000, width, (1, 128, 128)).round().astype(np.int64).clip(0, 2**20)
        facts = {"bit_depth": 20, "container": "fits", "lossy": False, "source": "drop"}
        NoiseExtractor(STANDARD).extract(Frame.build(pixels, data=pixels.tobytes(), **facts), bytes(32))


def of_standards() -> None:
    """Assess and test symbols and bits."""
    noise = np.random.default_rng(1).bytes(1 << 16)
    assess_non_iid(np.frombuffer(noise, dtype=np.uint8), 8)
    run_suite(noise)


def main() -> None:
    """Call both."""
    tasks: tuple[Callable[[], None], ...] = (of_frames, of_standards)
    with ProcessPoolExecutor(2) as pool:
        for done in [pool.submit(task) for task in tasks]:
            done.result()


if __name__ == "__main__":
    main()
