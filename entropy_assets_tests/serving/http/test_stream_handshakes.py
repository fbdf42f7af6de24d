"""Handshakes of ``/stream`` that come to nothing, which are no failures of the service."""

import asyncio
import json
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.exceptions import InvalidStatus

from entropy_assets.errors import QuotaUnavailable
from entropy_assets.serving.access.meter import Meter
from entropy_assets.serving.config import ServiceConfig
from entropy_assets_tests.serving.http.streaming import open_stream, wait_until
from entropy_assets_tests.serving.running import RunningService


@contextmanager
def listening(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Hear what uvicorn logs; it takes other listeners away when a service is made."""
    log = logging.getLogger("uvicorn.error")
    log.addHandler(caplog.handler)
    yield
    log.removeHandler(caplog.handler)


def test_a_refused_handshake_is_no_error(config: ServiceConfig, caplog: pytest.LogCaptureFixture) -> None:
    """Else anybody could fill the log with errors; what is refused is counted."""
    with RunningService(config) as service, listening(caplog):
        for _ in range(3):
            with pytest.raises(InvalidStatus) as refused, open_stream(service, "?class=secret"):
                pass
            assert json.loads(refused.value.response.body or b"")["status"] == 422
    assert _errors(caplog) == []


def _errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_client_that_leaves_before_it_is_refused_is_no_error(
    config: ServiceConfig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def later(*_: object) -> None:
        await asyncio.sleep(0.2)
        raise QuotaUnavailable("the server that keeps the quotas is away")

    monkeypatch.setattr(Meter, "started", later)
    with RunningService(config) as service, listening(caplog):
        with socket.create_connection(("127.0.0.1", service.port)) as raw:
            raw.sendall(
                b"GET /stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
        wait_until(lambda: service.application.service.counts["refused_quota-unavailable"] == 1)
    assert _errors(caplog) == []
