"""What an answer costs in instructions: whole servers over a socket, and the lane part by part.

``python -m benchmarks.instructions [--answers N] [--json]``; needs valgrind, and nginx for its row. It writes its part
of ``benchmarks/SERVING.md``.

Callgrind counts the instructions of one process outside the kernel, so a busy machine changes nothing. Start-up is not
counted: the count begins when the server is warm, and each figure is the difference that `N` answers make. It is
counted twice, and the table says how far the two counts are apart.

A whole server gets one request after the other over one connection, so each answer has a turn of the event loop to
itself: at load several share one. All that is asked for is held before, so no block is leased or read meanwhile. The
parts run in one process without sockets (`answer_parts`).
Valgrind knows no AVX-512 and no SHA instructions, so libraries take their second best way under it.
"""

import argparse
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import serving
from benchmarks.answer_parts import NAMES
from benchmarks.serving_app import HELD
from benchmarks.serving_page import add_row, processor, put_section

WARM_UP: Final = 300
LIBRARIES: Final = {
    "uvloop": "uvloop",
    "httptools": "httptools",
    "numpy": "NumPy",
    "libpython": "Python",
    "python3": "Python",
    "libcrypto": "OpenSSL",
    "libc.so": "libc",
    "libc-": "libc",
}
_COST: Final = re.compile(r"(?:\+|-)?\d+ (\d+)$|\* (\d+)$")


@dataclass(frozen=True, slots=True)
class Count:
    """Instructions of an answer: two counts, and how the second one is shared among the libraries."""

    first: float
    second: float
    shares: dict[str, float]

    @property
    def apart(self) -> float:
        """By what share the two counts differ."""
        return abs(self.first - self.second) / self.second


class Callgrind:
    """Counts what one process does, when it is told to.

    Parameters
    ----------
    folder
        Where it may write.
    """

    def __init__(self, folder: Path) -> None:
        self._out = folder / "out"
        self._dumps = 0
        self.command = (
            "valgrind",
            "-q",
            "--tool=callgrind",
            "--instr-atstart=no",
            "--separate-threads=yes",
            f"--callgrind-out-file={self._out}",
        )

    def begin(self, pid: int) -> None:
        """Begin to look at each instruction."""
        _control("-i", "on", str(pid))

    def zero(self, pid: int) -> None:
        """Count from here on."""
        _control("-z", str(pid))

    def read(self, pid: int) -> Counter[str]:
        """Return what the first thread did since, which has the event loop, by library."""
        self._dumps += 1
        _control("-d", "here", str(pid))
        return by_library(Path(f"{self._out}.{self._dumps}-01").read_text())


def _control(*arguments: str) -> None:
    command = shutil.which("callgrind_control") or "callgrind_control"
    subprocess.run([command, *arguments], check=True, capture_output=True)


def by_library(dump: str) -> Counter[str]:
    """Return the instructions of a dump of Callgrind's, by the library that they are of.

    Its format: a line ``ob=(id) name`` says whose functions follow, the name only the first time; a line of two numbers
    is what a place in the code cost itself, but for the one behind ``calls=``, which is what was called from there.
    """
    names: dict[str, str] = {}
    total: Counter[str] = Counter()
    library, is_call = "", False
    for line in dump.splitlines():
        if line.startswith(("ob=", "cob=")):
            number, _, name = line.partition("=")[2].partition(" ")
            names.setdefault(number, next((LIBRARIES[part] for part in LIBRARIES if part in name), "others"))
            library = library if line.startswith("c") else names[number]
        elif line.startswith("calls="):
            is_call = True
        elif cost := _COST.match(line):
            total[library] += 0 if is_call else int(cost[1] or cost[2])
            is_call = False
    return total


# --- whole servers ---------------------------------------------------------------------------------------------------


class Client:
    """Asks one server for the same thing again and again, over one connection each time that it is told to.

    Parameters
    ----------
    variant
        The server.
    """

    def __init__(self, variant: serving.Variant) -> None:
        address, _, path = variant.url.removeprefix("http://").partition("/")
        host, _, port = address.partition(":")
        lines = "".join(f"{line}\r\n" for line in variant.headers)
        self._request = f"GET /{path} HTTP/1.1\r\nHost: {address}\r\n{lines}\r\n".encode()
        self._address = host, int(port)

    def ask(self, times: int) -> None:
        """Ask, and read the answer, so many times."""
        with socket.create_connection(self._address, timeout=300) as link:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(times):
                link.sendall(self._request)
                answer = b""
                while len(answer.partition(b"\r\n\r\n")[2]) < serving.SIZE:
                    more = link.recv(65_536)
                    assert more, answer[:200]
                    answer += more
                assert answer.startswith(b"HTTP/1.1 200"), answer[:200]


def count_whole(each: serving.Variant, callgrind: Callgrind, answers: int) -> Count:
    """Return what an answer of a whole server costs."""
    client = Client(each)
    if each.pool is not None:
        serving.fill(each.pool, HELD, each.block_len)
        left, before = HELD, -1
        while left != before:  # what is leased and read while it counts would be counted
            time.sleep(2)
            before, left = left, each.pool.stats().lanes["private"].bytes
    client.ask(WARM_UP)
    callgrind.begin(each.process.pid)
    client.ask(WARM_UP)
    counts = []
    for _ in range(2):
        callgrind.zero(each.process.pid)
        client.ask(answers)
        counts.append(callgrind.read(each.process.pid))
    return _count(counts, answers)


def _count(counts: Sequence[Counter[str]], answers: int) -> Count:
    first, second = (count.total() / answers for count in counts)
    return Count(first, second, {name: cost / answers for name, cost in counts[1].most_common()})


