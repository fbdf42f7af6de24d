"""The feed of a table: its kind, with what it asks by."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from entropy_assets.sources.feeds.fetching import Clock, present
from entropy_assets.sources.feeds.interface import Candidate, Feed, FeedDenied, Reader
from entropy_assets.sources.feeds.kinds.aia import JsocAiaFeed
from entropy_assets.sources.feeds.kinds.apod import ApodFeed
from entropy_assets.sources.feeds.kinds.bucket import BucketFeed
from entropy_assets.sources.feeds.kinds.command import CommandFeed
from entropy_assets.sources.feeds.kinds.directory import DirectoryFeed
from entropy_assets.sources.feeds.kinds.epic import EpicFeed
from entropy_assets.sources.feeds.kinds.folder import FolderFeed
from entropy_assets.sources.feeds.kinds.mast import MastFeed
from entropy_assets.sources.feeds.kinds.nasa_images import NasaImagesFeed
from entropy_assets.sources.feeds.kinds.object_store import ObjectStoreFeed
from entropy_assets.sources.feeds.kinds.sdo import SdoLatestFeed
from entropy_assets.sources.feeds.kinds.simulated import SimulatedFeed
from entropy_assets.sources.feeds.tables.fields import FeedTable, WebTable
from entropy_assets.sources.feeds.tables.local import CommandTable, FolderTable, ObjectStoreTable, SimulatedTable
from entropy_assets.sources.feeds.tables.web import (
    ApodTable,
    BucketTable,
    DirectoryTable,
    EpicTable,
    JsocAiaTable,
    MastTable,
    NasaImagesTable,
    SdoLatestTable,
)
from entropy_assets.stores.blobs.opening import blobs_at
from entropy_assets.stores.inboxes.origins import Origin

ReaderOf = Callable[[str, WebTable], Reader]
"""Gives the reader of a feed by its name and table: its hosts, and the length of its largest image."""


class DeniedFeed:
    """A feed that is not asked as things are: it is there, fails as one that is denied, and stops no other.

    Parameters
    ----------
    name
        Its name.
    why
        Why not, in a sentence that says what to do.
    """

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        self.read_bytes = 0
        self._why = why

    @property
    def host(self) -> str:
        """What stands for it: nobody is asked."""
        return f"nobody:{self.name}"

    def discover(self, cursor: str) -> NoReturn:
        """Raise `FeedDenied`, which says what to do."""
        raise FeedDenied(self._why, feed=self.name, host=self.host)

    def fetch(self, candidate: Candidate, known: Origin | None = None) -> NoReturn:
        """As `discover`."""
        self.discover("")


@dataclass(frozen=True, slots=True)
class Means:
    """What feeds are made with.

    Attributes
    ----------
    reader_of
        Gives the reader of a feed of a server.
    variables
        The variables of the environment that the configuration names, with their values. Secret.
    clock
        Tells the present.
    system_bytes
        Gives fresh bytes of the operating system, for the simulated camera.
    doubt
        Why no program is started and no key sent, as of `Configuration`.
    """

    reader_of: ReaderOf
    variables: Mapping[str, str]
    clock: Clock = present
    system_bytes: Callable[[int], bytes] = os.urandom
    doubt: str = ""


def feed_of(name: str, table: FeedTable, means: Means) -> Feed:
    """Return the feed of one table. No server is asked.

    One that lacks a variable of the environment is denied, and one that would start a program, or send a key to a
    server, that others could have chosen.
    """
    if missing := [variable for variable in table.variables if not means.variables.get(variable)]:
        why = f"set it where feeds are asked, or take its name out of the table of {name}"
        return DeniedFeed(name, f"{', '.join(missing)} is not set: {why}")
    if means.doubt and table.needs_own_file:
        why = f"no program is started and no key is sent as others could have chosen: {means.doubt}"
        return DeniedFeed(name, why)
    match table:
        case WebTable():
            return _server_feed(name, table, means)
        case ObjectStoreTable():
            return ObjectStoreFeed(name, table, blobs_at(table.url, ""), means.clock)
        case FolderTable():
            return FolderFeed(name, table, means.clock)
        case CommandTable():
            allowed = {variable: means.variables[variable] for variable in table.variables}
            return CommandFeed(name, table, allowed, means.clock)
        case SimulatedTable():
            return SimulatedFeed(name, table, means.system_bytes, means.clock)
    raise AssertionError(f"a table of {type(table).__name__} has no kind")


def _server_feed(name: str, table: WebTable, means: Means) -> Feed:
    reader = means.reader_of(name, table)
    match table:
        case EpicTable(key_env=variable):
            return EpicFeed(name, table, reader, means.clock, means.variables[variable] if variable else None)
        case ApodTable(key_env=variable):
            return ApodFeed(name, table, reader, means.clock, means.variables[variable] if variable else None)
        case SdoLatestTable():
            return SdoLatestFeed(name, table, reader, means.clock)
        case JsocAiaTable():
            return JsocAiaFeed(name, table, reader, means.clock)
        case BucketTable():
            return BucketFeed(name, table, reader, means.clock)
        case NasaImagesTable():
            return NasaImagesFeed(name, table, reader, means.clock)
        case MastTable():
            return MastFeed(name, table, reader, means.clock)
        case DirectoryTable():
            return DirectoryFeed(name, table, reader, means.clock)
    raise AssertionError(f"a table of {type(table).__name__} has no kind")
