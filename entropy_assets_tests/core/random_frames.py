"""Frames of all shapes and types by a seed, to hold one way of computing against another."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from entropy_assets.core.frame import Frame
from entropy_assets_tests.core.frames import frame

Plane = npt.NDArray[np.float64]

KINDS: tuple[Callable[[np.random.Generator, Plane], Plane], ...] = (
    lambda rng, plane: plane,
    lambda rng, plane: plane + 7000 * (rng.random(plane.shape) < 0.01),
    lambda rng, plane: np.clip(plane, 995, 1010),
    lambda rng, plane: np.where(rng.random((plane.shape[-2], 1)) < 0.05, 7, plane),
    lambda rng, plane: plane[..., np.arange(plane.shape[-1]) // 2],
    lambda rng, plane: np.resize(plane[..., :37, :41], plane.shape),
    lambda rng, plane: plane + 8 * rng.normal(0, 1, (plane.shape[-2], 1)),
    lambda rng, plane: 9 * np.rint(plane / 9) + rng.integers(0, 9, plane.shape),
    lambda rng, plane: np.round(plane / 8) * 8,
    lambda rng, plane: plane + np.linspace(0, 3000, plane.shape[-1]),
)
MOSAICS = ((1, 1), (1, 1), (3, 1), (4, 1), (1, 2), (1, 4), (1, 6), (1, 7))
"""Channels, and period of a mosaic."""


def random_frame(seed: int) -> Frame:
    """Give a frame that follows from `seed`: grey, colour or a mosaic, of any width of pixels, masked or not."""
    rng = np.random.default_rng(seed)
    shape = tuple(int(side) for side in rng.choice([32, 40, 64, 77, 128, 160, 200], 2))
    channels, mosaic = MOSAICS[rng.integers(len(MOSAICS))]
    if mosaic > 2:
        shape = 32 * mosaic + 8, 32 * mosaic + 18
    elif mosaic == 2:
        shape = max(shape[0], 64), max(shape[1], 64)
    noise = rng.normal(1000, rng.choice([0.6, 2, 7, 40]), (channels, *shape))
    if mosaic > 1:
        noise += np.resize(rng.integers(0, 400, mosaic**2).reshape(mosaic, mosaic), (mosaic, mosaic))[
            np.arange(shape[0])[:, np.newaxis] % mosaic, np.arange(shape[1]) % mosaic
        ]
    plane = KINDS[rng.integers(len(KINDS))](rng, noise)
    gain = int(rng.choice([1, 1, 16, 1 << 12, 1 << 36]))
    wide = np.rint(plane * gain).astype(np.int64) if rng.random() < 0.5 else np.rint(plane).astype(np.int64) * gain
    usable = np.ones(shape, dtype=np.bool_)
    if rng.random() < 0.3:
        usable[rng.integers(shape[0]), rng.integers(shape[1]) :] = False
    return frame(wide, usable, mosaic=mosaic, bit_depth=int(rng.choice([12, 16, 32])))
