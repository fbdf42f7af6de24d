"""What was published and which images were used, append-only, in one SQLite file.

Trusted for the promise that no batch is published twice and no image is credited twice: it is read before every
publish and every credit, and an answer means the row is on the disk. Rows are chained by hashes, so whoever knows
an older head sees any change to what came before it. An attacker who can write the file can drop the newest rows,
and then a batch is published again (the pool's tombstones catch that only while they last) or an image is credited
again; can rewrite it all, unnoticed by those who kept no head; and can stop publishing by adding false rows. They
learn nothing: it holds hashes and names, never bytes.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from entropy_assets.errors import LedgerError
from entropy_assets.stores.ledger.rows import (
    NO_LINK,
    LedgerBlock,
    Publication,
    PublishedBlock,
    SpentImage,
    publication_link,
    spending_link,
)
from entropy_assets.stores.ledger.schema import SCHEMA_VERSION, create, version_of

_BLOCKS_OF_BATCH: Final = (
    "SELECT block_id, position, block_sha256, link FROM blocks WHERE batch_key = ? ORDER BY position"
)
_PUBLICATIONS: Final = (
    "SELECT seq, batch_key, chain_head, run_id, published_at_us, ledger_link,"
    " (SELECT count(*) FROM blocks WHERE blocks.batch_key = batches.batch_key) FROM batches"
)
_LAST_LINK: Final = {
    "image_claims": "SELECT ledger_link FROM image_claims ORDER BY seq DESC LIMIT 1",
    "batches": "SELECT ledger_link FROM batches ORDER BY seq DESC LIMIT 1",
}


class Ledger:
    """The append-only record of publications and of spent images.

    Safe to use from several threads and processes: each call opens its own connection, and a write is one
    transaction that is on the disk before the call returns.

    Parameters
    ----------
    path
        The SQLite file; made with its folder on first use unless `readonly`. On a local disk: WAL does not work
        over a network file system.
    readonly
        Refuse every write, and see a missing file as an empty ledger.
    busy_timeout_s
        Longest wait for another writer, seconds.
    clock
        Nanoseconds since 1970.
    """

    def __init__(
        self,
        path: Path,
        *,
        readonly: bool = False,
        busy_timeout_s: float = 10.0,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.path = Path(path)
        self.readonly = readonly
        self._busy_timeout_s = busy_timeout_s
        self._clock = clock

    def spend_image(self, image_sha256: str, pixel_sha256: str | None, batch_key: str) -> SpentImage | None:
        """Spend an image for `batch_key`; return None when it is now this batch's, else who spent it earlier.

        The same image may be spent again by the same batch, so a retried run sees what the first one saw. The
        earlier one may be the same file or the same pixels in another file; a file whose pixels can't be
        read has None for them, and an empty string counts as None.

        Raises
        ------
        LedgerError
            If the ledger can't be written.
        """
        pixel_sha256 = pixel_sha256 or None
        with self._transaction() as db:
            rows = db.execute(
                "SELECT image_sha256, pixel_sha256, batch_key, claimed_at_us FROM image_claims"
                " WHERE image_sha256 = ? OR pixel_sha256 = ? ORDER BY seq LIMIT 1",
                (image_sha256, pixel_sha256),
            ).fetchall()
            if rows:
                earlier = SpentImage(*rows[0])
                same = (earlier.image_sha256, earlier.batch_key) == (image_sha256, batch_key)
                return None if same else earlier
            spent = SpentImage(image_sha256, pixel_sha256, batch_key, self._clock() // 1000)
            link = spending_link(_last_link(db, "image_claims"), spent)
            db.execute(
                "INSERT INTO image_claims (image_sha256, pixel_sha256, batch_key, claimed_at_us, ledger_link)"
                " VALUES (?, ?, ?, ?, ?)",
                (image_sha256, pixel_sha256, batch_key, spent.spent_at_us, link),
            )
            return None

    def images_of(self, batch_key: str) -> frozenset[str]:
        """Return the SHA-256 of each image that `batch_key` spent, hex."""
        rows = self._fetch("SELECT image_sha256 FROM image_claims WHERE batch_key = ?", (batch_key,))
        return frozenset(str(image_sha256) for (image_sha256,) in rows)

    def append_publication(
        self, batch_key: str, chain_head: str, blocks: Sequence[LedgerBlock], run_id: str, time_us: int
    ) -> bool:
        """Record that `blocks` of `batch_key` are published; return False if the batch already was.

        True means: on the disk, and the caller may push these blocks now. False means that they were pushed, or may
        have been, and must not be pushed again.

        Raises
        ------
        LedgerError
            If a block belongs to another batch, if the batch is recorded with another chain head, or if the
            ledger can't be written.
        """
        with self._transaction() as db:
            recorded = db.execute("SELECT chain_head FROM batches WHERE batch_key = ?", (batch_key,)).fetchone()
            if recorded is not None:
                if recorded[0] != chain_head:
                    raise LedgerError(
                        f"batch {batch_key} is in the ledger with another chain head",
                        batch_key=batch_key, recorded=recorded[0], offered=chain_head,
                    )  # fmt: skip
                return False
            for block in blocks:
                _refuse_if_published(db, block)
            ordered = sorted(blocks, key=lambda block: block.index)
            link = publication_link(_last_link(db, "batches"), batch_key, chain_head, run_id, time_us, ordered)
            db.execute(
                "INSERT INTO batches (batch_key, chain_head, run_id, published_at_us, ledger_link)"
                " VALUES (?, ?, ?, ?, ?)",
                (batch_key, chain_head, run_id, time_us, link),
            )
            db.executemany(
                "INSERT INTO blocks (block_id, batch_key, position, block_sha256, link) VALUES (?, ?, ?, ?, ?)",
                [(block.block_id, batch_key, block.index, block.block_sha256, block.link) for block in ordered],
            )
            return True

    def is_published(self, batch_key: str) -> bool:
        """Tell whether `batch_key` was published."""
        return self._fetch("SELECT 1 FROM batches WHERE batch_key = ?", (batch_key,)) != []

    def publication_of(self, batch_key: str) -> Publication | None:
        """Return the publication of `batch_key`, None if it was not published."""
        rows = self._fetch(f"{_PUBLICATIONS} WHERE batch_key = ?", (batch_key,))
        return Publication(*rows[0]) if rows else None

    def find_block(self, block_id: str) -> PublishedBlock | None:
        """Return the published block called `block_id` with its publication, or None."""
        rows = self._fetch(
            "SELECT k.block_id, k.position, k.block_sha256, k.link, b.seq, b.batch_key, b.chain_head, b.run_id,"
            " b.published_at_us, b.ledger_link, (SELECT count(*) FROM blocks WHERE batch_key = b.batch_key)"
            " FROM blocks k JOIN batches b USING (batch_key) WHERE k.block_id = ?",
            (block_id,),
        )
        return PublishedBlock(LedgerBlock(*rows[0][:4]), Publication(*rows[0][4:])) if rows else None

    def publications(self, limit: int = 100, after: int = 0) -> list[Publication]:
        """Return up to `limit` publications whose ``seq`` is greater than `after`, oldest first."""
        rows = self._fetch(f"{_PUBLICATIONS} WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))
        return [Publication(*row) for row in rows]

    def last_published_us(self) -> int | None:
        """Return when the newest publication was made, microseconds since 1970; None if there is none."""
        rows = self._fetch("SELECT published_at_us FROM batches ORDER BY seq DESC LIMIT 1")
        return int(rows[0][0]) if rows else None

    def published_blocks(self, batch_key: str, limit: int | None = None) -> list[LedgerBlock]:
        """Return the published blocks of `batch_key` in order, the first `limit`; none if it was not published."""
        found = self._fetch(f"{_BLOCKS_OF_BATCH} LIMIT ?", (batch_key, -1 if limit is None else limit))
        return [LedgerBlock(*row) for row in found]

    def head(self) -> str:
        """Return the link of the newest publication, hex; `NO_LINK` when there is none."""
        rows = self._fetch(_LAST_LINK["batches"])
        return str(rows[0][0]) if rows else NO_LINK

    def verify(self) -> str:
        """Walk both chains again and return the newest publication's link.

        Raises
        ------
        LedgerError
            At the first row that does not follow from the one before; ``data`` names ``table`` and ``seq``.
        """
        with self._connection() as db:
            if db is None:
                return NO_LINK
            # one transaction, so that a publication made meanwhile is seen whole or not at all
            db.execute("BEGIN")
            _verify_spent(db)
            return _verify_publications(db)

    def _fetch(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._connection() as db:
            return [] if db is None else db.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        if self.readonly:
            raise LedgerError("the ledger is opened for reading only", path=str(self.path))
        with self._connection() as db:
            if db is None:
                raise LedgerError("the ledger has no tables", path=str(self.path))
            db.execute("BEGIN IMMEDIATE")  # the write lock first: what is read below can't change before the insert
            try:
                yield db
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection | None]:
        if self.readonly and not self.path.exists():
            yield None
            return
        try:
            db = self._open()
            try:
                yield db if version_of(db) else None
            finally:
                db.close()
        except sqlite3.Error as error:
            raise LedgerError(f"the ledger {self.path} can't be used: {error}", path=str(self.path)) from error

    def _open(self) -> sqlite3.Connection:
        if not self.readonly:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        mode = "rw" if self.readonly else "rwc"  # a reader of a WAL file needs its index, so not "ro"
        db = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}", uri=True, timeout=self._busy_timeout_s, isolation_level=None
        )
        db.execute("PRAGMA synchronous = FULL")
        if self.readonly:
            db.execute("PRAGMA query_only = ON")
        elif version_of(db) == 0:
            create(db)
        if version_of(db) > SCHEMA_VERSION:
            db.close()
            raise LedgerError(
                f"the ledger {self.path} was written by a newer version of this package", path=str(self.path)
            )
        return db


def _last_link(db: sqlite3.Connection, table: str) -> str:
    row = db.execute(_LAST_LINK[table]).fetchone()
    return str(row[0]) if row else NO_LINK


def _refuse_if_published(db: sqlite3.Connection, block: LedgerBlock) -> None:
    row = db.execute(
        "SELECT batch_key FROM blocks WHERE block_id = ? OR block_sha256 = ?", (block.block_id, block.block_sha256)
    ).fetchone()
    if row is not None:
        raise LedgerError(
            f"block {block.block_id} was already published by batch {row[0]}", block_id=block.block_id, batch_key=row[0]
        )


def _verify_spent(db: sqlite3.Connection) -> None:
    previous = NO_LINK
    rows = db.execute(
        "SELECT seq, ledger_link, image_sha256, pixel_sha256, batch_key, claimed_at_us FROM image_claims ORDER BY seq"
    )
    for expected_seq, (seq, link, *fields) in enumerate(rows, 1):
        if seq != expected_seq or link != spending_link(previous, SpentImage(*fields)):
            raise LedgerError(f"image claim {expected_seq} does not verify", table="image_claims", seq=expected_seq)
        previous = link


def _verify_publications(db: sqlite3.Connection) -> str:
    previous = NO_LINK
    counted = 0
    rows = db.execute(
        "SELECT seq, ledger_link, batch_key, chain_head, run_id, published_at_us FROM batches ORDER BY seq"
    )
    for expected_seq, (seq, link, batch_key, chain_head, run_id, time_us) in enumerate(rows.fetchall(), 1):
        blocks = [LedgerBlock(*row) for row in db.execute(_BLOCKS_OF_BATCH, (batch_key,))]
        counted += len(blocks)
        expected = publication_link(previous, batch_key, chain_head, run_id, time_us, blocks)
        if (seq, link) != (expected_seq, expected):
            raise LedgerError(f"publication {expected_seq} does not verify", table="batches", seq=expected_seq)
        previous = link
    if counted != db.execute("SELECT count(*) FROM blocks").fetchone()[0]:
        raise LedgerError("there are blocks that no publication holds", table="blocks", seq=0)
    return previous
