"""One folder per batch: what came, what was seen in it, and what was made of it.

::

    <key>/intake.json    names and hashes of the files, nonce seed, time, recipe; written once, decides every later byte
    <key>/manifest.json  one row per file: shape, depth, hashes, accepted or the reason
    <key>/noise/<image_sha256>.npy and noise.json      noise arrays and their assessment
    <key>/noise/<image_sha256>.map.npy                 maps of the live areas
    <key>/thumbnails/<image_sha256>.png                small pictures for people, of the images of a public batch
    <key>/blocks.npy and records.json                  blocks and the chain of their records
    <key>/verdicts.json  results of every test on every block, and which blocks are released
    <key>/published.json the receipt of the ledger: which of its rows publishes the batch; written once, before the push
    .removed/<key>.json  what a batch was that retention removed: `removals`

Trusted for: nothing. Every reader re-computes the hashes of what it reads. Who can change this folder can stop a
batch, and can put bytes of his own choice into one that was not published yet; he can't change a published one
without the ledger showing it.

Every file appears whole or not at all, in a local folder or in an object store, and is kept before the next stage
begins. Intake and receipt are created once, by whoever is first on all machines; the others may be made again until the
batch is published.
"""

import hashlib
import io
import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from entropy_assets.errors import BatchError
from entropy_assets.stores.blobs.folder import FolderBlobs, lies_in
from entropy_assets.stores.blobs.interface import Blob, Blobs
from entropy_assets.stores.blobs.refusals import BlobMissing, BlobUnreadable
from entropy_assets.stores.blobs.together import together
from entropy_assets.stores.file_names import same_but_for_names
from entropy_assets.stores.intakes import Intake
from entropy_assets.stores.removals import refuse_removed

_KEY: Final = re.compile(r"[^./\\][^/\\]{0,254}")
_MOST_BYTES: Final = 512
"""Longest key, bytes of UTF-8: half a blob's name is left for its longest document, and for the store's prefix."""


def _is_key(name: str) -> bool:
    return _KEY.fullmatch(name) is not None and name.isprintable()


class Document(NamedTuple):
    """One file of a batch: its name in the folder of the batch, and the asset that makes it, for who misses it."""

    file: str
    made_by: str


INTAKE: Final = Document("intake.json", "the sensor new_images")
MANIFEST: Final = Document("manifest.json", "raw_images")
NOISE: Final = Document("noise.json", "noise_arrays")
BLOCKS: Final = Document("blocks.npy", "hashed_blocks")
RECORDS: Final = Document("records.json", "hashed_blocks")
VERDICTS: Final = Document("verdicts.json", "validated_blocks")
RECEIPT: Final = Document("published.json", "published_blocks")

_NOISE_FOLDER: Final = "noise"
_PNG: Final = b"\x89PNG\r\n\x1a\n"


def samples_of(image_sha256: str) -> Document:
    """Return the document with the noise array of an image."""
    return Document(f"{_NOISE_FOLDER}/{image_sha256}.npy", NOISE.made_by)


def live_map_of(image_sha256: str) -> Document:
    """Return the document with the map of an image's live area."""
    return Document(f"{_NOISE_FOLDER}/{image_sha256}.map.npy", NOISE.made_by)


def thumbnail_of(image_sha256: str) -> Document:
    """Return the document with the small picture of an image."""
    return Document(f"thumbnails/{image_sha256}.png", MANIFEST.made_by)


def moment_of(key: str) -> tuple[str, str]:
    """Return what puts keys of several sources into the order of their times."""
    return key.rsplit("-", 2)[-2] if key.count("-") > 1 else "", key


