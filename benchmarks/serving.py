"""The service against the server it runs on: requests per second, latency, and what a frozen pool costs.

``python -m benchmarks.serving [--json] [--rounds N] [--seconds S]``; needs wrk, and nginx for its row. One worker.
It writes its part of ``benchmarks/SERVING.md``, with a row for this machine.

Every variant answers ``GET`` with 1 KiB. They take turns, round by round, so that a busy machine hits all alike; the
figures are medians over the rounds. Where there are two cores, the server has one to itself, and load generator and
Valkey share the other.

``bare`` is an ASGI application that returns a constant, on the same uvicorn with the same settings. ``round trip`` is
one that leases a block from Valkey for each request. ``plain`` is the service without keys, limits and mixing (public
class); ``full`` has an API key, limits in requests and bytes, and private mixing on; both answer through ASGI, and
with ``lane`` inside the protocol.
"""

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.serving_page import add_row, processor, put_section
from entropy_assets.core.conditioning.records import block_id_of
from entropy_assets.stores.pool.blocks import PoolBlock
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer

SIZE = 1024
CONNECTIONS = 64
RESERVE = 1.3
"""Bytes that a pool holds before a round, times what the fastest round so far took."""
FIRST_GUESS = 110_000
"""Requests per second that the pool is filled for before anything was measured."""
LOAD_CORE = max(os.sched_getaffinity(0))
SERVER_CORE = min(os.sched_getaffinity(0))
FREEZE_S = 0.3


