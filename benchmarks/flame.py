"""Where the time of an answer goes, as a picture: ``python -m benchmarks.flame OUT.svg [--seconds S]``; needs wrk.

The service runs as in `serving` (`full lane`: API key, limits in requests and bytes, private mixing), and a timer of
its CPU time looks again and again at what Python is doing. Width is CPU time, height is who called whom, and the
topmost box is a line of code with the C that it calls. Python hears of the timer between two of its steps, so what the
event loop and the kernel did before a callback began shows at its first step: that is the box `uvloop and the kernel`.
Those who ask take turns with those who fill the pool; only what a request caused is shown, not the other threads.
"""

import argparse
import dis
import html
import linecache
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Final

import uvicorn

from benchmarks import serving
from benchmarks.serving_app import application
from benchmarks.serving_page import processor
from entropy_assets.serving.server.workers import server_options, tune_process
from entropy_assets.stores.pool.client import PoolClient

TICK_S: Final = 0.004
OUTSIDE: Final = "uvloop and the kernel"
OF_AN_ANSWER: Final = (OUTSIDE, "fast_lane.FastLane.data_received")
OF_THE_SERVER: Final = ("run", "main", "run_until_complete", "serve", "_run_code", "_run_module_as_main", "<module>")
WIDTH: Final = 1200
ROW: Final = 19
"""Width of the picture and height of a row, pixels."""
LEAST: Final = 0.002
"""Least share of the time that is drawn."""
FONT: Final = 'font-family="monospace" font-size="10.5"'
COLOURS: Final = {"entropy_assets": "#f4a259", "uvicorn": "#8cb369", OUTSIDE: "#8fb8de"}
Stack = tuple[str, ...]


# --- looking ---------------------------------------------------------------------------------------------------------


