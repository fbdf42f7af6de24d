"""Debian's chromium without a window, over its DevTools protocol."""

import base64
import io
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import httpx
from PIL import Image
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # chromium refuses to run as root with it
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
PATIENCE_S = 90.0


class Browser:
    """One page of a browser that nobody used before."""

    def __init__(self, page: ClientConnection) -> None:
        self._page = page
        self._sent = 0
        self.events: list[dict[str, Any]] = []

    @classmethod
    @contextmanager
    def opened(cls, program: str, profile: Path, width: int = 1400, height: int = 800) -> Iterator[Self]:
        command = [program, *FLAGS, f"--window-size={width},{height}", f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            # no pings: on a busy machine the browser answers them late, and every call has its own patience
            address = _page_address(profile)
            with connect(address, max_size=2**26, open_timeout=PATIENCE_S, ping_interval=None) as page:
                browser = cls(page)
                browser.resize(width, height)
                yield browser
                with suppress(ConnectionClosed):  # which it may be before it answers
                    browser.call("Browser.close")
        finally:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and give its result; events that come meanwhile are kept in `events`."""
        self._sent += 1
        self._page.send(json.dumps({"id": self._sent, "method": method, "params": parameters}))
        while (answer := json.loads(self._page.recv(timeout=PATIENCE_S))).get("id") != self._sent:
            self.events.append(answer)
        assert "error" not in answer, answer["error"]
        return dict(answer["result"])

    def watch(self) -> None:
        """Keep what the page logs, breaks and asks for from now on."""
        for domain in ("Log", "Runtime", "Network"):
            self.call(f"{domain}.enable")

    def complaints(self) -> list[str]:
        """Give the errors and warnings since `watch`: of scripts, of the page's policy, of requests."""
        self.evaluate("0")  # what came before the answer has come
        found = []
        for event in self.events:
            told = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                found.append(json.dumps(told["exceptionDetails"]))
            elif event["method"] == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
                found.append(f"{told['entry']['source']}: {told['entry']['text']} {told['entry'].get('url', '')}")
            elif event["method"] == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
                found.append(json.dumps(told["args"]))
        return found

    def asked_for(self) -> list[str]:
        """Give the address of every request since `watch`, data: and blob: left out."""
        self.evaluate("0")
        sent = [event["params"] for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [told["request"]["url"] for told in sent if not told["request"]["url"].startswith(("data:", "blob:"))]

    def prefer(self, **features: str) -> None:
        """Set media features, e.g. ``prefers_color_scheme="dark"``."""
        wanted = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", features=wanted)

    def resize(self, width: int, height: int, *, mobile: bool = False) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def evaluate(self, script: str) -> Any:
        """Give what a JavaScript expression is worth."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        return answer["result"].get("value")

    def text(self) -> str:
        """Give the text that a reader sees."""
        return str(self.evaluate("document.body ? document.body.innerText : ''"))

    def wait_for(self, *words: str) -> str:
        """Wait until all `words` are on the page, and give its text."""
        deadline = time.monotonic() + PATIENCE_S
        while missing := [word for word in words if word not in (text := self.text())]:
            assert time.monotonic() < deadline, f"{missing} not on the page:\n{text[:3000]}"
            time.sleep(0.2)
        return text

    def wait_until(self, script: str) -> None:
        """Wait until a JavaScript expression is true."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.evaluate(script):
            assert time.monotonic() < deadline, f"never true: {script}\n{self.text()[:3000]}"
            time.sleep(0.2)

    def click(self, text: str, selector: str = "button, a, [role=button]") -> None:
        """Click the first element of `selector` that shows `text`, once it is there."""
        matching = f"[...document.querySelectorAll({json.dumps(selector)})]"
        found = f"{matching}.find(element => element.innerText.trim() === {json.dumps(text)})"
        self.wait_until(f"!!{found}")
        self.evaluate(f"{found}.click()")

    def still(self) -> None:
        """Wait until the page has looked the same for a second."""
        deadline = time.monotonic() + PATIENCE_S
        before, now = "", self.picture()
        while now != before and time.monotonic() < deadline:
            time.sleep(1.0)
            before, now = now, self.picture()

    def picture(self) -> str:
        """Give what is seen as PNG, in base64."""
        return str(self.call("Page.captureScreenshot", format="png")["data"])

    def screenshot(self, path: Path) -> Path:
        """Write what is seen as PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.picture()))
        return path

    def whole_page(self, path: Path) -> Path:
        """Write all that one can scroll to as PNG, in 256 colours: a gradient in full colour is most of the file."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        seen = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        path.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(io.BytesIO(base64.b64decode(seen))) as picture:
            few = picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
            few.save(path, optimize=True)
        return path


def _page_address(profile: Path) -> str:
    """Give the DevTools address of the first page, once the browser listens and has one."""
    deadline = time.monotonic() + PATIENCE_S
    note = profile / "DevToolsActivePort"
    while True:
        port, whole, _ = note.read_text().partition("\n") if note.exists() else ("", "", "")
        targets = httpx.get(f"http://127.0.0.1:{port}/json/list", timeout=PATIENCE_S).json() if whole else []
        pages = [target["webSocketDebuggerUrl"] for target in targets if target["type"] == "page"]
        if pages:
            return str(pages[0])
        assert time.monotonic() < deadline, "chromium did not start"
        time.sleep(0.05)
