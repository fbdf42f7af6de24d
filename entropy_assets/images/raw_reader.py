"""The process that reads a camera's raw file with LibRaw: a program of its own, so it imports nothing of this package.

LibRaw is a parser of many formats in C++, and its files come from anywhere. So it runs here, with bounds on memory,
time and files, and what it gives back is checked by `raw`. It is started with the file as standard input::

    python -I raw_reader.py <pixels at most> <file bytes at most>

On standard output follow one line of JSON, either ``{"error": ..., "message": ...}`` or the size and the period of the
mosaic, and then the raw pixels as 16-bit integers of this machine: those that saw light, as the sensor gave them.
"""

import json
import resource
import sys
from typing import Any, NoReturn

MEMORY_BYTES = 2 << 30
CPU_SECONDS = 120
OPEN_FILES = 3
"""Standard input, output and error."""


def main() -> None:
    """Read standard input and write what it holds."""
    max_pixels, max_bytes = (int(argument) for argument in sys.argv[1:])
    _confine(max_bytes)
    import rawpy  # only once confined

    _shut()
    version = ".".join(str(part) for part in rawpy.libraw_version)
    raw = rawpy.RawPy()
    try:
        raw.open_buffer(sys.stdin.buffer)
        sizes = raw.sizes
        if sizes.raw_height * sizes.raw_width > max_pixels:
            _stop("over_pixel_budget", f"{sizes.raw_width} x {sizes.raw_height}", sizes.raw_width * sizes.raw_height)
        raw.unpack()
    except rawpy.LibRawFileUnsupportedError:
        _stop("unsupported_pixels", "LibRaw knows no camera that writes such files")
    except rawpy.LibRawIOError as error:
        _stop("truncated", f"LibRaw: {error}")
    except (rawpy.LibRawError, MemoryError, ValueError) as error:
        _stop("decode_error", f"LibRaw: {error}")
    if raw.raw_type != rawpy.RawType.Flat:
        _stop("not_raw", "its pixels are not the sensor's any more: several colours each")
    pixels = raw.raw_image_visible
    pattern = raw.raw_pattern
    _write(
        {
            "libraw": version,
            "height": pixels.shape[0],
            "width": pixels.shape[1],
            "period": 1 if pattern is None else max(pattern.shape),
        }
    )
    for row in pixels:
        sys.stdout.buffer.write(row.tobytes())


def _confine(max_bytes: int) -> None:
    """Bound memory, time and output, which is as long as the pixels at most."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, max_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # macOS does not bound it, and refuses to be asked
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def _shut() -> None:
    """Give up opening anything more: no file, no socket, and (but for root) no process."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def _stop(error: str, message: str, pixels: int = 0) -> NoReturn:
    _write({"error": error, "message": message, "pixels": pixels})
    sys.exit(0)


def _write(line: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(line).encode() + b"\n")


if __name__ == "__main__":
    main()
