"""API keys: their form, and where what is known of them is kept.

Trusted for: who may ask the service for what. Of a key only its SHA-256 is kept, so an attacker who can read the store
gets no key out of it: 256 random bits can't be guessed, which is why a fast hash will do. One who can write to the
store can let anybody in; a file that others may write is therefore refused.

A key is ``eak_<id>_<secret>_<checksum>``: an id of 8 characters by which it is found and revoked, 32 random bytes in
43 characters, and the CRC-32 of all before it in 6, so that a mistyped key is told without looking anything up. The
characters are those of base 62, none of which needs quoting anywhere.
"""

import fcntl
import hashlib
import json
import math
import os
import re
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, Protocol, Self

from entropy_assets.errors import ApiKeyUnknown, InputRefused, KeysUnreadable, brought_by
from entropy_assets.scopes import SCOPES, Scope
from entropy_assets.stores.durable import open_trusted, read_trusted, write_durably

with brought_by("settings"):
    from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

if TYPE_CHECKING:
    import redis

DEFAULT_PREFIX: Final = "entropy"
SECRET_BYTES: Final = 32
_ID_BYTES: Final = 16
"""More than 8 characters hold, so that reducing them favours none."""
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KEY: Final = re.compile(r"(eak_([0-9A-Za-z]{8})_[0-9A-Za-z]{43})_([0-9A-Za-z]{6})", re.ASCII)
MOST_FILE_BYTES: Final = 16 << 20
"""Longest file of keys that is read: some 40,000 of them."""
_Moment = Annotated[int, Field(ge=0, lt=253_402_300_800_000_000)]
_LOCK: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TIMEOUT_S: Final = 0.5
"""Longest wait for a server that holds keys, seconds: with the second between two looks a revoked key ends in two."""


def base62(number: int, length: int) -> str:
    """Return `number` in `length` characters of base 62, modulo what they can hold."""
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))


def new_key(random_bytes: Callable[[int], bytes]) -> str:
    """Return a new key of bytes that `random_bytes` makes: the operating system's generator, never our own pool."""
    key_id = base62(int.from_bytes(random_bytes(_ID_BYTES), "big"), 8)
    body = f"eak_{key_id}_{base62(int.from_bytes(random_bytes(SECRET_BYTES), 'big'), 43)}"
    return f"{body}_{_checksum(body)}"


def key_id_of(key: str) -> str | None:
    """Return the id in `key`; None if it has not the form of one or its checksum is wrong."""
    match = _KEY.fullmatch(key)
    return match[2] if match and _checksum(match[1]) == match[3] else None


