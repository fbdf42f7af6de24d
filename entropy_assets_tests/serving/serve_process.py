"""``entropy-assets serve`` as a process of its own, with what it logs."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from entropy_assets_tests.ports import free_port


class ServeProcess:
    """Serve the pool at `pool_url` while the ``with`` statement lasts.

    Parameters
    ----------
    pool_url
        The pool's server.
    folder
        For home and log.
    **environment
        Further settings, ``ENTROPY_...``.
    """

    def __init__(self, pool_url: str, folder: Path, *options: str, **environment: str) -> None:
        self.log_path = folder / "serve.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, "-m", "entropy_assets.cli", "serve", "--port", str(self.port), *options]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ENTROPY_")}
        named = "ENTROPY_REDIS_URLS" if "\n" in pool_url else "ENTROPY_REDIS_URL"
        own = {named: pool_url, "ENTROPY_HOME": str(folder / "home")}
        self._environment = {**inherited, **own, **environment}

    def __enter__(self) -> Self:
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(self._command, env=self._environment, stderr=log, stdout=log)
        self.client = httpx.Client(base_url=self.url, timeout=60)
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None, self.log_path.read_text()
            assert time.monotonic() < deadline, self.log_path.read_text()
            time.sleep(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        self.process.terminate()
        self.process.wait(20)

    def lines(self) -> list[dict[str, Any]]:
        """Return what was logged so far; every line must be an object."""
        return [json.loads(line) for line in self.log_path.read_text().splitlines()]

    def events(self) -> list[str]:
        """Return the names of what happened."""
        return [line["event"] for line in self.lines()]

    def _answers(self) -> bool:
        try:
            return self.client.get("/livez").is_success
        except httpx.TransportError:
            return False
