"""What is asked of CuPy itself, of a stand-in that fails as it does: streams, memory, a card that can't compute."""

import importlib
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import array_api_strict
import pytest

from entropy_assets.core.arrays import HOST, Arrays, card
from entropy_assets.core.extraction.agreement import arrays_for, require_agreement
from entropy_assets.core.frame import Frame
from entropy_assets.errors import StartFailed
from entropy_assets_tests.core.random_frames import random_frame


class Stream:
    """A stream of the stand-in."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *args: object) -> None:
        pass


class CompileException(Exception):
    """As CuPy's: derived from nothing closer."""


class StandIn:
    """CuPy with one card, on which the array API standard computes."""

    __version__ = "14.2.0"
    ones, sort = staticmethod(array_api_strict.ones), staticmethod(array_api_strict.sort)
    any = staticmethod(array_api_strict.any)

    def __init__(self) -> None:
        self.streams: list[Stream] = []
        self.freed = 0
        self.accelerators = ["cub"]
        self._core = types.SimpleNamespace(set_routine_accelerators=self._accelerate)
        runtime = types.SimpleNamespace(
            getDeviceCount=lambda: 1, getDeviceProperties=lambda place: {"name": b"a card", "major": 9}
        )
        compiler = types.SimpleNamespace(CompileException=CompileException)
        self.cuda = types.SimpleNamespace(runtime=runtime, compiler=compiler, Stream=self._stream)

    def _stream(self, non_blocking: bool) -> Stream:
        assert non_blocking
        self.streams.append(Stream())
        return self.streams[-1]

    def asarray(self, values: Any) -> Any:
        """Return an array of the card."""
        return array_api_strict.asarray(values)

    def get_default_memory_pool(self) -> Any:
        """Return the pool."""
        return types.SimpleNamespace(set_limit=lambda size: None, free_all_blocks=self._free)

    def _free(self) -> None:
        self.freed += 1

    def _accelerate(self, accelerators: list[str]) -> None:
        self.accelerators = accelerators


def arrays_of(stand_in: StandIn) -> Arrays:
    return Arrays("cupy", stand_in, stand_in.__version__, "a card")


def test_a_stream_is_used_again_and_never_by_two_at_once() -> None:
    """CuPy's pool gives what was freed on a stream to that stream alone, as long as it can."""
    stand_in = StandIn()
    arrays = arrays_of(stand_in)
    for _ in range(3):
        arrays.computed(random_frame(1), lambda placed: None)
    assert len(stand_in.streams) == 1
    with arrays.apart(), arrays.apart():
        assert arrays.idle == []
    assert len(stand_in.streams) == len(arrays.idle) == 2


@pytest.mark.parametrize(
    "words",
    [
        "cudaErrorMemoryAllocation: out of memory",
        "CUDA_ERROR_OUT_OF_MEMORY: out of memory",
        "CUBLAS_STATUS_ALLOC_FAILED",
        "CUBLAS_STATUS_NOT_INITIALIZED",
        "radix_sort: failed on 1st step: cudaErrorMemoryAllocation: out of memory",
    ],
)
def test_memory_that_cuda_itself_lacks_is_a_frame_that_does_not_fit(words: str) -> None:
    """Its errors are no `MemoryError`; what the pool holds free is given back, or the next frame would fail as well."""
    stand_in, known = StandIn(), random_frame(1)

    def look(placed: Frame) -> str:
        if placed is known:
            return "seen"
        raise RuntimeError(words)

    assert arrays_of(stand_in).computed(known, look) == ("seen", str(HOST))
    assert stand_in.freed == 1