@dataclass
class Variant:
    """One server under load."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    pool: PoolClient | None = None
    block_len: int = 4096
    headers: tuple[str, ...] = ()
    rates: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    errors: int = 0


def fill(pool: PoolClient, n_bytes: int, block_len: int) -> None:
    """Push fresh blocks until `n_bytes` are ready in each lane."""
    for lane, ready in pool.stats().lanes.items():
        missing = n_bytes - ready.bytes
        while missing > 0:
            blocks = []
            for _ in range(512):
                data = os.urandom(block_len)
                sha256 = hashlib.sha256(data).hexdigest()
                made_us = time.time_ns() // 1000
                blocks.append(PoolBlock(block_id_of(sha256), data, sha256, 9.0, made_us, lane=lane))
            pool.push(blocks)
            missing -= 512 * block_len


def load(variant: Variant, seconds: int) -> float:
    """Put load on a variant, note what came out, and return the requests per second."""
    command = [
        "taskset",
        "-c",
        str(LOAD_CORE),
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds}s",
        "--latency",
        variant.url,
    ]
    for header in variant.headers:
        command += ["-H", header]
    before = cpu_seconds(variant.process.pid)
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])  # type: ignore[index]
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", output).groups()  # type: ignore[union-attr]
    requests = int(re.search(r"(\d+) requests in", output)[1])  # type: ignore[index]
    variant.cpu_us.append(1e6 * (cpu_seconds(variant.process.pid) - before) / requests)
    variant.rates.append(rate)
    variant.p99_ms.append(float(value) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit])
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    variant.errors += int(failed[1]) if failed else 0
    return rate


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a server and its children took so far."""
    total = 0.0
    for each in (pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(") ")[2].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a server on its core."""
    return subprocess.Popen(["taskset", "-c", str(SERVER_CORE), *arguments])  # noqa: S607 - found on PATH by design


def wait_for(port: int) -> None:
    """Wait until something listens on `port`; under valgrind that takes minutes on a busy machine."""
    for _ in range(6000):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


@contextlib.contextmanager
def nginx(under: Sequence[str] = ()) -> Iterator[Variant]:
    """Serve a static file of 1 KiB with one nginx worker; with `under`, by a command that runs it as one process."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        folder.chmod(0o755)
        (folder / "kib").write_bytes(os.urandom(SIZE))
        (folder / "conf").write_text(
            f"daemon off; master_process {'off' if under else 'on'}; worker_processes 1;"
            f"pid {folder}/pid; error_log {folder}/err;"
            "events { worker_connections 512; } http { access_log off; sendfile on; keepalive_requests 100000000;"
            f"server {{ listen 127.0.0.1:{port}; root {folder}; }} }}"
        )
        process = start([*under, "nginx", "-c", str(folder / "conf"), "-p", str(folder), "-e", str(folder / "err")])
        wait_for(port)
        try:
            yield Variant("nginx", f"http://127.0.0.1:{port}/kib", process)
        finally:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def pool_server() -> Iterator[str]:
    """Run a Valkey on the load's core, and give its address: TCP, as that of a pool that several machines share."""
    port = free_port()
    listens = {"port": str(port), "bind": "127.0.0.1", "protected-mode": "no"}
    with EmbeddedServer(max_memory_bytes=8 * 2**30, overrides=listens) as server:
        os.sched_setaffinity(server.pid or 0, {LOAD_CORE})
        yield f"redis://127.0.0.1:{port}"


@contextlib.contextmanager
def variant(
    name: str, path: str, pool_url: str, *, block_len: int = 4096, key: bool = False, under: Sequence[str] = ()
) -> Iterator[Variant]:
    """Run one variant of `benchmarks.serving_app`; with `under`, by a command that runs it, and with much held."""
    port, prefix = free_port(), name.replace(" ", "-")
    with tempfile.TemporaryDirectory() as folder:
        app = [
            sys.executable,
            "-m",
            "benchmarks.serving_app",
            name,
            str(port),
            pool_url,
            prefix,
            folder,
            *["held"] * bool(under),
        ]
        process = start([*under, *app])
        pool = None if name == "bare" else PoolClient.from_url(pool_url, prefix=prefix, ttl_s=3600)
        try:
            wait_for(port)
            headers = (f"X-API-Key: {Path(folder, 'key').read_text()}",) if key else ()
            yield Variant(name, f"http://127.0.0.1:{port}{path}", process, pool, block_len, headers)
        finally:
            process.terminate()
            process.wait()


def compare(rounds: int, seconds: int) -> list[Variant]:
    """Let all variants take turns."""
    public, private = f"/random/{SIZE}?class=public", f"/random/{SIZE}"
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(pool_server())
        variants = [
            stack.enter_context(variant("bare", private, url)),
            stack.enter_context(variant("round trip", private, url, block_len=SIZE)),
            stack.enter_context(variant("plain", public, url)),
            stack.enter_context(variant("plain lane", public, url)),
            stack.enter_context(variant("full", private, url, key=True)),
            stack.enter_context(variant("full lane", private, url, key=True)),
        ]
        if shutil.which("nginx"):
            variants.append(stack.enter_context(nginx()))
        for _ in range(rounds):
            for each in variants:
                if each.pool is not None:
                    rate = max(each.rates, default=FIRST_GUESS)
                    fill(each.pool, int(RESERVE * rate * (seconds + 0.5) * SIZE), each.block_len)
                    time.sleep(0.3)
                load(each, seconds)
        for each in variants:
            if each.pool is not None:
                each.pool.close()
    return variants


def freeze() -> dict[str, float]:
    """Ask 1,000 times a second on one connection while Valkey stands still; return the latencies, ms."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(EmbeddedServer(max_memory_bytes=2**30))
        each = stack.enter_context(variant("plain lane", "/", server.url))
        fill(each.pool, 100 * 2**20, 4096)  # type: ignore[arg-type]
        port = int(each.url.split(":")[2].rstrip("/"))
        link = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = b"GET /random/1024?class=public HTTP/1.1\r\nHost: localhost\r\n\r\n"
        latencies: list[float] = []
        frozen: list[float] = []
        begun = time.perf_counter()
        stops, conts = begun + 3.0, begun + 3.0 + FREEZE_S
        state = "before"
        for tick in range(5000):
            due = begun + tick / 1000
            while (now := time.perf_counter()) < due:
                pass
            if state == "before" and now >= stops:
                os.kill(server.pid or 0, signal.SIGSTOP)
                state = "frozen"
            elif state == "frozen" and now >= conts:
                os.kill(server.pid or 0, signal.SIGCONT)
                state = "after"
            link.sendall(request)
            answer = link.recv(65536)
            while len(answer) < SIZE:
                answer += link.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
            (frozen if state == "frozen" else latencies).append(1000 * (time.perf_counter() - max(due, now)))
    return {
        "worst_frozen_ms": max(frozen),
        "requests_while_frozen": float(len(frozen)),
        "p99_else_ms": sorted(latencies[500:])[int(0.99 * len(latencies[500:]))],
        "worst_else_ms": max(latencies[500:]),
    }


def pool_times() -> dict[str, float]:
    """Return what a lease of 64 blocks and a push of 1,000 cost, ms."""
    with EmbeddedServer(max_memory_bytes=2**30) as server:
        pool = PoolClient.from_url(server.url)
        fill(pool, 4096 * 64 * 400, 4096)
        leases, pushes = [], []
        for _ in range(350):
            begun = time.perf_counter()
            assert len(pool.lease(64).blocks) == 64
            leases.append(1000 * (time.perf_counter() - begun))
        for _ in range(10):
            data = [os.urandom(4096) for _ in range(1000)]
            hashes = [hashlib.sha256(each).hexdigest() for each in data]
            blocks = [PoolBlock(block_id_of(h), d, h, 9.0, 1) for d, h in zip(data, hashes, strict=True)]
            begun = time.perf_counter()
            assert len(pool.push(blocks).pushed) == 1000
            pushes.append(1000 * (time.perf_counter() - begun))
        pool.close()
    return {
        "lease_64_p50_ms": statistics.median(leases),
        "lease_64_p99_ms": sorted(leases)[int(0.99 * len(leases))],
        "push_1000_worst_ms": max(pushes),
    }


TARGETS = (
    ("plain", "bare", 0.75),
    ("plain", "round trip", 3.0),
    ("full", "bare", 0.65),
    ("plain lane", "bare", 1.5),
    ("plain lane", "nginx", 0.4),
    ("full lane", "bare", 1.0),
)
"""Variant, yardstick, and the least that the ratio of their requests per second should be."""


def report(variants: list[Variant]) -> dict[str, Any]:
    """Return the figures, and the ratios that the targets name: medians over the rounds."""
    by_name = {each.name: each for each in variants}
    variants = {
        each.name: {
            "requests_per_s": statistics.median(each.rates),
            "p99_ms": statistics.median(each.p99_ms),
            "cpu_us": statistics.median(each.cpu_us),
            "errors": each.errors,
        }
        for each in variants
    }
    ratios = []
    for name, yardstick, least in TARGETS:
        if yardstick not in by_name:
            continue
        one, other = by_name[name], by_name[yardstick]
        pairs = [a / b for a, b in zip(one.rates, other.rates, strict=True)]
        cpu = [b / a for a, b in zip(one.cpu_us, other.cpu_us, strict=True)]
        ratios.append(
            {
                "variant": name,
                "yardstick": yardstick,
                "requests": statistics.median(pairs),
                "cpu": statistics.median(cpu),
                "least": least,
            }
        )
    return {"variants": variants, "ratios": ratios}


def tables(results: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    lines = [
        "Written by `make serving`; `benchmarks/serving.py` says how. GET of 1 KiB, one worker,",
        f"{CONNECTIONS} connections, medians over the rounds; CPU is the server's own time for a request;",
        f"the pool is reached by TCP. On {processor()}, load average {os.getloadavg()[2]:.1f} over 15 minutes.",
        "",
        "| variant | requests/s | p99, ms | CPU, us | refused |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, row in results["variants"].items():
        rate, p99_ms = f"{row['requests_per_s']:,.0f}", f"{row['p99_ms']:.2f}"
        lines.append(f"| {name} | {rate} | {p99_ms} | {row['cpu_us']:.1f} | {row['errors']} |")
    lines += ["", "| ratio | requests/s | per CPU second | target |", "|---|---:|---:|---:|"]
    for row in results["ratios"]:
        missed = ", missed" if row["requests"] < row["least"] else ""
        name = f"{row['variant']} / {row['yardstick']}"
        lines.append(f"| {name} | {row['requests']:.2f} | {row['cpu']:.2f} | {row['least']:g}{missed} |")
    lines += ["", "| what | ms | target |", "|---|---:|---:|"]
    targets = {"worst_frozen_ms": 5, "lease_64_p99_ms": 3, "push_1000_worst_ms": 500}
    for part in ("frozen pool", "pool"):
        for name, value in results[part].items():
            most = targets.get(name)
            target = "" if most is None else f"{most}, missed" if value > most else str(most)
            lines.append(f"| {part}: {name.removesuffix('_ms').replace('_', ' ')} | {value:.2f} | {target} |")
    return "\n".join(lines)


def machine_row(results: dict[str, Any]) -> str:
    """Return what the table of machines says of this one."""
    cpu = {name: row["cpu_us"] for name, row in results["variants"].items()}
    ratios = {(row["variant"], row["yardstick"]): row for row in results["ratios"]}
    pairs = [(name, "bare") for name in ("plain lane", "full lane", "plain", "full")] + [("plain lane", "nginx")]
    shown = [f"{row['requests']:.2f}; {row['cpu']:.2f}" if (row := ratios.get(pair)) else "" for pair in pairs]
    costs = ", ".join(f"{cpu[name]:.1f}" for name in ("bare", "plain lane", "full lane", "plain", "full"))
    day = time.strftime("%Y-%m-%d", time.gmtime())
    return f"| {processor()}, load {os.getloadavg()[2]:.0f}, {day} | {' | '.join(shown)} | {costs} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=2)
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is needed: apt-get install wrk")
    os.sched_setaffinity(0, {LOAD_CORE})
    results = report(compare(options.rounds, options.seconds)) | {"frozen pool": freeze(), "pool": pool_times()}
    if options.json:
        print(json.dumps(results))
    else:
        put_section("Times", tables(results))
        add_row("Times by machine", machine_row(results))


if __name__ == "__main__":
    main()
