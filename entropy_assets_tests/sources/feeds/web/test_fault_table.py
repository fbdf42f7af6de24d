"""The fault table of a whole feed: what a server does, what is seen of it, and that no image is lost or taken twice.

Each row is a folder of a web server with three images (or as many as the row says) that misbehaves for some rounds and
then is well. The feed, its reader, its rounds and the intake are the shipped ones. `test_faults` has many more ways in
which one answer can be wrong.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from entropy_assets.images.limits import DecodeLimits
from entropy_assets.recipe import STANDARD
from entropy_assets.sources.feeds.interface import Reader
from entropy_assets.sources.feeds.kinds.bucket import BucketFeed
from entropy_assets.sources.feeds.kinds.directory import DirectoryFeed
from entropy_assets.stages.intake import finish_intakes, take_batches
from entropy_assets_tests.sources.feeds.fault_server import Answer, Asked, Certificates, answer, bomb, redirect
from entropy_assets_tests.sources.feeds.replaying import table_of
from entropy_assets_tests.sources.feeds.scripted import TERMS, Site, sha256
from entropy_assets_tests.sources.feeds.web.conftest import PUBLIC, Web

NAMES = ("f0.fits", "f1.fits", "f2.fits")
DAY_S = 86_400.0
Fault = Callable[["Observatory", Asked], Answer | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A misbehaviour and what is seen.

    Attributes
    ----------
    fault
        What the server answers instead; None where it answers well.
    sees
        State and a part of the words of the first look.
    names
        What it has.
    brought
        Images that the first look brings all the same.
    rest_s
        How long the feed is left alone afterwards, seconds, at least.
    """

    fault: Fault = lambda place, asked: None
    sees: tuple[str, str]
    names: tuple[str, ...] = NAMES
    brought: int = 0
    rest_s: float = 0.0


class Observatory:
    """A folder of a web server, and whatever is wrong with it."""

    def __init__(self, web: Web, names: tuple[str, ...]) -> None:
        self.web = web
        self.images = {name: b"SIMPLE  =                    T".ljust(2880) + name.encode() * 99 for name in names}
        self.fault: Fault | None = None
        self.asked = 0
        self.date()
        copies = (f"copy-{name}" for name in names)
        for path in ("/", "/raw/", *(f"/raw/{quote(name)}" for name in chain(names, copies))):
            web.server.give(path, self._answer)

    def date(self) -> None:
        """Date all images to the last hours: a minute that is no present one in any zone."""
        self.dated = datetime.fromtimestamp(self.web.clock.now(), UTC) - timedelta(minutes=64)

    def _answer(self, asked: Asked) -> Iterator[bytes]:
        self.asked += 1
        said = None if self.fault is None else self.fault(self, asked)
        said = said or self.given(asked)
        yield from [said] if isinstance(said, bytes) else said(asked)

    def given(self, asked: Asked) -> bytes:
        name = unquote(asked.path.rpartition("/")[2])
        if name in self.images:
            return answer(self.images[name], headers={"Content-Type": "image/fits"})
        if "list-type" in asked.query:
            after = asked.query.get("start-after", "").removeprefix("raw/")
            return bucket(tuple(name for name in self.images if name > after))
        return answer(self.index(), headers={"Content-Type": "text/html"})

    def index(self) -> bytes:
        rows = (
            f'<a href="{quote(name)}">{name}</a>   {self.dated:%d-%b-%Y %H:%M}   {len(data)}'
            for name, data in self.images.items()
        )
        return "\n".join(["<pre>", *rows, "</pre>"]).encode()


def images_alone(said: Answer) -> Fault:
    """Return the fault of a server whose folder is listed, and whose images are this."""
    return lambda place, asked: said if asked.path.endswith(".fits") else None


def drip(place: Observatory, asked: Asked) -> Answer | None:
    if not asked.path.endswith(".fits"):
        return None
    whole = answer(bytes(1 << 16))  # minutes of drops: a reader who comes late does not find all of them there

    def told(_: Asked) -> Iterator[bytes]:
        for at in range(len(whole)):
            yield whole[at : at + 1]
            # The reader's sixty seconds and no more: how many a server turns whose reader has gone is chance, and
            # images of an hour ago wait again when their minute is a present one in another zone.
            place.web.clock.turn(10 if at < 6 else 0)
            time.sleep(0.002)

    return told


