"""Frames made for the tests of survey, noise and credit: white noise, and what processing does to it."""

from typing import Any

import numpy as np
import numpy.typing as npt

from entropy_assets.core.extraction.survey import Survey, survey_frame
from entropy_assets.core.frame import Frame
from entropy_assets.recipe import STANDARD


def white(shape: tuple[int, ...] = (128, 128), sigma: float = 7.0, seed: int = 1) -> npt.NDArray[np.int64]:
    """Give integer white noise on a level of 1000 ADU."""
    noise = np.random.default_rng(seed).normal(1000, sigma, shape)
    return np.rint(noise).astype(np.int64)


def frame(pixels: npt.NDArray[np.integer], usable: npt.NDArray[np.bool_] | None = None, **known: Any) -> Frame:
    """Give the frame of `pixels`, as if they came from a raw FITS file that holds 16 bits per pixel."""
    facts = {"bit_depth": 16, "container": "fits", "lossy": False, "source": "raw-ccd", **known}
    data = facts.pop("data", np.ascontiguousarray(pixels).astype(">i8").tobytes())
    return Frame.build(pixels, usable, data=data, **facts)


def survey(pixels: npt.NDArray[np.integer], usable: npt.NDArray[np.bool_] | None = None, **known: Any) -> Survey:
    """Give the live-area map of the frame of `pixels`."""
    return survey_frame(frame(pixels, usable, **known), STANDARD)
