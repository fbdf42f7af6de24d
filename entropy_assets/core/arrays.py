"""Where the arrays of a frame lie: in memory, or on an accelerator whose namespace has the functions of the standard.

Every function of the core that meets each pixel of a frame, or counts its samples, takes the namespace from its
argument, so there is one of each, written in the words of the array API standard (2024.12). Here stand the few that the
standard has no word for, one for NumPy and one in its words, both with the same digits; and what opens a namespace.

Pixels and samples are whole numbers, and so are all sums and counts of them; what is divided, transformed by Fourier or
compared to a limit after that is a number a square, a count, or a sample of bounded size, and is computed in memory by
NumPy and SciPy. So no digit depends on an accelerator's libraries.

Annotations name NumPy's types. An array of another namespace passes for its twin.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias, TypeVar

import array_api_compat
import array_api_compat.numpy
import numpy as np
import numpy.typing as npt

from entropy_assets.core.frame import Frame
from entropy_assets.errors import ExtraMissing, StartFailed, brought_by

Choice: TypeAlias = Literal["auto", "numpy", "cupy"]
Namespace: TypeAlias = Any
Found = TypeVar("Found")
Item = TypeVar("Item", bound=np.generic)
Places = npt.NDArray[np.intp]
Whole = npt.NDArray[np.signedinteger]
Reals = npt.NDArray[np.float64]

WORD_BITS: Final = 64
"""Bits of the words whose leading zeros are told."""
EIGHT_FLAGS: Final = np.uint64(0x0101010101010101)
"""Eight flags that are all set, as one integer."""
ONE_CARD: Final = "one process works on one card, the first that CUDA_VISIBLE_DEVICES names"
LEAST_CUPY: Final = (14, 1)
"""Before it, a sort that lacked memory gave wrong numbers and no error (its issue 9894)."""
REDUCED: Final = 256
"""Values from which on CuPy reduces by CUB: twice as many as it asks for."""
NO_MEMORY: Final = (
    "cudaErrorMemoryAllocation",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
)
"""What errors of CUDA say that are no `MemoryError`: code, streams and workspaces lie beside CuPy's pool. cuBLAS, which
every thread begins for itself, says that it is not initialised where it has no memory to begin in."""


@dataclass(frozen=True, slots=True, eq=False)
class Arrays:
    """What the arrays of a frame are computed by.

    Attributes
    ----------
    name
        ``"numpy"`` or ``"cupy"``.
    namespace
        The module whose functions have the names of the array API standard.
    version
        Of that package.
    device
        What it computes on, as its driver calls it; ``"cpu"`` in memory.
    idle
        Streams of a card that nobody is at work on.
    """

    name: str
    namespace: Namespace
    version: str
    device: str
    idle: list[Any] = field(default_factory=list)

    def __str__(self) -> str:
        """Return namespace, version and device, as ``"numpy 2.4.6, cpu"``."""
        return f"{self.name} {self.version}, {self.device}"

    def placed(self, frame: Frame) -> Frame:
        """Return `frame` with its pixels where these arrays lie, moved once; its mask and its facts stay in memory.

        A frame that does not fit there stays as it is, and is computed in memory: `by_what` tells. CuPy copies by way
        of pinned memory of its own, on the stream of whoever asks, without waiting for the card.
        """
        if self.name == HOST.name:
            return frame
        try:
            return replace(frame, pixels=self.namespace.asarray(frame.pixels))
        except (MemoryError, RuntimeError) as error:
            if not lacks_memory(error):
                raise
            return frame

    def by_what(self, placed: Frame) -> str:
        """Return what computes on a frame that was `placed`, as ``"numpy 2.4.6, cpu"``."""
        return str(HOST if is_on_host(placed.pixels) else self)

    def computed(self, frame: Frame, look: Callable[[Frame], Found]) -> tuple[Found, str]:
        """Return what `look` finds of `frame`, placed here, and what computed that: memory, if it does not fit here."""
        placed = frame
        try:
            with self.apart():
                placed = self.placed(frame)
                if not is_on_host(placed.pixels):
                    return look(placed), self.by_what(placed)
        except (MemoryError, RuntimeError) as error:
            if not lacks_memory(error):
                raise
        placed = frame
        if self.name == "cupy":  # what its pool holds free, CUDA lacks for the next frame's code
            self.namespace.get_default_memory_pool().free_all_blocks()
        return look(placed), self.by_what(placed)

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Let what is asked for inside run beside what other threads ask for: each has a stream of its own.

        Streams are used again: CuPy keeps freed memory by stream, so each new one would take the card's anew.
        """
        if self.name != "cupy":
            yield
            return
        try:
            stream = self.idle.pop()
        except IndexError:
            stream = self.namespace.cuda.Stream(non_blocking=True)
        try:
            with stream:
                yield
        finally:
            self.idle.append(stream)


HOST: Final = Arrays("numpy", array_api_compat.numpy, np.__version__, "cpu")
"""Arrays in memory."""