def burst(place: Observatory, asked: Asked) -> Answer | None:
    return answer(b"", 503) if place.asked % 3 else None


def shorter(place: Observatory, asked: Asked) -> Answer | None:
    name = asked.path.rpartition("/")[2]
    return answer(place.images[name][:-1], length=len(place.images[name])) if name in place.images else None


def longer(place: Observatory, asked: Asked) -> Answer | None:
    name = asked.path.rpartition("/")[2]
    return answer(place.images[name], length=len(place.images[name]) - 9) if name in place.images else None


def renamed(place: Observatory, asked: Asked) -> Answer | None:
    """Show each image under two names, the second of which is new."""
    place.images |= {f"copy-{name}": data for name, data in list(place.images.items()) if not name.startswith("copy")}
    return None


def turned(place: Observatory, asked: Asked) -> Answer | None:
    """Have the name lead elsewhere from the second look-up on."""
    place.web.names["feed.test"] = [["10.0.0.7"]]
    return None


def ahead(place: Observatory, asked: Asked) -> Answer | None:
    """Date everything by a clock that is a year ahead."""
    place.dated = datetime.fromtimestamp(place.web.clock.now(), UTC) + timedelta(days=365, minutes=7)
    return None


def old(place: Observatory, asked: Asked) -> Answer | None:
    """List what was there three days ago alone."""
    kept = place.dated
    place.dated = kept - timedelta(days=3)
    said = place.given(asked)
    place.dated = kept
    return said


BOMB = bomb(16 << 20)
PAGE = answer(b"<html><title>Down for maintenance</title></html>", headers={"Content-Type": "text/html"})
TABLE: dict[str, Row] = {
    "429 with a long Retry-After": Row(
        fault=lambda place, asked: answer(b"", 429, {"Retry-After": "28700"}),
        sees=("quarantine", "feed.test answers 429"),
        rest_s=28_700,
    ),
    "503 burst": Row(fault=burst, sees=("well", "3 new images"), brought=3),
    "503 for ever": Row(
        fault=lambda place, asked: answer(b"", 503), sees=("quarantine", "feed.test answers 503"), rest_s=225
    ),
    "slow drip": Row(fault=drip, sees=("quarantine", "too long")),
    "truncated body": Row(fault=shorter, sees=("quarantine", "broke off in the middle")),
    "wrong length": Row(fault=longer, sees=("quarantine", "sends more")),
    "gzip bomb": Row(
        fault=lambda place, asked: answer(BOMB, headers={"Content-Encoding": "gzip"}),
        sees=("quarantine", "unpacks to more and more"),
    ),
    "redirect to another host": Row(
        fault=images_alone(redirect("https://evil.test/f0.fits")), sees=("quarantine", "may not ask")
    ),
    "redirect to a private address": Row(
        fault=images_alone(redirect("https://inside.assets.test/f0.fits")),
        sees=("quarantine", "leads to 10.0.0.7, which is no address of the internet"),
    ),
    "DNS that changes": Row(fault=turned, sees=("quarantine", "leads to 10.0.0.7, which is no address")),
    "TLS error": Row(sees=("quarantine", "certificate")),
    "HTML page instead of an image": Row(
        fault=images_alone(PAGE), sees=("quarantine", "sends text/html instead of an image: Down for maintenance")
    ),
    "HTML page instead of a listing": Row(
        fault=lambda place, asked: PAGE, sees=("quarantine", "what feed.test sent as a listing is none")
    ),
    "stale frame": Row(fault=old, sees=("quarantine", "the newest image of mine is of")),
    "clock skew": Row(fault=ahead, sees=("well", "3 new images"), brought=3),
    "duplicate under a new name": Row(fault=renamed, sees=("well", "3 new images, 3 known already"), brought=3),
    "listing of 10,000 entries": Row(
        names=tuple(f"f{number:05}.fits" for number in range(10_000)), sees=("well", "16 new images"), brought=16
    ),
    "listing loop": Row(
        fault=lambda place, asked: None if asked.path.endswith(".fits") else looped(asked),
        sees=("quarantine", "leads in a circle"),
    ),
    "spaces in URLs": Row(
        names=("a b.fits", "c%20d.fits", "é+&#?.fits"), sees=("well", "3 new images"), brought=3
    ),
}  # fmt: skip


