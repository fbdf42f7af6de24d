"""Pictures that went through a lossy coder and were saved without loss: they hold no more than the stream did.

Each function returns a `Scenario` from a seeded generator and the side of its frames, pixels.
"""

import io

import numpy as np
from PIL import Image

from entropy_assets_tests.images.image_files import picture
from entropy_assets_tests.scenarios.laws import Gaussian, pixel_bits
from entropy_assets_tests.scenarios.scenario import Exposure, Scenario, only_held

GAMMA = [round(255 * (code / 255) ** 0.8) for code in range(256)]
"""A gamma as editors apply it, 8 bits to 8 bits."""


def decoded(
    rng: np.random.Generator,
    side: int,
    coder: str,
    quality: int,
    *,
    noise: float = 6.0,
    colour: bool = True,
    gamma: bool = False,
    gain: float = 1.0,
) -> Scenario:
    """A smooth scene with white noise of `noise` 8-bit codes, coded by Pillow's `coder`, decoded, and saved as PNG.

    Between that an editor may apply `gamma`, or a `gain`, which leaves gaps between codes or merges them.

    The scene is known, so the frame holds what its noise did at most, and what the coded file does. A coder moves noise
    from pixel to pixel, so nothing is said of single ones.
    """
    levels = np.add.outer(np.linspace(0, 60, side), np.linspace(70, 130, side))
    if colour:
        levels = np.stack([levels, levels + 10, levels - 20], axis=-1)
    law = Gaussian(noise)
    stream = picture(np.clip(law.draw(rng, levels), 0, 255).astype(np.uint8), coder, quality=quality)
    with Image.open(io.BytesIO(stream)) as image:
        shown = image.convert("RGB" if colour else "L")
    if gamma:
        shown = shown.point(GAMMA * len(shown.getbands()))
    if gain != 1:
        stretched = [min(255, int(code * gain + 0.5)) for code in range(256)]
        shown = shown.point(stretched * len(shown.getbands()))
    held = min(8 * len(stream), float(pixel_bits(law, levels).sum()))
    exposure = Exposure(picture(shown, "PNG", compress_level=1), only_held((side, side)))
    return Scenario((exposure,), holds=held, stream_bits=8 * len(stream))
