"""What there is outside of an installation over a day: six places that make images, and what goes wrong with them.

telescope    a folder, a frame each half hour; away for hours 13 to 16.5
observatory  a folder of a web server, a frame each half hour, every sixth of which is blank; 429 for hours 4 to 5.5,
             pages for images for hours 17 to 18.5
mirror       a bucket with the telescope's frames under other names, every eighth in another container
coronagraph  a bucket by day, a frame each half hour
sun          one URL, a JPEG each quarter of an hour; the same one from hour 18 to hour 22
camera       a command, a frame each half hour; the same one from hour 6 to hour 8

Every seventh answer of a server is a 503. All but the telescope are down for hours 8 to 11, all but the
coronagraph for hours 13 to 15, and all for hours 15 to 16.5.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from entropy_assets.sources.feeds.interface import Feed, Reader
from entropy_assets.sources.feeds.making import Means, feed_of
from entropy_assets.sources.feeds.tables.fields import FeedTable, WebTable
from entropy_assets.sources.feeds.web.hosts import HostRules
from entropy_assets.sources.feeds.web.limits import Clock as WebClock
from entropy_assets.sources.feeds.web.limits import WebLimits
from entropy_assets.sources.feeds.web.networks import Network, connect
from entropy_assets.sources.feeds.web.pacing import Pacing
from entropy_assets.sources.feeds.web.reader import HttpReader
from entropy_assets_tests.images.image_files import fits
from entropy_assets_tests.sources.feeds.fault_server import Asked, Certificates, FaultServer, answer
from entropy_assets_tests.stages.batches_made import frame

HOUR: Final = 3600
SIDE, SUN_SIDE, BLANK_SIDE = 512, 576, 256
"""Pixels of a row of a frame, of a picture of the sun, and of a blank frame."""
NAMES: Final = ("telescope", "observatory", "mirror", "coronagraph", "sun", "camera")
ONE_PLACE: Final = ("sun", "camera")
"""Those that show the newest image alone: one that is gone can't be had any more."""
HOSTS: Final = {
    "frames.example.org": "observatory",
    "mirror.example.org": "mirror",
    "noaa-nesdis-swfo-ccor-1-pds.s3.amazonaws.com": "coronagraph",
    "sdo.gsfc.nasa.gov": "sun",
}
SOURCES: Final = """
[feed.telescope]
kind = "folder"
path = "{root}/shown-telescope"
claim = "raw-ccd"
settle_seconds = 0
from_the_oldest = true
cadence_seconds = 1800
max_age_seconds = 28800

[feed.observatory]
kind = "http-directory"
url = "https://frames.example.org/raw/"
claim = "raw-ccd"
cadence_seconds = 1800

[feed.mirror]
kind = "public-bucket"
base = "https://mirror.example.org/"
prefix = "copies/{{year}}/{{month}}/{{day}}/"
claim = "raw-ccd"
cadence_seconds = 1800

[feed.coronagraph]
kind = "goes19-ccor1"
cadence_seconds = 1800

[feed.sun]
kind = "sdo-latest"
max_age_seconds = 7200

[feed.camera]
kind = "command"
command = ["/bin/cat", "{root}/shown-camera/camera.fits"]
frames = "raw"
claim = "raw-ccd"
cadence_seconds = 1800
max_age_seconds = 7200
"""


@dataclass(slots=True)
class DayClock:
    """The clock of the day, which stands until it is set. Servers' waits pass by a copy of it that goes on alone."""

    now: float
    _web: float = 0.0

    def __call__(self) -> float:
        return self.now

    def time_ns(self) -> int:
        return int(self.now * 1e9)

    def utc(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)

    def web(self) -> float:
        self._web = max(self._web, self.now)
        return self._web

    def sleep(self, seconds: float) -> None:
        self._web = self.web() + seconds


