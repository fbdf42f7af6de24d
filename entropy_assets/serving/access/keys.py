"""The API keys that a worker knows, in memory, at most a second behind their store."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Final

from entropy_assets.errors import KeysUnreadable
from entropy_assets.stores.api_keys import KeyRecord, KeyStore, key_id_of

LOOK_S: Final = 1.0
"""Time between two looks at the store; a revoked key ends within this and the time of one read."""
_NOBODY: Final = "0" * 64


def now_us() -> int:
    """Return microseconds since 1970 UTC."""
    return time.time_ns() // 1000


class KeyRing:
    """Records by id, as they were when the store was last read.

    If the store can't be read any more, what was known stays in force: nobody is let in for that, and nobody who was
    in is thrown out. `problem` then says why.

    Parameters
    ----------
    store
        Where the records are.
    on_change
        Called, on the event loop, after the records became others.
    """

    def __init__(self, store: KeyStore, on_change: Callable[[], None] = lambda: None) -> None:
        self._store = store
        self.on_change = on_change
        self._records: dict[str, KeyRecord] = {}
        self._version: object = None
        self._watcher: asyncio.Task[None] | None = None
        self._problem: str | None = None

    @property
    def problem(self) -> str | None:
        """Why the records may be older than they should be; None if they are not."""
        if self._watcher is not None and self._watcher.done():
            return "nobody watches the store of keys any more: restart the service"
        return self._problem

    def __len__(self) -> int:
        return len(self._records)

    def load(self) -> None:
        """Read the store.

        Raises
        ------
        KeysUnreadable
            If that can't be done.
        """
        self._version = self._store.version()  # before: a change in between is then seen at the next look
        self._records = {record.id: record for record in self._store.records()}

    def find(self, key: str) -> KeyRecord | None:
        """Return the record of a key that is in force; None for every other, in the same time."""
        key_id = key_id_of(key)
        if key_id is None:  # mistyped: nothing is looked up
            return None
        record = self._records.get(key_id)
        digest = hashlib.sha256(key.encode()).hexdigest()
        same = hmac.compare_digest(digest, record.sha256 if record else _NOBODY)
        return record if same and record is not None and record.state(now_us()) == "valid" else None

    def in_force(self, key_id: str) -> bool:
        """Tell whether the key with this id is in force now."""
        record = self._records.get(key_id)
        return record is not None and record.state(now_us()) == "valid"

    def start(self) -> None:
        """Begin to watch the store, on the running loop."""
        self._watcher = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """End the watch."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                version, records = await asyncio.to_thread(self._read)
            except KeysUnreadable as error:
                self._problem = error.public_message
                continue
            self._problem, self._version = None, version
            if records is not None and records != self._records:
                self._records = records
                self.on_change()

    def _read(self) -> tuple[object, dict[str, KeyRecord] | None]:
        version = self._store.version()
        if version is not None and version == self._version and self._problem is None:
            return version, None
        return version, {record.id: record for record in self._store.records()}