def looped(asked: Asked) -> bytes:
    """Return a page of a bucket that says that more follows, and begins anew whatever is asked for."""
    return bucket(("f0.fits",), more=True)


def bucket(names: tuple[str, ...], *, more: bool = False) -> bytes:
    rows = "".join(
        f"<Contents><Key>raw/{name}</Key><LastModified>2026-11-29T22:00:00.000Z</LastModified>"
        f"<ETag>&quot;{name}&quot;</ETag><Size>3672</Size></Contents>"
        for name in names
    )
    return answer(
        '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<IsTruncated>{str(more).lower()}</IsTruncated>{rows}</ListBucketResult>".encode()
    )


def feed_of(name: str, web: Web, reader: Reader) -> BucketFeed | DirectoryFeed:
    """Return the feed of a row: a folder, or for the loop a bucket, which alone comes in pages."""

    def clock() -> datetime:
        return datetime.fromtimestamp(web.clock.now(), UTC)

    if name == "listing loop":
        table = table_of("public-bucket", base="https://feed.test/", prefix="raw/", claim="drop")
        return BucketFeed("mine", table, reader, clock)
    fields = {"url": "https://feed.test/raw/", "claim": "drop", "from_the_oldest": True}
    aged = {"max_age_seconds": int(DAY_S)} if name == "stale frame" else {}
    return DirectoryFeed("mine", table_of("http-directory", **fields, **aged), reader, clock)


def taken(site: Site) -> list[str]:
    """Take all that is in the inbox into batches, and return the hashes of all that batches have."""
    inboxes = {"drop": site.inbox}
    take_batches(inboxes, max_files=64, max_bytes=1 << 30, now=time.time() + DAY_S)
    for _ in finish_intakes(
        site.home, inboxes, recipe=STANDARD.name, limits=DecodeLimits(), next_lane=lambda _: "public"
    ):
        pass
    return [file.image_sha256 for batch in site.home.batches() for file in batch.intake.files]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if len(TABLE[name].names) > 100 else []) for name in TABLE]
)
def test_each_misbehaviour_is_seen_and_loses_nothing_and_takes_nothing_twice(
    name: str, web: Web, tmp_path: Path
) -> None:
    """The first look is as the row says, all looks raise one alarm, and a day later all is had, once."""
    row = TABLE[name]
    place, site = Observatory(web, row.names), Site(tmp_path)
    if name == "redirect to a private address":
        web.names["inside.assets.test"] = [["10.0.0.7"]]
    reader = web.reader(image_bytes=1 << 20, image_s=60)
    feed = feed_of(name, web, reader)
    if name == "TLS error":
        feed.reader = replace(web, trust=Certificates().trusting()).reader()
    terms = replace(TERMS, stale_after_s=DAY_S if name == "stale frame" else None)
    site.clock.now, place.fault = web.clock.now(), row.fault
    [(state, words)] = site.ask(feed, terms=terms)
    assert state == row.sees[0], words
    assert row.sees[1] in words
    assert words.isprintable()
    assert len(site.deposited()) == row.brought
    assert not list(site.home.root.glob("inbox/.*")), "nothing half done lies there"
    assert site.journal("mine").due_s - site.clock.now >= row.rest_s
    for _ in range(4):
        site.ask(feed, terms=terms)
    assert len(site.alarms()) == (state == "quarantine"), "told once, however often it is seen"

    place.fault, feed.reader, web.names["feed.test"] = None, reader, [[PUBLIC]]
    web.clock.turn(DAY_S)
    site.clock.now = web.clock.now()
    if name == "stale frame":
        place.date()
    for _ in range(3):
        site.ask(feed, terms=terms)
    assert site.journal("mine").trouble is None
    assert len(site.alarms()) == 2 * (state == "quarantine")
    had = taken(site)
    assert len(had) == len(set(had)), "no image is taken twice"
    listed = [sha256(data) for data in place.images.values()]
    if len(row.names) == len(NAMES):
        assert set(had) == set(listed), "no image is lost"
    else:
        assert sorted(had) == sorted(listed[: 8 * 16]), "the oldest first, a look after the other, and none left out"