def _checksum(body: str) -> str:
    return base62(zlib.crc32(body.encode()), 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """What is known of one key.

    Attributes
    ----------
    id
        The 8 characters that name it, here and in the key.
    sha256
        Of the whole key, hexadecimal.
    name
        For people.
    scopes
        What it may be used for, beside what needs no key.
    created_us, expires_us, revoked_us
        Microseconds since 1970 UTC, up to the year 9999; None for never.
    requests_per_s, bytes_per_s
        Its limits; None for those of the service.
    """

    # a field that this version does not know might be a restriction
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    id: Annotated[str, Field(pattern=r"^[0-9A-Za-z]{8}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    name: str
    scopes: tuple[Scope, ...]
    created_us: _Moment
    expires_us: _Moment | None = None
    requests_per_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    bytes_per_s: Annotated[int, Field(gt=0)] | None = None
    revoked_us: _Moment | None = None

    def state(self, now_us: int) -> Literal["valid", "expired", "revoked"]:
        """Return what has become of it by `now_us`."""
        if self.revoked_us is not None:
            return "revoked"
        return "expired" if self.expires_us is not None and self.expires_us <= now_us else "valid"

    @classmethod
    def from_fields(cls, fields: object) -> Self:
        """Return the record of `fields`, as `dataclasses.asdict` made them.

        Raises
        ------
        KeysUnreadable
            If they are not those of a record.
        """
        try:
            return TypeAdapter(cls).validate_python(fields)
        except ValidationError as error:
            raise KeysUnreadable(f"the record of a key can't be read: {_wrong_in(error)}") from None


def _wrong_in(error: ValidationError) -> str:
    """Return which fields are wrong. Not `error` itself, which repeats what it read."""
    return ", ".join(sorted({".".join(map(str, item["loc"])) or "all of it" for item in error.errors()}))


class KeyStore(Protocol):
    """Where records are kept; each method raises `KeysUnreadable` if it can't be read or written."""

    def records(self) -> tuple[KeyRecord, ...]:
        """Return every record, the oldest first."""
        ...

    def add(self, record: KeyRecord) -> None:
        """Keep a new record; its id must be new too."""
        ...

    def revoke(self, key_id: str, now_us: int) -> KeyRecord:
        """Mark a key as revoked, now if it was not before, and return its record.

        Raises
        ------
        ApiKeyUnknown
            If there is no such key.
        """
        ...

    def version(self) -> object:
        """Return something that is another whenever the records are; None if only `records` itself tells."""
        ...


def create(
    store: KeyStore,
    name: str,
    *,
    random_bytes: Callable[[int], bytes],
    scopes: tuple[Scope, ...] = ("draw",),
    expires_in_s: float | None = None,
    requests_per_s: float | None = None,
    bytes_per_s: int | None = None,
    now_us: int | None = None,
) -> tuple[str, KeyRecord]:
    """Make a key and keep its record; return both. The key itself is kept nowhere.

    Raises
    ------
    InputRefused
        If the name is empty, long or not printable, there is no scope, or a limit or a life is none.
    KeysUnreadable
        If the store can't be written.
    """
    if not (0 < len(name) <= 100 and name.isprintable()) or not scopes:
        raise InputRefused("a key needs a printable name of 1 to 100 characters and at least one scope")
    now_us = time.time_ns() // 1000 if now_us is None else now_us
    key = new_key(random_bytes)
    expires_us: float | None = None
    if expires_in_s is not None:
        life_us = expires_in_s * 1e6
        expires_us = now_us + (round(life_us) if math.isfinite(life_us) else life_us)
    fields = {
        "id": key.split("_")[1],
        "sha256": hashlib.sha256(key.encode()).hexdigest(),
        "name": name,
        "scopes": tuple(scope for scope in SCOPES if scope in scopes),
        "created_us": now_us,
        "expires_us": expires_us,
        "requests_per_s": requests_per_s,
        "bytes_per_s": bytes_per_s,
    }
    try:
        # as the reader does: one record that it refuses makes every key of the store useless
        record = TypeAdapter(KeyRecord).validate_python(fields)
    except ValidationError as error:
        raise InputRefused(f"no key has such a limit or life: {_wrong_in(error)}") from None
    store.add(record)
    return key, record


class FileKeys:
    """Records in one JSON file of mode 0600, replaced as a whole. Without the file there are no keys.

    Only a file that nobody but this user and root can have written is believed (`open_trusted`). It may be a link, as
    where a secret is mounted for a container, but only what writes the link's target changes it.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def records(self) -> tuple[KeyRecord, ...]:
        """Return every record, the oldest first."""
        try:
            document = json.loads(read_trusted(self._path, MOST_FILE_BYTES))
            return tuple(KeyRecord.from_fields(fields) for fields in document["keys"])
        except FileNotFoundError:
            return ()
        except OSError as error:
            place = error.filename if isinstance(error.filename, str) and "/" in error.filename else str(self._path)
            raise KeysUnreadable(f"the keys can't be read: {place}: {error.strerror}", path=place) from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise KeysUnreadable(f"the keys in {self._path} can't be read: {error}", path=str(self._path)) from error

    def add(self, record: KeyRecord) -> None:
        """Keep a new record; its id must be new too."""
        with self._alone():
            records = self.records()
            if record.id in {kept.id for kept in records}:
                raise KeysUnreadable("a key with this id exists; make another one", id=record.id)
            self._write((*records, record))

    def revoke(self, key_id: str, now_us: int) -> KeyRecord:
        """Mark a key as revoked, now if it was not before, and return its record."""
        with self._alone():
            records = {record.id: record for record in self.records()}
            records[key_id] = revoked = _revoked(records.get(key_id), key_id, now_us)
            self._write(tuple(records.values()))
        return revoked

    def version(self) -> object:
        """Return what tells one state of the file from the next: each has its own inode."""
        try:
            file = open_trusted(self._path)
        except FileNotFoundError:
            return "no file"
        except OSError:
            return None
        try:
            state = os.fstat(file)
        finally:
            os.close(file)
        return state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other writers out. The lock is on a file beside, since the file itself is replaced."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._path.with_name(f".{self._path.name}.lock"), _LOCK, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
            finally:
                os.close(lock)
        except OSError as error:
            raise KeysUnreadable(f"the keys in {self._path} can't be changed: {error}", path=str(self._path)) from error

    def _write(self, records: tuple[KeyRecord, ...]) -> None:
        if self._path.is_symlink():
            raise KeysUnreadable(f"{self._path} is a link: change the keys where it leads to", path=str(self._path))
        document = {"keys": [asdict(record) for record in records]}
        write_durably(self._path, json.dumps(document, indent=1).encode() + b"\n")


class RedisKeys:
    """Records in one hash ``<prefix>:keys`` of a Redis or Valkey, by id, each a JSON document.

    The server should keep its data and not be the pool's, which forgets everything when it restarts. A service needs
    HGETALL on it alone; HGET, HSETNX and HSET are for who administers keys.

    Parameters
    ----------
    client
        A connected client.
    prefix
        First part of the hash's name.
    """

    def __init__(self, client: "redis.Redis", *, prefix: str = DEFAULT_PREFIX) -> None:
        self._client = client
        self._name = f"{prefix}:keys"

    def records(self) -> tuple[KeyRecord, ...]:
        """Return every record, the oldest first."""
        with _answering():
            documents: dict[Any, Any] = self._client.hgetall(self._name)
        records = [_record_of(key_id.decode(errors="replace"), document) for key_id, document in documents.items()]
        return tuple(sorted(records, key=lambda record: (record.created_us, record.id)))

    def add(self, record: KeyRecord) -> None:
        """Keep a new record; its id must be new too."""
        with _answering():
            added = self._client.hsetnx(self._name, record.id, json.dumps(asdict(record)))
        if not added:
            raise KeysUnreadable("a key with this id exists; make another one", id=record.id)

    def revoke(self, key_id: str, now_us: int) -> KeyRecord:
        """Mark a key as revoked, now if it was not before, and return its record."""
        with _answering():
            document: Any = self._client.hget(self._name, key_id)
            record = None if document is None else _record_of(key_id, document)
            revoked = _revoked(record, key_id, now_us)
            self._client.hset(self._name, key_id, json.dumps(asdict(revoked)))
        return revoked

    def version(self) -> object:
        """Return None: the hash is small, and is read as a whole."""
        return None


@contextmanager
def _answering() -> Iterator[None]:
    import redis

    try:
        yield
    except redis.RedisError as error:
        from entropy_assets.stores.redis_server import words_of

        raise KeysUnreadable(f"the server that holds the keys did not do as asked: {words_of(error)}") from error


def _record_of(key_id: str, document: bytes) -> KeyRecord:
    try:
        record = KeyRecord.from_fields(json.loads(document))
    except (ValueError, TypeError, RecursionError) as error:
        raise KeysUnreadable(f"the record of key {key_id!r} can't be read: {error}") from error
    if record.id != key_id:
        raise KeysUnreadable(f"under key {key_id!r} stands the record of another one")
    return record


def _revoked(record: KeyRecord | None, key_id: str, now_us: int) -> KeyRecord:
    if record is None:
        # the id is not repeated: somebody may have given the whole key
        raise ApiKeyUnknown("there is no key with this id; 'entropy-assets keys list' shows them")
    return record if record.revoked_us is not None else replace(record, revoked_us=now_us)


def keys_of(place: str, *, prefix: str = DEFAULT_PREFIX) -> KeyStore:
    """Return the store at `place`: an address as of the pool (`redis_server.client_of`), or the path of a file.

    Raises
    ------
    PoolAddressInvalid
        If the address is none.
    KeysUnreadable
        If the path is none of a file.
    """
    if "://" not in place:  # a mistyped address must not be a file that is not there, and so no keys
        if Path(place).name in ("", ".."):
            raise KeysUnreadable("ENTROPY_KEYS names no file: give its whole path, or the address of a server")
        return FileKeys(Path(place))
    from entropy_assets.stores.redis_server import client_of

    client = client_of(
        place,
        key=f"{prefix}:keys",
        connect_timeout_s=_TIMEOUT_S,
        timeout_s=_TIMEOUT_S,
        max_connections=2,
        named="ENTROPY_KEYS",
    )
    return RedisKeys(client, prefix=prefix)