@pytest.mark.parametrize("place", ["stream", "frame"])
def test_where_cuda_lacks_memory_to_begin_with_a_frame_it_is_computed_in_memory(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new stream, or the event of a copy, may be what there is no room for."""
    stand_in, known = StandIn(), random_frame(1)

    def full(*args: object, **named: object) -> None:
        raise RuntimeError("cudaErrorMemoryAllocation: out of memory")

    monkeypatch.setattr(*((stand_in.cuda, "Stream", full) if place == "stream" else (stand_in, "asarray", full)))
    assert arrays_of(stand_in).computed(known, lambda placed: "seen") == ("seen", str(HOST))
    assert stand_in.freed == 1


def test_what_else_fails_on_a_card_is_an_error() -> None:
    def look(placed: Frame) -> None:
        raise RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="ILLEGAL"):
        arrays_of(StandIn()).computed(random_frame(1), look)


def no_compiler() -> None:
    raise RuntimeError('Failure finding "libnvrtc.so.12": No such file')


def no_headers() -> None:
    raise CompileException("cuda_fp16.h: No such file")


def no_cublas() -> None:
    raise ImportError('Failure finding "libcublas.so.12"')


def no_folder() -> None:
    raise PermissionError("[Errno 13] Permission denied: '/.cupy'")


@pytest.mark.parametrize("word", ["ones", "any"])
@pytest.mark.parametrize("fault", [no_compiler, no_headers, no_cublas, no_folder])
def test_a_card_that_can_compile_nothing_does_not_answer(
    fault: Callable[[], None], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver alone brings neither compiler nor cuBLAS; nor is a folder for kernels writable everywhere.

    Where a compiler is too old for CUB, only what reduces can't be compiled.
    """
    stand_in = StandIn()
    monkeypatch.setattr(stand_in, word, lambda *args: fault(), raising=False)
    monkeypatch.setitem(sys.modules, "cupy", stand_in)
    with pytest.raises(StartFailed, match="ENTROPY_ARRAYS=numpy"):
        card()
    told: list[StartFailed] = []
    assert arrays_for("auto", unanswered=told.append) is HOST
    assert [error.message for error in told if "no card answers" in error.message], "CuPy is there, so it is told"


def test_no_reduction_is_left_to_what_tells_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """CuPy looks at no error of CUB's reductions: of one that can't be launched the sum is what lay there before."""
    stand_in = StandIn()

    def reducing(values: Any) -> Any:
        assert stand_in.accelerators == []
        raise RuntimeError("CUDA_ERROR_INVALID_DEVICE_FUNCTION: invalid device function")

    monkeypatch.setattr(stand_in, "any", reducing)
    monkeypatch.setitem(sys.modules, "cupy", stand_in)
    with pytest.raises(StartFailed, match="invalid device function"):
        card()


def test_a_card_whose_memory_is_full_as_it_begins_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may have filled it; a traceback of CuPy's would not say what to do."""
    stand_in = StandIn()

    class Full:
        """An array whose every use lacks memory."""

        def __getattr__(self, name: str) -> Any:
            raise MemoryError("Out of memory allocating 61,440 bytes")

    monkeypatch.setattr(stand_in, "asarray", lambda values: Full())
    with pytest.raises(StartFailed, match="no memory for the known frames"):
        require_agreement(arrays_of(stand_in))


def test_frames_that_do_not_fit_on_a_card_show_no_agreement(monkeypatch: pytest.MonkeyPatch) -> None:
    """They stay in memory, where all of them are as they should be, and the card would not have computed one."""

    def full(values: Any) -> Any:
        raise MemoryError

    stand_in = StandIn()
    monkeypatch.setattr(stand_in, "asarray", full)
    with pytest.raises(StartFailed, match="no memory for the known frames"):
        require_agreement(arrays_of(stand_in))


@pytest.mark.parametrize(
    "fault",
    [
        RuntimeError("CUDA_ERROR_ECC_UNCORRECTABLE: uncorrectable ECC error encountered"),
        OSError("[Errno 30] Read-only file system: '/.cupy/kernel_cache'"),
        CompileException("catastrophic error"),
    ],
)
def test_a_card_that_fails_at_the_known_frames_is_told_with_what_to_do(
    fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some kernels are made there first, and what is kept of others may be all that the folder for them gives."""

    def failing(values: Any) -> Any:
        raise fault

    stand_in = StandIn()
    monkeypatch.setattr(stand_in, "asarray", failing)
    with pytest.raises(StartFailed, match=r"fails \(.*\) at the known frames.*ENTROPY_ARRAYS=numpy"):
        require_agreement(arrays_of(stand_in))


@pytest.mark.parametrize("version", ["13.6.0", "14.0.1"])
def test_a_cupy_that_sorts_wrongly_is_not_used(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a sort lacked memory these told nobody, and gave what was left."""
    stand_in = StandIn()
    monkeypatch.setattr(stand_in, "__version__", version, raising=False)
    monkeypatch.setitem(sys.modules, "cupy", stand_in)
    with pytest.raises(StartFailed, match=r"CuPy 14\.1 or later"):
        card()
    monkeypatch.setattr(stand_in, "__version__", "14.1.0rc1")
    monkeypatch.setattr(stand_in, "ones", lambda shape: no_compiler(), raising=False)
    with pytest.raises(StartFailed, match="libnvrtc"):
        card()


def test_a_cupy_that_can_not_be_loaded_is_no_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is loaded it makes its folder for kernels."""
    (tmp_path / "cupy.py").write_text("raise PermissionError(13, 'Permission denied', '/nonexistent/.cupy')")
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    with pytest.raises(StartFailed, match="CUPY_CACHE_DIR"):
        card()
    assert arrays_for("auto") is HOST
