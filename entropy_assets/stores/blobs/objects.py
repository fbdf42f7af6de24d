"""Blobs as objects of an object store: S3 and all that speaks its protocol, Google Cloud Storage, Azure.

Trusted as a folder is: who can write to the bucket can lose blobs and put others in their places. Its credentials come
from the environment, by the names that its own tools know, and are kept by the client alone.
"""

import os
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from threading import Lock
from typing import Any, Final

from entropy_assets.errors import brought_by
from entropy_assets.stores.blobs import asking
from entropy_assets.stores.blobs.address import require_address
from entropy_assets.stores.blobs.interface import Blob, Listing, require_blob_name
from entropy_assets.stores.blobs.probe import refuse_unless_once
from entropy_assets.stores.blobs.refusals import BlobMissing, StoreAddressInvalid

with brought_by("objects"):
    import obstore
    from obstore import exceptions
    from obstore.store import from_url

ANSWER_S: Final = 300
"""Time for one answer with all its bytes, seconds: the largest image at a megabyte or two a second."""
CONNECT_S: Final = 5
_MOST_STORES: Final = 16
_NS: Final = 10**9


@dataclass(slots=True)
class _Connection:
    """The client of one store, and whether the store was found to create once."""

    store: asking.Store
    url: str
    is_probed: bool = False
    turn: Lock = field(default_factory=Lock)

    def probe(self) -> None:
        with self.turn:
            if not self.is_probed:
                refuse_unless_once(self.store, self.url)
                self.is_probed = True


@lru_cache(maxsize=_MOST_STORES)
def _connection(url: str, process: int) -> _Connection:
    """Return the client of the store at `url`, one for a process: it reads the world's certificates, which takes 30 ms.

    Its own retries are off: they tell nobody whether a refused create was the second of its own. A forked child gets
    a client of its own.
    """
    try:
        # plain HTTP is spoken only where the endpoint of the environment asks for it by its scheme
        store = from_url(
            url,
            client_options={
                "allow_http": True,
                "timeout": timedelta(seconds=ANSWER_S),
                "connect_timeout": timedelta(seconds=CONNECT_S),
            },
            retry_config={"max_retries": 0},
        )
    except (exceptions.BaseError, ValueError) as error:
        raise StoreAddressInvalid(
            f"there is no client for the object store {url} ({type(error).__name__}); see its address and the variables"
            " of the environment that it takes",
            url=url,
        ) from None
    return _Connection(store, url)


class ObjectBlobs:
    """An object for each blob, below a prefix. It can be sent to another process.

    Nothing is asked before it is used. The first that a process creates or replaces is preceded by a probe; a store
    that lets a name be created twice is refused then.

    Parameters
    ----------
    url
        Address of the store, without credentials: ``s3://bucket/prefix``.
    folder
        Where below it the blobs are; may be empty.
    """

    def __init__(self, url: str, folder: str = "") -> None:
        self.url = require_address(url)
        self.folder = require_blob_name(folder) if folder else ""

    def probe(self) -> None:
        """Raise unless the store creates a name once, as `refuse_unless_once`; a process asks once."""
        self._connection.probe()

    def create(self, name: str, data: bytes) -> bool:
        """As `Blobs.create`: one PUT that the store refuses where something is."""
        self.probe()
        return asking.created(self._store, self._key(name), data, self.url)

    def replace(self, name: str, data: bytes, *, unless: str | None = None) -> bool:
        """As `Blobs.replace`: one PUT, and a HEAD before it for `unless`."""
        self.probe()
        if unless is not None and self.find(unless) is not None:
            return False
        asking.replaced(self._store, self._key(name), data, self.url)
        return True

    def read(self, name: str) -> bytes:
        """As `Blobs.read`."""
        key = self._key(name)
        try:
            return asking.read(self._store, key, self.url)
        except FileNotFoundError:
            raise BlobMissing(f"the object store {self.url} has no {key}", name=name, url=self.url) from None

    def read_listed(self, name: str, version: str, size: int) -> bytes | None:
        """As `Blobs.read_listed`: one GET, whose answer tells in its head what the bytes behind it are."""
        key = self._key(name)

        def whole() -> bytes | None:
            found = obstore.get(self._store, key)
            told = self._blob(found.meta)
            # Azure has its tags in quotation marks in an answer, and without them in a listing
            if (told.version.strip('"'), told.size) != (version.strip('"'), size):
                return None
            return found.bytes().to_bytes()

        try:
            return asking.asked(whole, self.url)
        except FileNotFoundError:
            return None

    def list(self, folder: str = "") -> Listing:
        """As `Blobs.list`; it changed when the newest of its blobs did, for a store does not know what went.

        The empty object that consoles make for a folder, under its name and a slash, is told without the slash, as the
        folder itself: it is no blob.
        """
        key = self._key(folder) if folder else self.folder
        try:
            found = asking.asked(lambda: obstore.list_with_delimiter(self._store, key or None), self.url)
        except FileNotFoundError:
            raise asking.no_bucket(self.url) from None
        rows = (row for row in found["objects"] if row["path"] != key)
        blobs = sorted(map(self._blob, rows), key=lambda blob: blob.name)
        folders = sorted(prefix.rstrip("/").rpartition("/")[2] for prefix in found["common_prefixes"])
        return Listing(tuple(folders), tuple(blobs), max((blob.modified_ns for blob in blobs), default=0) / _NS)

    def find(self, name: str) -> Blob | None:
        """As `Blobs.find`."""
        key = self._key(name)
        try:
            return self._blob(asking.asked(lambda: obstore.head(self._store, key), self.url))
        except FileNotFoundError:
            return None

    def delete(self, name: str) -> None:
        """As `Blobs.delete`."""
        asking.deleted(self._store, self._key(name), self.url)

    @property
    def _connection(self) -> _Connection:
        return _connection(self.url, os.getpid())

    @property
    def _store(self) -> asking.Store:
        return self._connection.store

    def _key(self, name: str) -> str:
        return f"{self.folder}/{require_blob_name(name)}" if self.folder else require_blob_name(name)

    def _blob(self, row: Any) -> Blob:
        """Return what the client tells of one object."""
        name = row["path"].removeprefix(f"{self.folder}/") if self.folder else row["path"]
        modified = row["last_modified"]
        modified_ns = int(modified.timestamp()) * _NS + modified.microsecond * 1000
        return Blob(name, row["size"], modified_ns, str(row["e_tag"] or row["version"] or modified_ns))
