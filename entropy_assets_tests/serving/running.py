"""A real uvicorn with the real application on a free port, in a thread."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import httpx
import uvicorn

from entropy_assets.serving.config import ServiceConfig
from entropy_assets.serving.http.app import create_app
from entropy_assets.serving.server.workers import server_options
from entropy_assets.serving.service import ProvenanceReader

PATIENCE_S = 1.0
"""How long a request waits at least for blocks that are on their way, unless long draws have less than three times that
patience: they may take twenty times as long as usual where all the other tests run too, and a refusal for want of them
would be taken for a fault."""


class RunningService:
    """Serve `config` while the ``with`` statement lasts, with some patience; `client` talks to it."""

    def __init__(self, config: ServiceConfig, provenance: ProvenanceReader | None = None) -> None:
        patience_s = max(config.reservoir.wait_s, min(PATIENCE_S, config.streams.patience_s / 3))
        patient = replace(config.reservoir, wait_s=patience_s)
        self.application = create_app(replace(config, reservoir=patient), provenance=provenance)
        options = server_options(fast_lane=config.fast_lane, limits=config.connections)
        self._server = uvicorn.Server(uvicorn.Config(self.application, port=0, lifespan="on", **options))
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive(), "the service did not start"
            time.sleep(0.005)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join(10)
        assert not self._thread.is_alive(), "the service did not stop"

    @property
    def connections(self) -> set[Any]:
        """The protocols of the connections that are open."""
        return self._server.server_state.connections

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Let the service do nothing while the ``with`` statement lasts; what is sent meanwhile waits for it."""
        stands, goes_on = threading.Event(), threading.Event()

        def stand() -> None:
            stands.set()
            goes_on.wait(10)

        self._server.servers[0].get_loop().call_soon_threadsafe(stand)
        assert stands.wait(5)
        try:
            yield
        finally:
            goes_on.set()