def card(memory_bytes: int = 0) -> Arrays:
    """Return the arrays of the card that this process works on.

    Parameters
    ----------
    memory_bytes
        Most of the card's memory that is taken; 0 sets no bound. What does not fit is worked on in smaller pieces.

    Raises
    ------
    ExtraMissing
        If CuPy is not installed.
    StartFailed
        If no card answers.
    """
    try:
        with brought_by("gpu"):
            import cupy  # makes its folder for kernels, which may be refused
    except ExtraMissing:
        raise
    except (ImportError, OSError) as error:
        raise _no_answer(error) from error
    if tuple(int(part) for part in cupy.__version__.split(".")[:2]) < LEAST_CUPY:
        raise StartFailed(
            f"CuPy {cupy.__version__} sorts wrongly what does not fit on a card: install CuPy 14.1 or later, as pip"
            " install 'entropy-assets[gpu]' does, or set ENTROPY_ARRAYS=numpy",
            arrays="cupy",
        )
    try:
        found = cupy.cuda.runtime.getDeviceCount()
        called = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode() if found else ""
        if found:
            cupy.get_default_memory_pool().set_limit(size=memory_bytes)
            # CuPy looks at no error of CUB's own reductions (its pull request 9940): one that can't be launched, as
            # where a full card has no room for its code, leaves what lay there before. Those that it compiles tell.
            cupy._core.set_routine_accelerators([])
            _use_libraries(cupy)
    except faults_of(cupy) as error:
        raise _no_answer(error) from error
    if not found:
        raise StartFailed(
            f"CuPy finds no card; {ONE_CARD}: make it see one, or set ENTROPY_ARRAYS=numpy", arrays="cupy"
        )
    return Arrays("cupy", cupy, cupy.__version__, called)


def faults_of(namespace: Namespace) -> tuple[type[Exception], ...]:
    """Return how a card, CUDA's libraries, its compiler and the folder for kernels fail."""
    of_compiler = (namespace.cuda.compiler.CompileException,) if hasattr(namespace, "cuda") else ()
    return (*of_compiler, RuntimeError, ImportError, OSError, MemoryError)


def _use_libraries(namespace: Namespace) -> None:
    """Compile kernels, sort and multiply: a driver alone brings none of the libraries for these.

    A reduction of `REDUCED` values or more is compiled with the headers of CUB, which ask more of the compiler.
    """
    square = namespace.ones((2, 2)) + 1
    bool(namespace.any(namespace.ones((REDUCED,)) > 1))
    (namespace.sort(square) @ square).get()


def _no_answer(error: Exception) -> StartFailed:
    what = " ".join(str(error).split())
    return StartFailed(
        f"no card answers ({what}): look at nvidia-smi, at the driver's version and, for kernels, at HOME or"
        " CUPY_CACHE_DIR; pip install 'entropy-assets[gpu]' brings CUDA's libraries; or set ENTROPY_ARRAYS=numpy",
        arrays="cupy",
    )


def lacks_memory(error: Exception) -> bool:
    """Tell whether an error says that memory is full, the card's or the host's; libraries put words of theirs first."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY)


def is_on_host(values: Any) -> bool:
    """Tell whether an array lies in memory."""
    return isinstance(values, np.ndarray)


def namespace_of(values: Any) -> Namespace:
    """Return the functions of the array API standard for an array."""
    return array_api_compat.array_namespace(values)


def on_host(values: Any) -> npt.NDArray[Any]:
    """Return an array in memory; one that lies there is returned itself."""
    if isinstance(values, np.ndarray):
        return values
    if array_api_compat.is_cupy_array(values):
        return np.asarray(values.get())
    return np.from_dlpack(values)


def to_host(values: Any, place: npt.NDArray[Any]) -> None:
    """Write an array into `place`, in memory and of its shape and type; a card's directly, where that has no gaps."""
    if array_api_compat.is_cupy_array(values) and place.flags.c_contiguous:
        values.get(out=place)
    else:
        place[...] = on_host(values)


def beside(values: npt.NDArray[Any], other: Any) -> Any:
    """Return an array of memory as one of the namespace of `other`, where that lies."""
    return values if is_on_host(other) else namespace_of(other).asarray(values)


def in_pieces(work: Callable[[slice], Found], count: int, at_once: int, whole: bool = False) -> list[Found]:
    """Return what `work` gives of each piece of ``range(count)``; where one does not fit in memory, of halves of it.

    Parameters
    ----------
    at_once
        Length of a piece: what the caches of a processor hold.
    whole
        Begin with everything in one piece, as a card wants it.

    Raises
    ------
    MemoryError
        If not even a piece of one fits.
    """
    found, start, length = [], 0, max(1, count if whole else at_once)
    while start < count:
        piece = slice(start, min(start + length, count))
        try:
            found.append(work(piece))
        except MemoryError:
            if length == 1:
                raise
            length = (length + 1) // 2
        else:
            start = piece.stop
    return found


