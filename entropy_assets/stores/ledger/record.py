"""The ledger: what was published and which images were used, append-only, in a file of SQLite or in PostgreSQL.

Trusted for the promise that no batch is published twice and no image is credited twice: it is read before every
publish and every credit, and an answer means that the row is safe: on the disk, and on a standby where one is required.
Rows are chained by hashes, so whoever knows an older head sees any change to what came before it: `anchors` says who
does. An attacker who can write the database can drop the newest rows or rewrite it all, unnoticed where he takes the
anchors away too, and then a batch is published again (the pool's tombstones catch that only while they last) or an
image is credited again; and can stop publishing by adding false rows.

The record holds hashes and names, never bytes. Beside it stands a working memory, the sketches of spent frames
(`sketches`), and they hold noise: sums of differences of pixels and some differences themselves, of a small frame
nearly all. Whoever reads the database, a standby or a dump reads that.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from entropy_assets.errors import ClaimRefused
from entropy_assets.stores.ledger.chains import append_row, last_link, verified
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
from entropy_assets.stores.ledger.storage import LedgerServer, LedgerStorage, Statements, fetched

_PUBLICATIONS: Final = (
    "SELECT seq, batch_key, chain_head, run_id, published_at_us, ledger_link,"
    " (SELECT count(*) FROM blocks WHERE blocks.batch_key = batches.batch_key) FROM batches"
)
_BLOCK: Final = "block_id, position, block_sha256, link"
_SPENT: Final = "image_sha256, pixel_sha256, batch_key, claimed_at_us"
_ALL: Final = 2**62
"""A limit that none is."""


class Ledger:
    """The append-only record of publications and of spent images.

    Safe to use from several threads and processes: each call opens its own connection, and a write is one
    transaction that is on the disk before the call returns.

    Parameters
    ----------
    place
        A path: a file of SQLite, made with its folder on first use unless `readonly`. Or a server of PostgreSQL.
    readonly
        Refuse every write, and see a missing ledger as an empty one.
    busy_timeout_s
        Longest wait for another writer, seconds.
    clock
        Nanoseconds since 1970.
    accepts
        The epoch of a server that took over, which somebody accepts by what he does here; else it is refused.
    """

    def __init__(
        self,
        place: Path | LedgerServer,
        *,
        readonly: bool = False,
        busy_timeout_s: float = 10.0,
        clock: Callable[[], int] = time.time_ns,
        accepts: str | None = None,
    ) -> None:
        self.path = None if isinstance(place, LedgerServer) else Path(place)
        self.storage = _opened(place, readonly, busy_timeout_s, accepts)
        self._clock = clock

    @property
    def name(self) -> str:
        """Where it is, for people: a path, or an address without user and password."""
        return self.storage.name

    def spend_image(
        self, image_sha256: str, pixel_sha256: str | None, batch_key: str, turned: Sequence[str] = ()
    ) -> SpentImage | None:
        """Spend an image for `batch_key`, as `spend_images` does several.

        An exposure that was spent with one of the hashes in `turned`, of its pixels turned or mirrored, counts as this.
        """
        with self.storage.transaction() as db:
            return self._spend(db, self._first_use(image_sha256, pixel_sha256, batch_key), turned)

    def spend_images(self, images: Mapping[str, str | None], batch_key: str) -> dict[str, SpentImage | None]:
        """Spend images for `batch_key`, all or none; return None for each that is now this batch's, else its first use.

        The same image may be spent again by the same batch, so a retried run sees what the first one saw. The
        earlier use may be of the same file or of the same pixels in another file.

        Parameters
        ----------
        images
            The SHA-256 of the pixels of each by that of its file. A file whose pixels can't be read has None for them,
            and an empty string counts as None.

        Raises
        ------
        LedgerError
            If the ledger can't be written; then none is spent.
        """
        with self.storage.transaction() as db:
            return {name: self._spend(db, self._first_use(name, images[name], batch_key)) for name in images}

    def _first_use(self, image_sha256: str, pixel_sha256: str | None, batch_key: str) -> SpentImage:
        return SpentImage(image_sha256, pixel_sha256 or None, batch_key, self._clock() // 1000)

    def _spend(self, db: Statements, spent: SpentImage, turned: Sequence[str] = ()) -> SpentImage | None:
        row = db.execute(
            f"SELECT {_SPENT} FROM image_claims"  # noqa: S608 - names of our own
            " WHERE image_sha256 = :image OR pixel_sha256 = :pixels ORDER BY seq LIMIT 1",
            {"image": spent.image_sha256, "pixels": spent.pixel_sha256},
        ).fetchone()
        if row is None and turned:
            row = db.execute(
                f"SELECT {_SPENT} FROM {self.storage.each} CROSS JOIN image_claims"  # noqa: S608 - names of our own
                " WHERE pixel_sha256 = each.value LIMIT 1",
                {"list": json.dumps(turned)},
            ).fetchone()
        if row is not None:
            earlier = SpentImage(*row)
            same = (earlier.image_sha256, earlier.batch_key) == (spent.image_sha256, spent.batch_key)
            return None if same else earlier
        append_row(
            db,
            "image_claims",
            partial(spending_link, spent=spent),
            image_sha256=spent.image_sha256,
            pixel_sha256=spent.pixel_sha256,
            batch_key=spent.batch_key,
            claimed_at_us=spent.spent_at_us,
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
        with self.storage.transaction() as db:
            row = db.execute("SELECT origin_sha256 FROM bindings WHERE batch_key = :key", {"key": batch_key}).fetchone()
            if row is None:
                time_us = self._clock() // 1000
                append_row(
                    db,
                    "bindings",
                    lambda previous: binding_link(previous, batch_key, origin_sha256, time_us),
                    batch_key=batch_key,
                    origin_sha256=origin_sha256,
                    bound_at_us=time_us,
                )
            elif row[0] != origin_sha256:
                raise ClaimRefused(
                    f"batch {batch_key} is bound in the ledger to another intake or manifest: its images were spent for"
                    " that one, and give no blocks for this one",
                    batch=batch_key, bound=row[0], offered=origin_sha256,
                )  # fmt: skip

    def binding_of(self, batch_key: str) -> str | None:
        """Return what `batch_key` is bound to, hex; None if it is not, as by a release that bound nothing."""
        with self.storage.connection() as db:
            if db is None or "bindings" not in self.storage.chains_of(db):
                return None
            query = "SELECT origin_sha256 FROM bindings WHERE batch_key = :key"
            row = db.execute(query, {"key": batch_key}).fetchone()
        return None if row is None else str(row[0])

    def spent_by(self, batch_key: str, images: Iterable[str]) -> frozenset[str]:
        """Return those of some `images`, by the SHA-256 of their files, that `batch_key` spent.

        Each is looked up, so the answer takes no longer in a ledger of millions.
        """
        rows = fetched(
            self.storage,
            f"SELECT image_sha256 FROM {self.storage.each} CROSS JOIN image_claims"  # noqa: S608 - names of our own
            " WHERE image_sha256 = each.value AND batch_key = :key",
            list=json.dumps(sorted(images)),
            key=batch_key,
        )
        return frozenset(str(image_sha256) for (image_sha256,) in rows)

    def append_publication(
        self, batch_key: str, chain_head: str, blocks: Sequence[LedgerBlock], run_id: str, time_us: int
    ) -> bool:
        """Record that `blocks` of `batch_key` are published; return False if the batch already was.

        True means: on the disk, and the caller may push these blocks now. False means that they were pushed, or may
        have been, and must not be pushed again.

        Raises
        ------
        ClaimRefused, LedgerError
            If a block is another batch's, or the batch is recorded with another chain head; if it can't be written.
        """
        with self.storage.transaction() as db:
            row = db.execute("SELECT chain_head FROM batches WHERE batch_key = :key", {"key": batch_key}).fetchone()
            if row is not None:
                if row[0] != chain_head:
                    raise ClaimRefused(
                        f"batch {batch_key} is in the ledger with another chain head",
                        batch_key=batch_key, recorded=row[0], offered=chain_head,
                    )  # fmt: skip
                return False
            _refuse_if_published(self.storage, db, blocks)
            ordered = sorted(blocks, key=lambda block: block.index)
            append_row(
                db,
                "batches",
                lambda previous: publication_link(previous, batch_key, chain_head, run_id, time_us, ordered),
                batch_key=batch_key,
                chain_head=chain_head,
                run_id=run_id,
                published_at_us=time_us,
            )
            db.executemany(
                "INSERT INTO blocks (block_id, batch_key, position, block_sha256, link)"
                " VALUES (:block_id, :batch_key, :position, :block_sha256, :link)",
                [
                    {
                        "block_id": block.block_id,
                        "batch_key": batch_key,
                        "position": block.index,
                        "block_sha256": block.block_sha256,
                        "link": block.link,
                    }
                    for block in ordered
                ],
            )
            return True

    def is_published(self, batch_key: str) -> bool:
        """Tell whether `batch_key` was published."""
        return fetched(self.storage, "SELECT 1 FROM batches WHERE batch_key = :key", key=batch_key) != []

    def published_keys(self) -> frozenset[str]:
        """Return the keys of all batches that were published."""
        return frozenset(str(key) for (key,) in fetched(self.storage, "SELECT batch_key FROM batches"))

    def publication_of(self, batch_key: str) -> Publication | None:
        """Return the publication of `batch_key`, None if it was not published."""
        rows = fetched(self.storage, f"{_PUBLICATIONS} WHERE batch_key = :key", key=batch_key)
        return Publication(*rows[0]) if rows else None

    def find_block(self, block_id: str) -> PublishedBlock | None:
        """Return the published block called `block_id` with its publication, or None."""
        rows = fetched(
            self.storage,
            "SELECT k.block_id, k.position, k.block_sha256, k.link, b.seq, b.batch_key, b.chain_head, b.run_id,"
            " b.published_at_us, b.ledger_link, (SELECT count(*) FROM blocks WHERE batch_key = b.batch_key)"
            " FROM blocks k JOIN batches b USING (batch_key) WHERE k.block_id = :block_id",
            block_id=block_id,
        )
        return PublishedBlock(LedgerBlock(*rows[0][:4]), Publication(*rows[0][4:])) if rows else None

    def publications(self, limit: int = 1000, after: int = 0) -> list[Publication]:
        """Return up to `limit` publications whose ``seq`` is greater than `after`, oldest first."""
        query = f"{_PUBLICATIONS} WHERE seq > :after ORDER BY seq LIMIT :most"
        return [Publication(*row) for row in fetched(self.storage, query, after=after, most=limit)]

    def every_publication(self, after: int = 0) -> Iterator[Publication]:
        """Yield each publication whose ``seq`` is greater than `after`, oldest first, read page by page."""
        while page := self.publications(after=after):
            yield from page
            after = page[-1].seq

    def newest(self) -> Publication | None:
        """Return the newest publication, None if there is none."""
        rows = fetched(self.storage, f"{_PUBLICATIONS} ORDER BY seq DESC LIMIT 1")
        return Publication(*rows[0]) if rows else None

    def last_published_us(self) -> int | None:
        """Return when the newest publication was made, microseconds since 1970; None if there is none."""
        query = "SELECT published_at_us FROM batches WHERE run_id != :burned ORDER BY seq DESC LIMIT 1"
        rows = fetched(self.storage, query, burned=BURNED)
        return int(rows[0][0]) if rows else None

    def published_blocks(self, batch_key: str, limit: int | None = None) -> list[LedgerBlock]:
        """Return the published blocks of `batch_key` in order, the first `limit`; none if it was not published."""
        which = "WHERE batch_key = :key ORDER BY position LIMIT :most"
        query = f"SELECT {_BLOCK} FROM blocks {which}"  # noqa: S608 - names of our own
        found = fetched(self.storage, query, key=batch_key, most=_ALL if limit is None else limit)
        return [LedgerBlock(*row) for row in found]

    def head(self) -> str:
        """Return the link of the newest publication, hex; `NO_LINK` when there is none."""
        with self.storage.connection() as db:
            return NO_LINK if db is None else last_link(db, "batches")

    def exists(self) -> bool:
        """Tell whether there is a ledger at its place, with rows or without."""
        return self.storage.exists()

    def lacks(self, links: Iterable[str]) -> tuple[str, ...]:
        """Return those of the `links` of publications that are neither here nor accepted as lost."""
        asked = tuple(links)
        with self.storage.connection() as db:
            if db is None:
                return asked
            query = (
                f"SELECT each.value FROM {self.storage.each}"  # noqa: S608 - the storage's own words
                " WHERE NOT EXISTS (SELECT 1 FROM batches WHERE ledger_link = each.value)"
            )
            if "losses" in self.storage.chains_of(db):
                query += " AND NOT EXISTS (SELECT 1 FROM losses WHERE lost_link = each.value)"
            missing = {link for (link,) in db.execute(query, {"list": json.dumps(asked)})}
        return tuple(link for link in asked if link in missing)

    def accept_losses(self, known_to: Mapping[str, str]) -> None:
        """Accept that publications are lost: the link of each, and who knew of it. `lacks` counts them no more.

        On a server that took over, that server is accepted too, in the same transaction.

        Raises
        ------
        LedgerError
            If the ledger can't be written.
        """
        with self.storage.transaction() as db:
            time_us = self._clock() // 1000
            for lost, witness in known_to.items():
                append_row(
                    db,
                    "losses",
                    partial(loss_link, lost_link=lost, known_to=witness, time_us=time_us),
                    lost_link=lost,
                    known_to=witness,
                    accepted_at_us=time_us,
                )
            self.storage.accept_promotion(db, time_us)

    def refuse_if_unsafe(self) -> None:
        """Raise if its server may lose what it acknowledges; each write looks again.

        Raises
        ------
        UnsafeLedgerServer
            With every reason.
        """
        self.storage.refuse_if_unsafe()

    def refuse_if_promoted(self) -> None:
        """Raise if another server took over the ledger and nobody accepted that yet.

        Raises
        ------
        LedgerPromoted
            With the epoch that was accepted last and the present one, and what to do.
        """
        self.storage.refuse_if_promoted()

    def verify(self) -> str:
        """Walk all chains again, in little memory whatever their length, and return the newest publication's link.

        Raises
        ------
        LedgerError
            At the first row that does not follow from the one before; ``data`` names ``table`` and ``seq``.
        """
        # one moment, so that a publication made meanwhile is seen whole or not at all
        with self.storage.snapshot() as db:
            return NO_LINK if db is None else verified(db, self.storage.chains_of(db))


def _opened(place: Path | LedgerServer, readonly: bool, busy_timeout_s: float, accepts: str | None) -> LedgerStorage:
    if not isinstance(place, LedgerServer):
        return LedgerFile(Path(place), readonly, busy_timeout_s)
    from entropy_assets.stores.ledger.postgres.database import LedgerDatabase

    return LedgerDatabase(place, readonly, busy_timeout_s, accepts)


def _refuse_if_published(storage: LedgerStorage, db: Statements, blocks: Sequence[LedgerBlock]) -> None:
    for column in ("block_id", "block_sha256"):
        row = db.execute(
            f"SELECT k.block_id, k.batch_key FROM {storage.each} CROSS JOIN blocks k"  # noqa: S608 - names of our own
            f" WHERE k.{column} = each.value LIMIT 1",
            {"list": json.dumps([getattr(block, column) for block in blocks])},
        ).fetchone()
        if row is not None:
            raise ClaimRefused(
                f"block {row[0]} was already published by batch {row[1]}", block_id=row[0], batch_key=row[1]
            )
