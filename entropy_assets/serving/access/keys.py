"""The API keys that a worker knows, in memory, at most a second behind their store."""

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Final

from entropy_assets.errors import KeysUnreadable
from entropy_assets.serving.logs import cleaned, log_event
from entropy_assets.serving.single_flight import begun
from entropy_assets.stores.api_keys import KeyRecord, KeyStore, key_id_of

LOOK_S: Final = 1.0
"""Time between two looks at the store; a revoked key ends within this and the time of one read."""
READ_S: Final = 5.0
"""Longest time that a look may take before it counts as one that failed, seconds."""
MOST_AGE_S: Final = 60.0
"""Keys are believed for so long after the last look that succeeded, seconds: one that was revoked since would go on."""
GIVEN_UP_S: Final = 30.0
"""A look that hangs is given up after so long and another one begun, seconds."""
MOST_HANGING: Final = 8
"""Looks that hang side by side at most; each costs a thread."""
Records = dict[str, KeyRecord]
_NOBODY: Final = "0" * 64


def now_us() -> int:
    """Return microseconds since 1970 UTC."""
    return time.time_ns() // 1000


class KeyRing:
    """Records by id, as they were when the store was last read.

    If the store can't be read any more, what was known stays in force for `MOST_AGE_S`, and `problem` says why. Then no
    key is in force until it can be read again: nobody could revoke one.

    Parameters
    ----------
    store
        Where the records are.
    on_change
        Called, on the event loop, after the records became others, or too old.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        store: KeyStore,
        on_change: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self.on_change = on_change
        self._clock = clock
        self._records: Records = {}
        self._version: object = None
        self._watcher: asyncio.Task[None] | None = None
        self._problem: str | None = None
        self._read_at = clock()
        self._was_stale = False
        self._hanging: list[Future[tuple[object, Records | None]]] = []
        self._begun_at = self._read_at

    @property
    def problem(self) -> str | None:
        """Why the records may be older than they should be; None if they are not."""
        if self._watcher is not None and self._watcher.done():
            return "nobody watches the store of keys any more: restart the service"
        return self._problem

    @property
    def age_s(self) -> float:
        """Seconds since the last look that succeeded."""
        return max(0.0, self._clock() - self._read_at)

    @property
    def is_stale(self) -> bool:
        """Tell whether the records are too old to be believed."""
        return self._clock() - self._read_at > MOST_AGE_S

    def __len__(self) -> int:
        return len(self._records)

    def load(self) -> None:
        """Read the store.

        Raises
        ------
        KeysUnreadable
            If that can't be done in `READ_S`.
        """
        look = begun(self._look)
        if not wait([look], READ_S).done:
            raise KeysUnreadable(_HANGS)
        version, records = look.result()
        self._version, self._records = version, self._records if records is None else records
        self._read_at = self._clock()

    def find(self, key: str) -> KeyRecord | None:
        """Return the record of a key that is in force; None for every other, in the same time."""
        key_id = key_id_of(key)
        if key_id is None:  # mistyped: nothing is looked up
            return None
        record = self._records.get(key_id)
        digest = hashlib.sha256(key.encode()).hexdigest()
        same = hmac.compare_digest(digest, record.sha256 if record else _NOBODY)
        return record if same and record is not None and self.in_force(record.id) else None

    def in_force(self, key_id: str) -> bool:
        """Tell whether the key with this id is in force now."""
        record = self._records.get(key_id)
        return record is not None and not self.is_stale and record.state(now_us()) == "valid"

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
                version, records = await self._next_look()
            except KeysUnreadable as error:
                self._tell(error.public_message)
                continue
            self._version, self._read_at = version, self._clock()
            self._tell(None)
            if records is not None and records != self._records:
                self._records = records
                self.on_change()

    async def _next_look(self) -> tuple[object, Records | None]:
        """Look at the store, or wait on for a look that hangs."""
        self._hanging = [look for look in self._hanging if not look.done()]
        gives_up = self._clock() - self._begun_at >= GIVEN_UP_S and len(self._hanging) < MOST_HANGING
        if not self._hanging or gives_up:
            self._begun_at = self._clock()
            self._hanging.append(begun(self._look))
        look = self._hanging[-1]
        try:
            async with asyncio.timeout(READ_S):
                return await asyncio.shield(asyncio.wrap_future(look))
        except TimeoutError:
            raise KeysUnreadable(_HANGS) from None

    def _tell(self, problem: str | None) -> None:
        """Note what is wrong, and log it when it begins, when keys are no longer believed, and when it ends."""
        before, self._problem = self._problem, problem
        if problem is not None and before is None:
            log_event("keys-unreadable", logging.WARNING, detail=cleaned(problem))
        if self.is_stale != self._was_stale:
            self._was_stale = self.is_stale
            if self._was_stale:
                log_event("keys-refused", logging.ERROR, age_s=round(self.age_s, 1))
            self.on_change()
        if problem is None and before is not None:
            log_event("keys-back")

    def _look(self) -> tuple[object, Records | None]:
        version = self._store.version()  # before: a change in between is then seen at the next look
        if version is not None and version == self._version and self._problem is None:
            return version, None
        return version, {record.id: record for record in self._store.records()}


_HANGS: Final = f"a look at the store of keys did not end in {READ_S:g} s"
