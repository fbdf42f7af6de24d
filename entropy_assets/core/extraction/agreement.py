"""Agreement: an accelerator is used only if it gives, for known frames, what is found in memory, digest by digest.

That is checked whenever a process begins to use one. A card that is broken, or whose libraries round in another way,
shows there, before it has touched an image. Nothing is then computed by something else instead: whoever runs the
installation is told, and chooses.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core import encoding
from entropy_assets.core.arrays import HOST, Arrays, Choice, beside, card, faults_of, lacks_memory
from entropy_assets.core.extraction.noise import NoiseArray, NoiseExtractor
from entropy_assets.core.extraction.survey import Survey
from entropy_assets.core.frame import Frame
from entropy_assets.core.sp800_90b.alphabets import bitstring
from entropy_assets.core.sp800_90b.estimators import collision, compression, markov, most_common_value
from entropy_assets.core.sp800_90b.tuples import repeated_tuples
from entropy_assets.errors import ExtraMissing, ImageRejected, StartFailed
from entropy_assets.recipe import STANDARD, Recipe

NONCE: Final = bytes(32)
COUNTED: Final = 1 << 13
"""Samples of a frame that are counted."""
REPEATED: Final = 1 << 9
"""How many of them come again after these, so that there are tuples longer than a window."""
SYMBOL_BITS: Final = 5
"""Low bits of each: windows of such symbols leave some bits of a word free, and those of their bits leave none."""
NO_CARD: Final = "the processor computes: %s"
"""What a log says where a card was looked for and does not answer."""
BY_HAND: Final = "look after the card and its driver, or set ENTROPY_ARRAYS=numpy"


def arrays_for(
    choice: Choice, memory_bytes: int = 0, unanswered: Callable[[StartFailed], object] | None = None
) -> Arrays:
    """Return what the frames of this process are computed by.

    Parameters
    ----------
    choice
        ``"numpy"`` for memory, ``"cupy"`` for a card, ``"auto"`` for a card if one answers.
    memory_bytes
        Most of the card's memory that is taken; 0 sets no bound.
    unanswered
        Is told why no card answers, where CuPy is installed and ``"auto"`` takes memory for that.

    Raises
    ------
    ExtraMissing
        If a card was asked for, and CuPy is not installed.
    StartFailed
        If a card was asked for and none answers; or if one answers, asked for or found, that does not agree with NumPy.
    """
    if choice == "numpy":
        return HOST
    try:
        found = card(memory_bytes)
    except ExtraMissing:
        if choice == "cupy":
            raise
        return HOST
    except StartFailed as error:
        if choice == "cupy":
            raise
        if unanswered is not None:
            unanswered(error)
        return HOST
    require_agreement(found)
    return found


def require_agreement(arrays: Arrays) -> None:
    """Raise unless survey, samples and counts of all `known_frames` are those that memory gives.

    Raises
    ------
    StartFailed
        With the names of the frames, or if it fails at them, or if there is no memory for them.
    """
    try:
        with arrays.apart():
            differing = [
                name
                for name, frame in known_frames()
                if frame_digest(_surely_placed(frame, arrays), STANDARD) != frame_digest(frame, STANDARD)
            ]
    except faults_of(arrays.namespace) as error:
        what = "has no memory for" if lacks_memory(error) else f"fails ({' '.join(str(error).split())}) at"
        raise StartFailed(f"{arrays} {what} the known frames: {BY_HAND}", arrays=str(arrays)) from error
    if differing:
        raise StartFailed(
            f"{arrays} gives other digits than NumPy for known frames ({', '.join(differing)}): {BY_HAND}",
            arrays=str(arrays),
            frames=differing,
        )


def _surely_placed(frame: Frame, arrays: Arrays) -> Frame:
    """Return `frame` where `arrays` lie: one that stays in memory would agree with itself."""
    placed = arrays.placed(frame)
    if arrays.by_what(placed) != str(arrays):
        raise MemoryError
    return placed


def frame_digest(frame: Frame, recipe: Recipe, nonce: bytes = NONCE) -> str:
    """Return the hex SHA-256 of all that survey, views and counts say of a frame, wherever its pixels lie."""
    extractor = NoiseExtractor(recipe)
    survey = extractor.survey(frame)
    digest = encoding.plain_sha256(b"")
    for field in dataclasses.fields(Survey):
        value: Any = getattr(survey, field.name)
        digest.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
    try:
        noise = extractor.extract(frame, nonce, survey)
    except ImageRejected as rejection:
        digest.update(rejection.message.encode())
    else:
        digest.update(noise.noise_sha256.encode())
        for counts in _counts(noise, frame):
            digest.update(repr(counts).encode())
    return digest.hexdigest()


def _counts(noise: NoiseArray, frame: Frame) -> Iterator[object]:
    """Yield what is counted of samples and of their bits, where the pixels of `frame` lie.

    Of tuples that is of every width: the estimates are of those that say most, and would not show an error in others.
    """
    samples = noise.credited()[:COUNTED]
    low = np.concatenate((samples, samples[:REPEATED])) & np.uint8((1 << SYMBOL_BITS) - 1)
    symbols = beside(low, frame.pixels)
    bits = bitstring(symbols, SYMBOL_BITS)
    for sequence, alphabet in ((symbols, 1 << SYMBOL_BITS), (bits, 2)):
        yield list(repeated_tuples(sequence, alphabet))
        yield most_common_value(sequence)
    yield from (estimator(bits) for estimator in (collision, markov, compression))


def known_frames() -> Iterator[tuple[str, Frame]]:
    """Yield frames with their names: of each width and kind of pixel, with and without what a survey looks for."""
    noise = [_noise(n) for n in range(3)]
    grey = 1000 + noise[0]
    flat = np.full(grey.shape, 9)
    scattered = noise[1][:, :1]
    masked = np.ones(grey.shape, dtype=np.bool_)
    masked[40:44, 50:60] = False
    yield "grey", _frame(grey)
    yield "incomplete squares", _frame(grey[:77, :131])
    yield "of 32 bits", _frame(30_000 * grey + noise[1])
    yield "of 64 bits", _frame((grey << 40) + noise[2])
    yield "colour", _frame(np.stack(noise[:3])[:, :96, :96] + 300)
    cell = np.array([[0, 300], [200, 500]])
    yield "mosaic", _frame(grey + np.tile(cell, (80, 96)), mosaic=2)
    yield "mosaic under steep light", _frame(grey + (np.arange(192) + 40) * np.tile(cell, (80, 96)) // 16, mosaic=2)
    yield "mosaic of four by four", _frame(grey + np.tile(np.kron(cell, np.ones((2, 2), np.int64)), (40, 48)), mosaic=4)
    yield "rows that scatter", _frame(grey + scattered)
    yield "a tile", _frame(np.tile(grey[:40, :40], (4, 4)))
    yield "clipped", _frame(np.clip(noise[2], 0, 12))
    yield "a constant", _frame(flat)
    yield "masked", _frame(grey, masked)


def _noise(stream: int) -> npt.NDArray[np.int64]:
    """Return ``int64[160, 192]`` of about Gaussian noise, 7 steps: sums of the bytes of a counter that is mixed.

    The mixing is that of SplitMix64 (Steele, Lea, Flood 2014, figure 17).
    """
    mixed = (np.arange(160 * 192, dtype=np.uint64) + np.uint64(stream << 32)) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    summed = mixed.view(np.uint8).reshape(-1, 8).sum(axis=1, dtype=np.int64)
    return np.asarray((summed - 1020) // 30).reshape(160, 192)


def _frame(pixels: npt.NDArray[np.integer], usable: npt.NDArray[np.bool_] | None = None, mosaic: int = 1) -> Frame:
    facts: dict[str, Any] = {"bit_depth": 16, "container": "fits", "lossy": False, "source": "raw-ccd"}
    return Frame.build(pixels, usable, data=pixels.tobytes(), mosaic=mosaic, **facts)