def whole(answers: int) -> Iterator[tuple[str, Count]]:
    """Yield what an answer of each variant costs."""
    public, private = f"/random/{serving.SIZE}?class=public", f"/random/{serving.SIZE}"
    paths = {"bare": private, "plain": public, "plain lane": public, "full": private, "full lane": private}
    with serving.pool_server() as url:
        for name, path in paths.items():
            with tempfile.TemporaryDirectory() as folder:
                callgrind = Callgrind(Path(folder))
                key = name.startswith("full")
                with serving.variant(name, path, url, key=key, under=callgrind.command) as each:
                    yield name, count_whole(each, callgrind, answers)
                    if each.pool is not None:
                        each.pool.close()
    if shutil.which("nginx"):
        with tempfile.TemporaryDirectory() as folder:
            callgrind = Callgrind(Path(folder))
            with serving.nginx(callgrind.command) as each:
                yield "nginx", count_whole(each, callgrind, answers)


# --- the lane part by part -------------------------------------------------------------------------------------------


@contextmanager
def _conversation(callgrind: Callgrind) -> Iterator[subprocess.Popen[str]]:
    command = [*callgrind.command, sys.executable, "-m", "benchmarks.answer_parts"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


def parts(answers: int) -> dict[str, Count]:
    """Return what each of `answer_parts.NAMES` costs, less what the loop around it does."""
    found: dict[str, Count] = {}
    with ExitStack() as stack:
        callgrind = Callgrind(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        process = stack.enter_context(_conversation(callgrind))
        assert process.stdin is not None
        assert process.stdout is not None

        def say(line: str, reply: str) -> None:
            process.stdin.write(f"{line}\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            assert process.stdout.readline() == f"{reply}\n", f"{line!r} was not answered"  # type: ignore[union-attr]

        for name in NAMES:
            say(f"{name} {WARM_UP}", "ready")
            say("", "done")
            if not found:
                callgrind.begin(process.pid)
            counts = []
            for _ in range(2):
                say(f"{name} {answers}", "ready")
                callgrind.zero(process.pid)
                say("", "done")
                counts.append(callgrind.read(process.pid))
            found[name] = _count(counts, answers)
        process.stdin.close()
    nothing = found.pop("nothing")
    return {
        name: Count(each.first - nothing.first, each.second - nothing.second, each.shares)
        for name, each in found.items()
    }


def breakdown(whole_lane: Count, by_part: dict[str, Count]) -> dict[str, float]:
    """Return the instructions of an answer of the full lane, part by part; they add up to the whole."""
    of = {name: each.second for name, each in by_part.items()}
    rows = {
        "the request, known by its digest": of["request known by its digest"],
        "key": of["key"],
        "limits in requests and bytes": of["key and limits"] - of["key"],
        "cutting and counting": of["cut and count"],
        "fresh bytes of the system, outside the kernel": of["system's bytes"],
        "mixing": of["mixing"] - of["system's bytes"],
    }
    rows["head, joining, and what holds these together"] = of["lane, full"] - sum(rows.values())
    rows["turn of the loop, reading, writing"] = whole_lane.second - sum(rows.values())
    return rows


# --- the page --------------------------------------------------------------------------------------------------------


def page(by_variant: dict[str, Count], by_part: dict[str, Count], answers: int) -> str:
    """Return this part of the page as Markdown."""
    bare = by_variant["bare"].second
    lines = [
        f"Written by `make instructions`; `benchmarks/instructions.py` says what is counted. {answers:,} answers of",
        f"1 KiB, counted twice by Callgrind on {processor()}: instructions of the thread that",
        "has the event loop, outside the kernel. This client, as most, sends each request in the same bytes, and the",
        "lane does not read them again; the last row of all is one whose requests are read.",
        "",
        "| variant | instructions of an answer | of bare | two counts apart | most in |",
        "|---|---:|---:|---:|---|",
    ]
    for name, each in by_variant.items():
        most = ", ".join(f"{library} {cost:,.0f}" for library, cost in list(each.shares.items())[:4])
        lines.append(f"| {name} | {each.second:,.0f} | {each.second / bare:.2f} | {each.apart:.1%} | {most} |")
    lines += ["", "| part of an answer of the full lane | instructions |", "|---|---:|"]
    rows = breakdown(by_variant["full lane"], by_part)
    lines += [f"| {name} | {cost:,.0f} |" for name, cost in rows.items()]
    lines += ["", "| run by itself, without a socket | instructions | two counts apart |", "|---|---:|---:|"]
    lines += [f"| {name} | {each.second:,.0f} | {each.apart:.1%} |" for name, each in by_part.items()]
    return "\n".join(lines)


def main() -> None:
    """Count, and write the page or print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--answers", type=int, default=2000)
    parser.add_argument("--parts", action="store_true", help="the parts alone, as JSON")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("valgrind is needed: apt-get install valgrind")
    by_part = parts(options.answers)
    if options.parts:
        print(json.dumps({name: round(each.second) for name, each in by_part.items()}, indent=1))
        return
    by_variant = dict(whole(options.answers))
    if options.json:
        figures = {name: each.second for name, each in (by_variant | by_part).items()}
        print(json.dumps(figures | {"parts": breakdown(by_variant["full lane"], by_part)}, indent=1))
    else:
        put_section("Instructions", page(by_variant, by_part, options.answers))
        costs = " | ".join(f"{each.second / 1000:.1f}" for each in by_variant.values())
        add_row("Instructions by machine", f"| {processor()}, {time.strftime('%Y-%m-%d', time.gmtime())} | {costs} |")


if __name__ == "__main__":
    main()