class Samples:
    """Counts what the main thread was doing whenever the timer of the process went off."""

    def __init__(self) -> None:
        self._seen: Counter[tuple[tuple[CodeType, int, int | None], ...]] = Counter()

    def start(self) -> None:
        """Begin."""
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, TICK_S, TICK_S)

    def _look(self, _: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_code is Samples._look.__code__:  # it was late
            return
        places = []
        while frame is not None and frame.f_code.co_name not in OF_THE_SERVER:
            places.append((frame.f_code, frame.f_lasti, frame.f_lineno))
            frame = frame.f_back
        self._seen[tuple(places)] += 1

    def stacks(self) -> Counter[Stack]:
        """Return what was seen, by name: who called whom, and the line."""
        stacks: Counter[Stack] = Counter()
        for places, count in self._seen.items():
            names: list[str] = []
            for code, step, line in places:
                at_first_step = step <= _first_step(code)
                if not names and not at_first_step:
                    names.append(linecache.getline(code.co_filename, line or 0).strip())
                if names or not at_first_step:
                    names.append(f"{Path(code.co_filename).stem}.{code.co_qualname}")
            stacks[(OUTSIDE,) if not names else tuple(reversed(names))] += count
        return stacks


def _first_step(code: CodeType) -> int:
    """Return where a function begins: what was done before it was called shows there."""
    return next((each.offset for each in dis.get_instructions(code) if each.opname == "RESUME"), 0)


def serve(port: str, url: str, prefix: str, folder: str) -> None:
    """Serve until a signal, and leave what was seen in the folder."""
    tune_process()
    samples = Samples()
    app = application("full lane", url, prefix, Path(folder))
    config = uvicorn.Config(app, port=int(port), **server_options(fast_lane=True))
    signal.signal(signal.SIGUSR1, lambda *_: samples.start())
    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it once more when it is done
    uvicorn.Server(config).run()
    signal.setitimer(signal.ITIMER_PROF, 0)
    lines = [f"{count}\t" + "\t".join(stack) for stack, count in samples.stacks().items()]
    Path(folder, "stacks").write_text("\n".join(lines))


def sampled(seconds: int) -> tuple[Counter[Stack], float]:
    """Return what was seen under load, and the CPU time of an answer, microseconds."""
    with tempfile.TemporaryDirectory() as folder, serving.pool_server() as url:
        port = serving.free_port()
        process = serving.start([sys.executable, "-m", "benchmarks.flame", "--serve", str(port), url, "flame", folder])
        serving.wait_for(port)
        pool = PoolClient.from_url(url, prefix="flame", ttl_s=3600)
        headers = (f"X-API-Key: {Path(folder, 'key').read_text()}",)
        variant = serving.Variant("full lane", f"http://127.0.0.1:{port}/random/{serving.SIZE}", process, pool)
        variant.headers = headers
        for second in range(seconds + 1):
            serving.fill(pool, int(1.3 * max(variant.rates, default=80_000)) * serving.SIZE, 4096)
            time.sleep(0.3)
            serving.load(variant, 1)
            if second == 0:  # that was to warm up
                os.kill(process.pid, signal.SIGUSR1)
        pool.close()
        process.terminate()
        process.wait()
        rows = [line.split("\t") for line in Path(folder, "stacks").read_text().splitlines()]
    # connections come and go, keys are looked at and blocks are read whatever an answer does
    seen = Counter({tuple(row[1:]): int(row[0]) for row in rows if row[1] in OF_AN_ANSWER})
    return seen, statistics.median(variant.cpu_us[1:])


# --- drawing ---------------------------------------------------------------------------------------------------------


@dataclass
class Box:
    """One function or line, as often as it was seen, with what it called."""

    count: int = 0
    above: dict[str, "Box"] = field(default_factory=dict)

    def add(self, stack: Stack, count: int) -> None:
        """Count a stack that goes through here."""
        self.count += count
        if stack:
            self.above.setdefault(stack[0], Box()).add(stack[1:], count)

    @property
    def height(self) -> int:
        """How many rows stand on this one, and itself."""
        return 1 + max((each.height for each in self.above.values()), default=0)


def drawn(name: str, box: Box, left: float, bottom: int, total: int, cost_us: float) -> Iterator[str]:
    """Yield the rectangles of a box and of all above it."""
    width, share = WIDTH * box.count / total, box.count / total
    if share < LEAST:
        return
    what = html.escape(name)
    colour = next((colour for part, colour in COLOURS.items() if part in name), "#f7d08a")
    told = f"{what}: {cost_us * share:.2f} us, {share:.1%}"
    room = int(width / 6.3) - 1
    text = what if len(name) <= room else html.escape(name[: max(0, room - 2)]) + ".." if room > 5 else ""
    yield (
        f'<g><title>{told}</title><rect x="{left:.1f}" y="{bottom}" width="{max(width - 0.6, 0.4):.1f}" '
        f'height="{ROW - 1}" rx="1" fill="{colour}"/><text x="{left + 3:.1f}" y="{bottom + 13}">{text}</text></g>'
    )
    for each_name, each in sorted(box.above.items(), key=lambda pair: -pair[1].count):
        yield from drawn(each_name, each, left, bottom - ROW, total, cost_us)
        left += WIDTH * each.count / total


def picture(stacks: Counter[Stack], cost_us: float) -> str:
    """Return the picture as SVG."""
    root = Box()
    for stack, count in stacks.items():
        root.add(stack, count)
    height = ROW * (root.height + 2)
    name = f"an answer of 1 KiB by the full lane: {cost_us:.1f} us of CPU"
    boxes = "\n".join(drawn(name, root, 0, height - ROW - 4, root.count, cost_us))
    note = html.escape(f"{root.count:,} looks on {processor()}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {FONT}>\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#fffdf7"/>\n'
        f'<text x="4" y="14">{note}</text>\n{boxes}\n</svg>\n'
    )


def main() -> None:
    """Look, and draw."""
    if sys.argv[1:2] == ["--serve"]:
        serve(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=int, default=15)
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is needed: apt-get install wrk")
    options.out.write_text(picture(*sampled(options.seconds)))


if __name__ == "__main__":
    main()
