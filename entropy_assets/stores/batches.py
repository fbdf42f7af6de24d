"""One folder per batch: what came, what was seen in it, and what was made of it.

::

    <key>/intake.json    names and hashes of the files, nonce seed, time, recipe; written once, decides every later byte
    <key>/manifest.json  one row per file: shape, depth, hashes, accepted or the reason
    <key>/noise/<image_sha256>.npy and noise.json      noise arrays and their assessment
    <key>/blocks.npy and records.json                  blocks and the chain of their records
    <key>/verdicts.json  results of every test on every block, and which blocks are released

Trusted for: nothing. Every reader re-computes the hashes of what it reads. Who can change this folder can stop a
batch, and can put bytes of his own choice into one that was not published yet; he can't change a published one
without the ledger showing it.

Every file appears whole or not at all, and is on the disk before the next stage begins. The folder is a local one: an
intake is fixed once by whoever is first, and an object store has no such operation.
"""

import dataclasses
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from entropy_assets.errors import BatchError
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.stores.durable import create_durably, write_durably

_KEY_DIGEST_LEN: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeFile:
    """One file as it came."""

    file: str
    image_sha256: str
    file_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What a batch is made of. Fixed before anything is computed, so that every re-run gives the same bytes.

    Attributes
    ----------
    key
        Name of the batch, the Dagster partition: ``<source>-<UTC basic time>-<8 hex of the files' hash>``.
    source
        Where the files came from, e.g. ``drop`` or ``simulated``.
    files
        The files in the order of the batch.
    time_ns
        Time of intake, ns since 1970-01-01 UTC; stamps the records and enters the nonces.
    os_bytes
        32 bytes of the operating system's generator, hex, drawn after the files were fixed; enters the nonces.
        Empty in deterministic mode, in which the nonces come from the image hashes alone.
    recipe
        Name of the recipe.
    max_file_bytes, max_pixels
        Limits of one image, bytes and pixels over all channels: they decide which files are refused.
    """

    key: str
    source: str
    files: tuple[IntakeFile, ...]
    time_ns: int
    os_bytes: str
    recipe: str
    max_file_bytes: int
    max_pixels: int

    @property
    def deterministic(self) -> bool:
        """Whether the same files always give the same blocks."""
        return not self.os_bytes

    @property
    def limits(self) -> DecodeLimits:
        """Limits under which the files are decoded."""
        return DecodeLimits(max_file_bytes=self.max_file_bytes, max_pixels=self.max_pixels)

    @property
    def timestamp_us(self) -> int:
        """Time that stamps the records, microseconds since 1970-01-01 UTC."""
        return self.time_ns // 1000


def batch_key(source: str, time_ns: int, files: Iterable[tuple[str, str, int]]) -> str:
    """Return the key of the batch of `files`: it sorts by time and holds nothing that any program reads as syntax.

    Parameters
    ----------
    source
        Letters, digits and dashes.
    time_ns
        Time that the key tells to the second, ns since 1970-01-01 UTC.
    files
        Name, SHA-256 and size of each file.
    """
    digest = sha256_of_json(sorted(files))
    stamp = datetime.fromtimestamp(time_ns // 10**9, tz=UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{source}-{stamp}-{digest[:_KEY_DIGEST_LEN]}"


def _moment(key: str) -> tuple[str, str]:
    """Return what puts keys of several sources into the order of their times."""
    return key.rsplit("-", 2)[-2] if key.count("-") > 1 else "", key


def canonical_json(value: Any) -> bytes:
    """Return the one encoding of `value` that is hashed: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def encoded(value: Mapping[str, Any]) -> bytes:
    """Return `value` as JSON that a person can read."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=True).encode("ascii")


def sha256_of_json(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `value`, hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


class Batch:
    """The files of one batch.

    Parameters
    ----------
    root
        Folder of the batch.
    frozen
        Whether the batch was published: what its blocks came from must then stay as it is.
    """

    def __init__(self, root: Path, *, frozen: bool = False) -> None:
        self.root = root
        self.key = root.name
        self.frozen = frozen

    @cached_property
    def intake(self) -> Intake:
        """What the batch is made of."""
        row = self.read_json("intake.json", made_by="the sensor new_images")
        files = tuple(IntakeFile(**file) for file in row.pop("files"))
        return Intake(files=files, **row)

    def has(self, name: str) -> bool:
        """Tell whether the file `name` of the batch exists."""
        return (self.root / name).exists()

    def releases_blocks(self) -> bool:
        """Tell whether the batch was validated and has blocks to publish."""
        return self.has("verdicts.json") and bool(self.read_json("verdicts.json", made_by="")["released"])

    def write_json(self, name: str, value: Mapping[str, Any]) -> str:
        """Write `value` as `name` and return its canonical SHA-256, hex."""
        self._write(name, encoded(value))
        return sha256_of_json(value)

    def read_json(self, name: str, *, made_by: str) -> dict[str, Any]:
        """Return the object in `name`.

        Raises
        ------
        BatchError
            If the file is missing (`made_by` says what makes it) or is not a JSON object.
        """
        try:
            value = json.loads(self._read(name, made_by))
        except ValueError as error:
            raise BatchError(f"{name} of batch {self.key} is not JSON: {error}", batch=self.key, file=name) from error
        if not isinstance(value, dict):
            raise BatchError(f"{name} of batch {self.key} holds no object", batch=self.key, file=name)
        return value

    def write_array(self, name: str, array: NDArray[np.uint8]) -> None:
        """Write `array` as `name` (NumPy's format, no pickles)."""
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        self._write(name, buffer.getvalue())

    def read_array(self, name: str, *, made_by: str) -> NDArray[np.uint8]:
        """Return the ``uint8`` array in `name`.

        Raises
        ------
        BatchError
            If the file is missing, damaged or of another type.
        """
        try:
            array: NDArray[np.uint8] = np.load(io.BytesIO(self._read(name, made_by)), allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise BatchError(f"{name} of batch {self.key} is damaged: {error}", batch=self.key, file=name) from error
        if array.dtype != np.uint8:
            raise BatchError(f"{name} of batch {self.key} holds {array.dtype}, not uint8", batch=self.key, file=name)
        return array

    def _read(self, name: str, made_by: str) -> bytes:
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError:
            raise BatchError(
                f"batch {self.key} has no {name} yet; materialise {made_by} first", batch=self.key, file=name
            ) from None

    def _write(self, name: str, data: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.frozen and path.exists():
            if path.read_bytes() == data:
                return
            raise BatchError(
                f"batch {self.key} is published, and this run gives another {name}; what the published blocks came "
                "from is kept as it is",
                batch=self.key,
                file=name,
            )
        write_durably(path, data)


class BatchStore:
    """All batches under one folder.

    Parameters
    ----------
    root
        Folder, a local one.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def batch(self, key: str) -> Batch:
        """Return the batch `key`.

        Raises
        ------
        BatchError
            If there is no such batch, or `key` is no key.
        """
        if not key or "/" in key or "\\" in key or key.startswith("."):
            raise BatchError(f"{key!r} is not the key of a batch", batch=key)
        batch = Batch(self.root / key)
        if not batch.has("intake.json"):
            raise BatchError(f"there is no batch {key!r}; drop images into the inbox to make one", batch=key)
        return batch

    def has(self, key: str) -> bool:
        """Tell whether the batch `key` has its intake."""
        return (self.root / key / "intake.json").exists()

    def create(self, intake: Intake) -> Batch:
        """Keep `intake` and return its batch. An intake that is there already stays as it is.

        Raises
        ------
        BatchError
            If the one that is there has other files, another recipe or another mode.
        """
        batch = Batch(self.root / intake.key)
        batch.root.mkdir(parents=True, exist_ok=True)
        if create_durably(batch.root / "intake.json", encoded(dataclasses.asdict(intake))):
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
        if not self.root.exists():
            return []
        names = sorted((path.name for path in self.root.iterdir()), key=_moment, reverse=True)
        found = (Batch(self.root / name) for name in names)
        return list(islice((batch for batch in found if batch.has("intake.json")), limit))

    def __iter__(self) -> Iterator[Batch]:
        if not self.root.exists():
            return
        for path in sorted(self.root.iterdir(), key=lambda path: path.name):
            batch = Batch(path)
            if batch.has("intake.json"):
                yield batch
