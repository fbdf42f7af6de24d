"""Pictures that went through a lossy coder and were saved without loss: they hold no more than the stream did.

Each function returns a `Scenario` from a seeded generator and the side of its frames, pixels.
"""

import io

import numpy as np
from PIL import Image

from entropy_assets_tests.images.image_files import picture
from entropy_assets_tests.scenarios.laws import Gaussian, pixel_bits
from entropy_assets_tests.scenarios.scenario import Exposure, Scenario, Truth

NOISE = 6.0
"""Noise of the scene before it is coded, 8-bit codes."""
GAMMA = [round(255 * (code / 255) ** 0.8) for code in range(256)]
"""A gamma as editors apply it, 8 bits to 8 bits."""


def decoded(
    rng: np.random.Generator, side: int, coder: str, quality: int, *, colour: bool = True, gamma: bool = False
) -> Scenario:
    """A smooth scene with white noise, coded by Pillow's `coder`, decoded, and saved as PNG.

    The scene is known, so each pixel holds its noise at most; the whole frame the coded file at most.
    """
    levels = np.add.outer(np.linspace(0, 60, side), np.linspace(70, 130, side))
    if colour:
        levels = np.stack([levels, levels + 10, levels - 20], axis=-1)
    law = Gaussian(NOISE)
    stream = picture(np.clip(law.draw(rng, levels), 0, 255).astype(np.uint8), coder, quality=quality)
    with Image.open(io.BytesIO(stream)) as image:
        shown = image.convert("RGB" if colour else "L")
    if gamma:
        shown = shown.point(GAMMA * len(shown.getbands()))
    bits = pixel_bits(law, levels).reshape(side, side, -1).sum(axis=-1)
    exposure = Exposure(picture(shown, "PNG", compress_level=1), Truth(bits, None))
    return Scenario((exposure,), holds=8 * len(stream), stream_bits=8 * len(stream))
