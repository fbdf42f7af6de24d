"""Documented answers, replayed: by a reader without a network, and by a server over real TLS where the reader is."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from entropy_assets.recipe import STANDARD
from entropy_assets.sources.camera import SimulatedCamera
from entropy_assets.sources.feeds.configuration import parsed
from entropy_assets.sources.feeds.interface import FeedError, Reader, WebAnswer
from entropy_assets.sources.feeds.tables.fields import FeedTable, WebTable
from entropy_assets.stores.inboxes.origins import Origin

NOW = datetime(2026, 11, 29, 8, 33, 5, tzinfo=UTC)
"""The present of these tests, within a second of 2026-11-29T08:33:05Z, day 333 of its year."""


def clock() -> datetime:
    return NOW


def at(text: str) -> Callable[[], datetime]:
    """Return a clock that stands at a time."""
    return lambda: datetime.fromisoformat(text)


def table_of(kind: str, **fields: object) -> FeedTable:
    """Return the table of a feed as its file would give it."""
    # strings, numbers and lists of JSON are those of TOML
    lines = [f"{name} = {json.dumps(value)}" for name, value in fields.items()]
    return parsed("\n".join(["[feed.mine]", f"kind = {kind!r}", *lines]).encode(), STANDARD).feeds["mine"]


@dataclass(frozen=True)
class Question:
    url: str
    query: Mapping[str, str]
    secret: Mapping[str, str]
    form: Mapping[str, str]


Said = bytes | FeedError | Callable[[Question], "bytes | FeedError"]


@dataclass
class Replay:
    """A reader that answers from a table by URL; what is not in it is missing, as the real one tells it."""

    answers: Mapping[str, Said]
    asked: list[Question] = field(default_factory=list)
    read_bytes: int = 0

    def document(
        self,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        secret: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> WebAnswer:
        question = Question(url, query or {}, secret or {}, form or {})
        self.asked.append(question)
        said = self.answers.get(url, FeedError("there is nothing", fault="missing"))
        told = said(question) if callable(said) else said
        if isinstance(told, FeedError):
            raise told
        return WebAnswer(url=url, data=told)

    def image(
        self, url: str, *, secret: Mapping[str, str] | None = None, known: Origin | None = None
    ) -> WebAnswer | None:
        answer = self.document(url, secret=secret)
        etag = f'"{len(answer.data)}"'
        if known is not None and known.etag == etag:
            return None
        return WebAnswer(url=url, data=answer.data, etag=etag, last_modified="Sun, 29 Nov 2026 08:00:00 GMT")

    @property
    def urls(self) -> list[str]:
        return [question.url for question in self.asked]


def fits() -> bytes:
    """Return a FITS file of one exposure."""
    camera = SimulatedCamera(np.random.default_rng(1).bytes, (32, 32), clock=clock)
    return camera.expose(NOW)


def picture(form: str) -> bytes:
    """Return a picture in a container of Pillow's."""
    file = BytesIO()
    Image.fromarray(np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)).save(file, form)
    return file.getvalue()


@contextmanager
def served(
    table: WebTable, answers: Mapping[str, Said], headers: Mapping[str, str] | None = None
) -> Iterator[tuple[Reader, list[str]]]:
    """Give a real reader whose servers, by their true names and over TLS, are one of this machine.

    It gives the targets that were asked for as well. Answers are told by URL, as `Replay` has them.
    """
    reader_room = pytest.importorskip("entropy_assets.sources.feeds.web.reader", reason="the reader is not there yet")
    from entropy_assets.sources.feeds.web.hosts import HostRules  # type: ignore[import-not-found]
    from entropy_assets.sources.feeds.web.limits import Clock, WebLimits  # type: ignore[import-not-found]
    from entropy_assets.sources.feeds.web.networks import Network, connect  # type: ignore[import-not-found]
    from entropy_assets.sources.feeds.web.pacing import Pacing  # type: ignore[import-not-found]
    from entropy_assets_tests.sources.feeds.fault_server import (  # type: ignore[import-not-found]
        Asked,
        Certificates,
        FakeClock,
        FaultServer,
        answer,
    )

    fake = FakeClock(NOW.timestamp())
    certificates = Certificates()
    names = {host.partition(":")[0] for host in table.allowed_hosts}

    def told(said: Said) -> Callable[[Asked], Iterator[bytes]]:
        def parts(asked: Asked) -> Iterator[bytes]:
            form = dict(pair.split("=", 1) for pair in asked.body.decode().split("&") if pair)
            host = asked.header("host")
            question = Question(f"https://{host}{asked.path}", asked.query, {}, form)
            data = said(question) if callable(said) else said
            assert isinstance(data, bytes)
            yield answer(data, headers=dict(headers or {}))

        return parts

    with FaultServer(certificates.serving(*names)) as server:
        for url, said in answers.items():
            server.give(urlsplit(url).path, told(said))
        network = Network(
            lambda host, _: ["8.8.8.8"], lambda _, __, seconds: connect("127.0.0.1", server.port, seconds)
        )
        pacing = Pacing(Clock(fake.monotonic, fake.now, fake.sleep, lambda: 0.5))
        reader = reader_room.HttpReader(
            "mine",
            HostRules(table.allowed_hosts),
            pacing=pacing,
            limits=WebLimits(image_bytes=table.max_file_bytes),
            network=network,
            tls=certificates.trusting(),
        )
        targets: list[str] = []
        yield reader, targets
        targets += [asked.target for asked in server.asked]
