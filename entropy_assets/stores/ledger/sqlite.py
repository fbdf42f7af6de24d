"""What was published and which images were used, append-only, in one SQLite file.

Trusted for the promise that no batch is published twice and no image is credited twice: it is read before every
publish and every credit, and an answer means the row is on the disk. Rows are chained by hashes, so whoever knows
an older head sees any change to what came before it: `anchors` says who does. An attacker who can write the file can
drop the newest rows or rewrite it all, unnoticed where he takes the anchors away too, and then a batch is published
again (the pool's tombstones catch that only while they last) or an image is credited again; and can stop publishing
by adding false rows. They learn nothing: it holds hashes and names, never bytes.

Beside the record its file holds a working memory, the sketches of spent frames (`sketches`).
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from entropy_assets.errors import ClaimRefused, LedgerError
from entropy_assets.stores.ledger.chains import BLOCKS_OF_BATCH, last_link, verified
from entropy_assets.stores.ledger.file import LedgerFile
from entropy_assets.stores.ledger.rows import (
    BURNED,
    NO_LINK,
    LedgerBlock,
    Publication,
    PublishedBlock,
    SpentImage,
    binding_link,
    loss_link,
    publication_link,
    spending_link,
)
from entropy_assets.stores.ledger.schema import version_of

_PUBLICATIONS: Final = (
    "SELECT seq, batch_key, chain_head, run_id, published_at_us, ledger_link,"
    " (SELECT count(*) FROM blocks WHERE blocks.batch_key = batches.batch_key) FROM batches"
)


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
        self.file = LedgerFile(Path(path), readonly, busy_timeout_s)
        self.path = self.file.path
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
        with self.file.transaction() as db:
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
            link = spending_link(last_link(db, "image_claims"), spent)
            db.execute(
                "INSERT INTO image_claims (image_sha256, pixel_sha256, batch_key, claimed_at_us, ledger_link)"
                " VALUES (?, ?, ?, ?, ?)",
                (image_sha256, pixel_sha256, batch_key, spent.spent_at_us, link),
            )
            return None

    def bind_batch(self, batch_key: str, origin_sha256: str) -> None:
        """Bind `batch_key` to what its blocks follow from, once and for ever; binding it to the same again is nothing.

        Raises
        ------
        ClaimRefused
            If it is bound to something else.
        LedgerError
            If the ledger can't be written.
        """
        with self.file.transaction() as db:
            row = db.execute("SELECT origin_sha256 FROM bindings WHERE batch_key = ?", (batch_key,)).fetchone()
            if row is None:
                time_us = self._clock() // 1000
                link = binding_link(last_link(db, "bindings"), batch_key, origin_sha256, time_us)
                db.execute(
                    "INSERT INTO bindings (batch_key, origin_sha256, bound_at_us, ledger_link) VALUES (?, ?, ?, ?)",
                    (batch_key, origin_sha256, time_us, link),
                )
            elif row[0] != origin_sha256:
                raise ClaimRefused(
                    f"batch {batch_key} is bound in the ledger to another intake or manifest: its images were spent for"
                    " that one, and give no blocks for this one",
                    batch=batch_key, bound=row[0], offered=origin_sha256,
                )  # fmt: skip

    def images_of(self, batch_key: str) -> frozenset[str]:
        """Return the SHA-256 of each image that `batch_key` spent, hex."""
        rows = self.file.fetch("SELECT image_sha256 FROM image_claims WHERE batch_key = ?", (batch_key,))
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
        with self.file.transaction() as db:
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
            link = publication_link(last_link(db, "batches"), batch_key, chain_head, run_id, time_us, ordered)
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
        return self.file.fetch("SELECT 1 FROM batches WHERE batch_key = ?", (batch_key,)) != []

    def published_keys(self) -> frozenset[str]:
        """Return the keys of all batches that were published."""
        return frozenset(str(key) for (key,) in self.file.fetch("SELECT batch_key FROM batches"))

    def publication_of(self, batch_key: str) -> Publication | None:
        """Return the publication of `batch_key`, None if it was not published."""
        rows = self.file.fetch(f"{_PUBLICATIONS} WHERE batch_key = ?", (batch_key,))
        return Publication(*rows[0]) if rows else None

    def find_block(self, block_id: str) -> PublishedBlock | None:
        """Return the published block called `block_id` with its publication, or None."""
        rows = self.file.fetch(
            "SELECT k.block_id, k.position, k.block_sha256, k.link, b.seq, b.batch_key, b.chain_head, b.run_id,"
            " b.published_at_us, b.ledger_link, (SELECT count(*) FROM blocks WHERE batch_key = b.batch_key)"
            " FROM blocks k JOIN batches b USING (batch_key) WHERE k.block_id = ?",
            (block_id,),
        )
        return PublishedBlock(LedgerBlock(*rows[0][:4]), Publication(*rows[0][4:])) if rows else None

    def publications(self, limit: int = 100, after: int = 0) -> list[Publication]:
        """Return up to `limit` publications whose ``seq`` is greater than `after`, oldest first."""
        rows = self.file.fetch(f"{_PUBLICATIONS} WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))
        return [Publication(*row) for row in rows]

    def newest(self) -> Publication | None:
        """Return the newest publication, None if there is none."""
        rows = self.file.fetch(f"{_PUBLICATIONS} ORDER BY seq DESC LIMIT 1")
        return Publication(*rows[0]) if rows else None

    def last_published_us(self) -> int | None:
        """Return when the newest publication was made, microseconds since 1970; None if there is none."""
        rows = self.file.fetch(
            "SELECT published_at_us FROM batches WHERE run_id != ? ORDER BY seq DESC LIMIT 1", (BURNED,)
        )
        return int(rows[0][0]) if rows else None

    def published_blocks(self, batch_key: str, limit: int | None = None) -> list[LedgerBlock]:
        """Return the published blocks of `batch_key` in order, the first `limit`; none if it was not published."""
        found = self.file.fetch(f"{BLOCKS_OF_BATCH} LIMIT ?", (batch_key, -1 if limit is None else limit))
        return [LedgerBlock(*row) for row in found]

    def head(self) -> str:
        """Return the link of the newest publication, hex; `NO_LINK` when there is none."""
        with self.file.connection() as db:
            return NO_LINK if db is None else last_link(db, "batches")

    def lacks(self, links: Iterable[str]) -> tuple[str, ...]:
        """Return those of the `links` of publications that are neither here nor accepted as lost."""
        with self.file.connection() as db:
            tables = [] if db is None else ["batches WHERE ledger_link = ?"]
            if db is not None and version_of(db) > 1:
                tables.append("losses WHERE lost_link = ?")
            return tuple(
                link
                for link in links
                if not any(db and db.execute(f"SELECT 1 FROM {table}", (link,)).fetchone() for table in tables)  # noqa: S608 - those above
            )

    def accept_losses(self, known_to: Mapping[str, str]) -> None:
        """Accept that publications are lost: the link of each, and who knew of it. `lacks` counts them no more.

        Raises
        ------
        LedgerError
            If the ledger can't be written.
        """
        with self.file.transaction() as db:
            for lost, witness in known_to.items():
                time_us = self._clock() // 1000
                link = loss_link(last_link(db, "losses"), lost, witness, time_us)
                db.execute(
                    "INSERT INTO losses (lost_link, known_to, accepted_at_us, ledger_link) VALUES (?, ?, ?, ?)",
                    (lost, witness, time_us, link),
                )

    def verify(self) -> str:
        """Walk all chains again and return the newest publication's link.

        Raises
        ------
        LedgerError
            At the first row that does not follow from the one before; ``data`` names ``table`` and ``seq``.
        """
        with self.file.connection() as db:
            if db is None:
                return NO_LINK
            # one transaction, so that a publication made meanwhile is seen whole or not at all
            db.execute("BEGIN")
            return verified(db)


def _refuse_if_published(db: sqlite3.Connection, block: LedgerBlock) -> None:
    row = db.execute(
        "SELECT batch_key FROM blocks WHERE block_id = ? OR block_sha256 = ?", (block.block_id, block.block_sha256)
    ).fetchone()
    if row is not None:
        raise LedgerError(
            f"block {block.block_id} was already published by batch {row[0]}", block_id=block.block_id, batch_key=row[0]
        )