def encoded(value: Mapping[str, Any]) -> bytes:
    """Return `value` as JSON that a person can read."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=True).encode("ascii")


class Batch:
    """The files of one batch.

    Parameters
    ----------
    blobs
        Where all batches are.
    key
        Name of the batch.
    frozen
        Whether the batch was published: what its blocks came from must then stay as it is.
    """

    def __init__(self, blobs: Blobs, key: str, *, frozen: bool = False) -> None:
        self.blobs = blobs
        self.key = key
        self.frozen = frozen

    @property
    def root(self) -> Path:
        """Folder of the batch, if the batches lie in one."""
        return lies_in(self.blobs, self.key)

    @cached_property
    def intake(self) -> Intake:
        """What the batch is made of."""
        return Intake.read(self.kept_intake)

    @cached_property
    def kept_intake(self) -> dict[str, Any]:
        """The object that is kept as its intake. It is read once, so what the ledger binds is what is used."""
        return self.read_json(INTAKE)

    def path(self, document: Document) -> Path:
        """Return where `document` is or would be, if the batches lie in a folder."""
        return lies_in(self.blobs, self._name(document))

    def find(self, document: Document) -> Blob | None:
        """Return what is kept as `document` without reading it; None before it was made."""
        return self.blobs.find(self._name(document))

    def has(self, document: Document) -> bool:
        """Tell whether `document` was made."""
        return self.find(document) is not None

    def changed_at(self) -> float:
        """Return when something was last kept in the batch, seconds since 1970; 0 if its folders can't be read."""
        changed_s = 0.0
        for folder in (self.key, f"{self.key}/{_NOISE_FOLDER}"):
            with suppress(BlobUnreadable):
                changed_s = max(changed_s, self.blobs.list(folder).changed_s)
        return changed_s

    def write_json(self, document: Document, value: Mapping[str, Any]) -> None:
        """Write `value` as `document`; raises as `write_array`."""
        self._write(document, encoded(value))

    def create_json(self, document: Document, value: Mapping[str, Any]) -> bool:
        """Write `value` as `document` unless it is there; return whether this call did."""
        return self.blobs.create(self._name(document), encoded(value))

    def create_picture(self, document: Document, png: bytes) -> bool:
        """Keep a picture as `document` unless there is one; return whether this call did."""
        return self.blobs.create(self._name(document), png)

    def read_picture(self, document: Document, most_bytes: int) -> bytes:
        """Return the PNG in `document`.

        Raises
        ------
        BatchError
            If there is none, or what is there is larger than `most_bytes` or no PNG.
        """
        found = self.find(document)
        if found is not None and found.size > most_bytes:
            raise self._wrong(document, f"has {found.size} bytes and is no small picture")
        png = self._read(document)
        if not png.startswith(_PNG):
            raise self._wrong(document, "is no picture")
        return png

    def read_json(self, document: Document, data: bytes | None = None) -> dict[str, Any]:
        """Return the object in `document`, or in `data` for who has read it.

        Raises
        ------
        BatchError
            If the file is missing or is not a JSON object; `BatchRemoved` if its batch was removed.
        """
        try:
            value = json.loads(self._read(document) if data is None else data)
        except (ValueError, RecursionError) as error:
            raise self._wrong(document, f"is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise self._wrong(document, "holds no object")
        return value

    def digest(self, document: Document) -> str:
        """Return the SHA-256 of `document` as it is kept, hex; raises as `read_array`."""
        return hashlib.sha256(self._read(document)).hexdigest()

    def write_array(self, document: Document, array: NDArray[np.uint8]) -> None:
        """Write `array` as `document` (NumPy's format, no pickles).

        Raises
        ------
        BatchError
            If the batch is frozen, or published by now, and holds another one.
        """
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        self._write(document, buffer.getvalue())

    def read_array(self, document: Document) -> NDArray[np.uint8]:
        """Return the ``uint8`` array in `document`.

        Raises
        ------
        BatchError
            If the file is missing, damaged or of another type.
        """
        try:
            array: NDArray[np.uint8] = np.load(io.BytesIO(self._read(document)), allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise self._wrong(document, f"is damaged: {error}") from error
        if array.dtype != np.uint8:
            raise self._wrong(document, f"holds {array.dtype}, not uint8")
        return array

    def _name(self, document: Document) -> str:
        return f"{self.key}/{document.file}"

    def _wrong(self, document: Document, what: str) -> BatchError:
        return BatchError(f"{document.file} of batch {self.key} {what}", batch=self.key, file=document.file)

    def _read(self, document: Document) -> bytes:
        try:
            return self.blobs.read(self._name(document))
        except BlobMissing:
            refuse_removed(self.blobs, self.key)
            missing = f"batch {self.key} has no {document.file} yet; materialise {document.made_by} first"
            raise BatchError(missing, batch=self.key, file=document.file) from None

    def _write(self, document: Document, data: bytes) -> None:
        # A worker that was given up may still write after another one has published the batch. The receipt is looked
        # for last: one that is kept between that look and the change, a moment later, is not seen.
        if not self.frozen and self.blobs.replace(self._name(document), data, unless=self._name(RECEIPT)):
            return
        if not self.has(document) and self.blobs.create(self._name(document), data):
            return
        kept = self._read(document)
        if kept != data and not (document.file.endswith(".json") and same_but_for_names(kept, data)):
            raise BatchError(
                f"batch {self.key} is published, and this run gives another {document.file}; what the published blocks"
                " came from is kept as it is",
                batch=self.key,
                file=document.file,
            )


class BatchStore:
    """All batches of an installation.

    Parameters
    ----------
    place
        Where they are: a local folder, or the blobs of any store.
    """

    def __init__(self, place: Path | Blobs) -> None:
        self.blobs = FolderBlobs(place) if isinstance(place, Path) else place
        self._begun: set[str] = set()

    @property
    def root(self) -> Path:
        """Folder of the batches, if they lie in one."""
        return lies_in(self.blobs)

    def batch(self, key: str, *, frozen: bool = False) -> Batch:
        """Return the batch `key`; with `frozen` one that keeps what it holds as it is.

        Raises
        ------
        BatchError
            If there is no such batch, or `key` is no key; `BatchRemoved` if it was removed.
        """
        if not _is_key(key):
            raise BatchError(f"{key!r} is not the key of a batch", batch=key)
        batch = Batch(self.blobs, key, frozen=frozen)
        if not batch.has(INTAKE):
            refuse_removed(self.blobs, key)
            raise BatchError(f"there is no batch {key!r}; drop images into the inbox to make one", batch=key)
        return batch

    def has(self, key: str) -> bool:
        """Tell whether the batch `key` has its intake."""
        return Batch(self.blobs, key).has(INTAKE)

    def create(self, intake: Intake) -> Batch:
        """Keep `intake` and return its batch. An intake that is there already stays as it is.

        Raises
        ------
        BatchError
            If the one that is there has other files, another recipe or another mode, or was removed.
        """
        refuse_removed(self.blobs, intake.key)
        batch = Batch(self.blobs, intake.key)
        if batch.create_json(INTAKE, intake.told()):
            return batch
        kept = batch.intake
        if (kept.files, kept.recipe, kept.deterministic) != (intake.files, intake.recipe, intake.deterministic):
            raise BatchError(
                f"batch {intake.key} is there already, made of other files, by another recipe or in another mode; "
                "work in another folder",
                batch=intake.key,
            )
        return batch

    def newest(self, limit: int) -> list[Batch]:
        """Return the `limit` newest batches by the time in their keys, newest first; no file of theirs is read."""
        return list(islice(self._batches(sorted(self.names(), key=moment_of, reverse=True)), limit))

    def oldest_first(self, without: Container[str] = ()) -> Iterator[Batch]:
        """Yield all batches by the time in their keys, but those `without`; no file of theirs is read."""
        return self._batches(sorted((name for name in self.names() if name not in without), key=moment_of))

    def receipts(self, without: Container[str] = ()) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield key and receipt of each batch that has one, but of those `without`; BatchError if one can't be read."""
        keys = [key for key in self.names() if key not in without]
        yield from (row for row in together(self.blobs, self._receipt_of, keys) if row is not None)

    def __iter__(self) -> Iterator[Batch]:
        return self._batches(self.names())

    def names(self) -> tuple[str, ...]:
        """Return the names of all that may be batches, sorted; one whose intake is not fixed yet among them.

        A name that no file of a batch could stand behind would stop everybody who looks at all of them.
        """
        return tuple(name for name in self.blobs.list().folders if _is_key(name) and len(name.encode()) <= _MOST_BYTES)

    def _receipt_of(self, key: str) -> tuple[str, dict[str, Any]] | None:
        with suppress(BlobMissing):  # looking before reading would be a second request for almost every batch
            return key, Batch(self.blobs, key).read_json(RECEIPT, self.blobs.read(f"{key}/{RECEIPT.file}"))
        return None

    def _batches(self, keys: Iterable[str]) -> Iterator[Batch]:
        keys = list(keys)
        found = zip(keys, together(self.blobs, self._is_begun, keys), strict=True)
        return (Batch(self.blobs, key) for key, is_begun in found if is_begun)

    def _is_begun(self, key: str) -> bool:
        # An intake stays: each is asked for until it is there, and never again.
        if key not in self._begun:
            try:
                if not self.has(key):
                    return False
            except BlobUnreadable:  # who reads on in it hears why, and those who look at all batches see the others
                return True
            self._begun.add(key)
        return True
