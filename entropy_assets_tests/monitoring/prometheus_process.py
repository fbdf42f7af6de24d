"""A real Prometheus that watches one service by the rules of the project, with seconds for minutes."""

import re
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from entropy_assets_tests.ports import free_port

MONITORING = Path(__file__).resolve().parents[2] / "monitoring"
_WAIT = re.compile(r"^( +for: ).*$", re.MULTILINE)
_WINDOW = re.compile(r"\[\d+m\]")


def quick_rules(window: str = "6s") -> str:
    """Return alerts.yml with ``for: 1s`` and short windows, so that an alert fires and clears while a test waits.

    What the times themselves do is tried by alerts_test.yml.
    """
    return _WINDOW.sub(f"[{window}]", _WAIT.sub(r"\g<1>1s", (MONITORING / "alerts.yml").read_text()))


class Prometheus:
    """Scrape `target` every second while the ``with`` statement lasts.

    Parameters
    ----------
    target
        Host and port of the service.
    folder
        For configuration and data.
    """

    def __init__(self, target: str, folder: Path) -> None:
        self.folder = folder
        self.seen: list[str] = []
        """What of ``ALERTS`` was seen to change, in words."""
        config = (MONITORING / "prometheus.yml").read_text().replace("127.0.0.1:8000", target)
        config = re.sub(r"(scrape|evaluation)_interval: 15s", r"\1_interval: 1s", config)
        config = config.replace("scrape_timeout: 5s", "scrape_timeout: 1s")
        (folder / "prometheus.yml").write_text(config)
        (folder / "alerts.yml").write_text(quick_rules())
        self._port = free_port()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self._port}/api/v1", timeout=10)

    def __enter__(self) -> Self:
        binary = shutil.which("prometheus")
        assert binary is not None
        command = [
            binary,
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--log.level=warn",
        ]
        with (self.folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self.until("a first scrape", lambda: self._ready() and self.query("up == 1"), 60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        self._process.terminate()
        self._process.wait(20)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the instant vector of `expression`; an error of Prometheus fails the test."""
        answer = self.client.get("/query", params={"query": expression}).json()
        assert answer["status"] == "success", (expression, answer)
        return list(answer["data"]["result"])

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        return {row["metric"]["alertname"] for row in self.query('ALERTS{alertstate="firing"}')}

    def fires(self, alert: str, seconds: float = 90) -> None:
        """Wait until `alert` fires."""
        self.until(f"{alert} to fire", lambda: alert in self.firing(), seconds)
        self._note(alert)

    def clears(self, alert: str, seconds: float = 90) -> None:
        """Wait until `alert` does not fire."""
        self.until(f"{alert} to clear", lambda: alert not in self.firing(), seconds)
        self._note(alert)

    def until(self, what: str, look: Any, seconds: float) -> None:
        """Wait until `look` is true."""
        deadline = time.monotonic() + seconds
        while not look():
            assert self._process.poll() is None, (self.folder / "prometheus.log").read_text()
            assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
            time.sleep(0.2)

    def _note(self, alert: str) -> None:
        rows = self.query(f'ALERTS{{alertname="{alert}"}}')
        labels = [",".join(f'{name}="{value}"' for name, value in sorted(row["metric"].items())) for row in rows]
        states = "; ".join(f"ALERTS{{{label}}}" for label in labels) or f"{alert}: none"
        self.seen.append(f"{time.strftime('%H:%M:%S', time.gmtime())} {states}")

    def _ready(self) -> bool:
        try:
            return self.client.get("/query", params={"query": "1"}).is_success
        except httpx.TransportError:
            return False