def low_bytes(values: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
    """Return whole numbers modulo 256; the standard leaves open what a cast makes of those that don't fit."""
    if is_on_host(values):
        return values.astype(np.uint8)
    xp = namespace_of(values)
    low: npt.NDArray[np.uint8] = xp.astype(values & 255, xp.uint8)
    return low


def clip(values: npt.NDArray[Item], least: int, most: int) -> npt.NDArray[Item]:
    """Return whole numbers of the same type, none of which is below `least` or above `most`.

    The package of the standard clips a card's by the places of those that are, and waits for them.
    """
    xp = namespace_of(values)
    held = xp.iinfo(values.dtype)
    least, most = max(least, held.min), min(most, held.max)
    if is_on_host(values):
        return np.asarray(np.clip(values, least, most))
    clipped: npt.NDArray[Item] = xp.minimum(xp.maximum(values, least), most)
    return clipped


def upper_middles(values: npt.NDArray[Item]) -> npt.NDArray[Item]:
    """Return the upper median along the last axis of whole numbers: the least that more than half don't exceed."""
    half = values.shape[-1] // 2
    if is_on_host(values):
        return np.asarray(np.partition(values, half, axis=-1)[..., half])
    # Halving the range and counting reads all values some 15 times, and sorts none.
    xp = namespace_of(values)
    least, most = xp.min(values, axis=-1), xp.max(values, axis=-1)
    while bool(xp.any(least < most)):
        bound = least + (most - least) // 2
        within = xp.count_nonzero(values <= bound[..., xp.newaxis], axis=-1)
        reached = within > half
        least, most = xp.where(reached, least, bound + 1), xp.where(reached, bound, most)
    found: npt.NDArray[Item] = least
    return found


def occurrences(values: npt.NDArray[np.integer], kinds: int) -> npt.NDArray[np.int64]:
    """Return ``int64[kinds]``, in memory: how often each number from 0 on is among `values`, all below `kinds`."""
    if is_on_host(values):
        return np.bincount(values, minlength=kinds)
    xp = namespace_of(values)
    ordered = xp.sort(xp.astype(values, xp.int64), stable=False)
    upto = on_host(xp.searchsorted(ordered, xp.arange(kinds + 1, dtype=xp.int64)))
    return np.diff(upto).astype(np.int64, copy=False)


def leading_zeros(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    """Return how many bits of each word before its first 1 are 0; of no bits at all, 64."""
    if is_on_host(words):
        first = words & ~(words >> np.uint64(1))  # with the first 1, and can't be rounded up to the next power of two
        return (WORD_BITS - np.frexp(first.astype(np.float64))[1]).astype(np.uint8)
    xp = namespace_of(words)
    found = xp.zeros(words.shape, dtype=xp.uint8)
    for half in (32, 16, 8, 4, 2, 1):
        is_empty = words >> (WORD_BITS - half) == 0
        found += xp.astype(is_empty, xp.uint8) * half
        words = xp.where(is_empty, words << half, words)
    zeros: npt.NDArray[np.uint8] = found + xp.astype(words == 0, xp.uint8)
    return zeros


def row_products(left: Reals, right: Reals) -> Reals:
    """Return the sum of products along the last axis, exact where all of them add up below 2**53."""
    if is_on_host(left):
        return np.asarray(np.einsum("...k,...k->...", left, right))
    summed: Reals = namespace_of(left).sum(left * right, axis=-1)
    return summed


def square_products(left: Reals, right: Reals) -> Reals:
    """Return the same along the last two axes."""
    if is_on_host(left):
        return np.asarray(np.einsum("...jk,...jk->...", left, right))
    summed: Reals = namespace_of(left).sum(left * right, axis=(-2, -1))
    return summed


def full_lines(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Tell whether all flags of the last axis are set, whose length is a multiple of 8.

    Of NumPy's, eight at a time: the axis is too short for it to be fast otherwise.
    """
    if not is_on_host(flags):
        full: npt.NDArray[np.bool_] = namespace_of(flags).all(flags, axis=-1)
        return full
    eights = flags.view(np.uint64)
    return np.asarray(np.bitwise_and.reduce(np.moveaxis(eights, -1, 0)) == EIGHT_FLAGS)


def windows_at(plane: npt.NDArray[Item], top: Whole, left: Whole, height: int, width: int) -> npt.NDArray[Item]:
    """Return ``[n, height, width]``, what of `plane` lies from each of those places on.

    Parameters
    ----------
    plane
        ``[ny, nx]``.
    top, left
        ``int64[n]``, in memory or beside the plane; every window lies in it.
    """
    if is_on_host(plane):
        # sliding_window_view makes the same view in several times the time, which shows where regions are small.
        shape = (plane.shape[0] - height + 1, plane.shape[1] - width + 1, height, width)
        views = np.lib.stride_tricks.as_strided(plane, shape, 2 * plane.strides, writeable=False)
        return np.asarray(views[top, left])
    xp = namespace_of(plane)
    rows = xp.asarray(top)[:, xp.newaxis, xp.newaxis] + xp.arange(height)[:, xp.newaxis]
    columns = xp.asarray(left)[:, xp.newaxis, xp.newaxis] + xp.arange(width)
    found: npt.NDArray[Item] = plane[rows, columns]
    return found