@dataclass(slots=True)
class Place:
    """What one of the six has: files in a folder, by name the time at which each came; and all that it ever had."""

    folder: Path
    times: dict[str, float] = field(default_factory=dict)
    made: dict[str, float] = field(default_factory=dict)
    """Hashes of all files, with the time at which each came."""

    def add(self, name: str, data: bytes, now: float, *, alone: bool = False) -> None:
        if alone:
            self.times.clear()
        self.times[name], self.made[sha256(data)] = now, now
        path = self.folder / name
        path.write_bytes(data)
        os.utime(path, (now, now))

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def rows(self) -> list[tuple[str, datetime, int]]:
        """Return name, time and length of each file, in the order in which they came."""
        stats = {name: (self.folder / name).stat().st_size for name in self.times}
        return [(name, datetime.fromtimestamp(self.times[name], UTC), size) for name, size in stats.items()]


class World:
    """The six places on the clock of a day.

    Parameters
    ----------
    root
        Where the telescope's folder and the camera's file are.
    clock
        The clock; the day begins at `begins`.
    names
        Those of the six that there are.
    """

    def __init__(self, root: Path, clock: DayClock, names: Sequence[str]) -> None:
        self.root, self.clock, self.begins = root, clock, clock.now
        self.places = {name: Place(root / name) for name in names}
        for place in self.places.values():
            place.folder.mkdir(parents=True)
        self._asked: Counter[str] = Counter()
        self._certificates = Certificates()
        self.server = FaultServer(self._certificates.serving(*HOSTS), else_answer=self._answer)
        self._pacing = Pacing(WebClock(lambda: clock.web() - 1e9, clock.web, clock.sleep, lambda: 0.5))

    @property
    def elapsed_s(self) -> int:
        return round(self.clock.now - self.begins)

    @property
    def hour(self) -> float:
        return self.elapsed_s / HOUR

    def feeds(self, tables: Mapping[str, FeedTable]) -> list[Feed]:
        """Return the feeds of those tables: the shipped ones, whose servers by their true names are one of here."""
        means = Means(self._reader, {}, self.clock.utc)
        return [feed_of(name, table, means) for name, table in tables.items()]

    def is_up(self, name: str) -> bool:
        """Tell whether one of the six has anything to give at this hour."""
        hour = self.hour
        if 15 <= hour < 16.5:
            return False
        return not ((name != "telescope" and 8 <= hour < 11) or (name != "coronagraph" and 13 <= hour < 15))

    def turn(self) -> None:
        """Let everything be as it is at this moment; every image comes at its time, whoever is up."""
        elapsed = self.elapsed_s
        number = elapsed // 1800
        if elapsed % 1800 == 0:
            self._add("telescope", f"t{number:03}.fits", lambda: frame(number, SIDE))
            self._add("mirror", f"m{number:03}.fits", lambda: copy(number))
            self._add("observatory", f"o{number:03}.fits", lambda: exposure(number))
            name = f"c_s{self.clock.utc():%Y%m%dT%H%M%S}Z.fits"
            self._add("coronagraph", name, lambda: frame(2000 + number, SIDE))
            if not 6 <= self.hour < 8:
                self._add("camera", "camera.fits", lambda: frame(3000 + number, SIDE))
        if elapsed % 900 == 0 and not 18 <= self.hour < 22:
            self._add("sun", "sun.jpg", lambda: jpeg(elapsed // 900))
        self._show()

    # --- inside --------------------------------------------------------------------------------------------------

    def _add(self, name: str, file: str, make: Callable[[], bytes]) -> None:
        if name in self.places:
            self.places[name].add(file, make(), self.clock.now, alone=name in ONE_PLACE)

    def _show(self) -> None:
        """Let the telescope's folder and the camera's file be readable, or not there."""
        for name in {"telescope", "camera"} & self.places.keys():
            shown, place = self.root / f"shown-{name}", self.places[name]
            if self.is_up(name) and not shown.is_symlink():
                shown.symlink_to(place.folder)
            elif not self.is_up(name):
                shown.unlink(missing_ok=True)

    def _reader(self, name: str, table: WebTable) -> Reader:
        network = Network(lambda host, _: ["8.8.8.8"], lambda _, __, s: connect("127.0.0.1", self.server.port, s))
        return HttpReader(
            name,
            HostRules(sorted(table.allowed_hosts)),
            pacing=self._pacing,
            limits=WebLimits(image_bytes=table.max_file_bytes),
            network=network,
            tls=self._certificates.trusting(),
        )

    def _answer(self, asked: Asked) -> Iterator[bytes]:
        name = HOSTS[str(asked.header("host"))]
        yield self._fault(name, asked) or self._given(name, asked)

    def _fault(self, name: str, asked: Asked) -> bytes | None:
        if not self.is_up(name):
            return answer(b"down", 503)
        if name == "observatory" and 4 <= self.hour < 5.5:
            return answer(b"slow down", 429, {"Retry-After": "3000"})
        if name == "observatory" and 17 <= self.hour < 18.5 and asked.path.endswith(".fits"):
            return answer(b"<html>maintenance</html>", headers={"Content-Type": "text/html"})
        self._asked[name] += 1
        return answer(b"a moment", 503) if self._asked[name] % 7 == 0 else None

    def _given(self, name: str, asked: Asked) -> bytes:
        place = self.places[name]
        last = asked.path.rpartition("/")[2]
        if name == "sun":
            last = "sun.jpg"
        if last in place.times:
            data = place.read(last)
            return answer(data, headers={"ETag": f'"{sha256(data)[:16]}"', "Content-Type": "application/octet-stream"})
        if name == "observatory":
            return answer(_index(place), headers={"Content-Type": "text/html"})
        return answer(_bucket(place, asked), headers={"Content-Type": "application/xml"})


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def boxed(data: bytes) -> bytes:
    """Return a FITS file with the same pixels and other bytes."""
    assert data.count(b"'SIMULATED'") == 1
    return data.replace(b"'SIMULATED'", b"'RE-PACKED'")


def copy(number: int) -> bytes:
    """Return a frame of the telescope, each eighth of them in another container."""
    data = frame(number, SIDE)
    return boxed(data) if number % 8 == 7 else data


def exposure(number: int) -> bytes:
    """Return a frame of the observatory, each sixth of which its shutter kept dark and its software made flat."""
    if number % 6 == 5:
        return fits(np.full((BLANK_SIDE, BLANK_SIDE), 1000 + number, np.int16))
    return frame(1000 + number, SIDE)


def jpeg(seed: int) -> bytes:
    """Return a picture of something round with the noise of a camera, as good as JPEG has it."""
    generator = np.random.default_rng(seed)
    y, x = np.ogrid[:SUN_SIDE, :SUN_SIDE]
    disc = 100 + 60 * np.sin(x / 97) * np.cos(y / 83)
    codes = np.clip(disc + generator.normal(0, 12, (SUN_SIDE, SUN_SIDE)), 0, 255).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(codes).save(file, "JPEG", quality=97)
    return file.getvalue()


def _index(place: Place) -> bytes:
    rows = [
        f'<a href="{name}">{name}</a>              {came:%d-%b-%Y %H:%M}             {size}'
        for name, came, size in place.rows()
    ]
    return "\n".join(["<h1>Index</h1><hr><pre>", '<a href="../">../</a>', *rows, "</pre>"]).encode()


def _bucket(place: Place, asked: Asked) -> bytes:
    prefix, after = asked.query["prefix"], asked.query.get("start-after", "")
    rows = "".join(
        f"<Contents><Key>{escape(prefix + name)}</Key><LastModified>{came:%Y-%m-%dT%H:%M:%S}.000Z</LastModified>"
        f"<ETag>&quot;{name}&quot;</ETag><Size>{size}</Size></Contents>"
        for name, came, size in place.rows()
        if f"{came:%Y/%m/%d/}" == prefix[-11:] and prefix + name > after
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"
    ).encode()
