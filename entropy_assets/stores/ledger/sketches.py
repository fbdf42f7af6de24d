"""The sketches of spent frames, in the file of the ledger: a working memory beside the record.

The column `image_sha256` holds the name of a sketch: of a file with several parts there is one for each, and behind the
hash stand a slash and the place of the part.

Trusted for no promise that the record makes: who takes a sketch away gets the pattern that it shows credited once more,
and who alters one can get a frame refused. An audit compares those of its batch with the images.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from entropy_assets.core.credit.sketches import BYTES_OF_FOLDS, Sketch
from entropy_assets.errors import LedgerError
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.storage import fetched

_WHOLE: Final = "SELECT image_sha256, sensor, live_pixels, folds FROM sketches JOIN folds USING (seq)"


class SketchShelf:
    """The sketches that a ledger keeps.

    Parameters
    ----------
    ledger
        Where they are kept.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._storage = ledger.storage

    def keep(self, sketch: Sketch, lookup: bytes, most_frames: int, *, is_restored: bool = False) -> int:
        """Remember the sketch of a spent frame, once; return its place in the order of all that were remembered.

        Parameters
        ----------
        lookup
            Its index.
        most_frames
            Frames that one is compared with: a quarter more than these are kept, the newest.
        is_restored
            The ledger was lost: what came before this frame then is not known any more.

        Raises
        ------
        LedgerError
            If the ledger can't be written.
        """
        with self._storage.transaction() as db:
            named = {"name": sketch.name}
            row = db.execute("SELECT seq FROM sketches WHERE image_sha256 = :name", named).fetchone()
            if row is not None:
                return int(row[0])
            seq = int(db.execute("SELECT coalesce(max(seq), 0) + 1 FROM sketches").fetchone()[0])
            db.execute(
                "INSERT INTO sketches (seq, image_sha256, sensor, live_pixels, lookup, is_restored)"
                " VALUES (:seq, :name, :sensor, :live_pixels, :lookup, :is_restored)",
                {
                    **named,
                    "seq": seq,
                    "sensor": sketch.sensor,
                    "live_pixels": sketch.live_pixels,
                    "lookup": lookup,
                    "is_restored": is_restored,
                },
            )
            db.execute("INSERT INTO folds (seq, folds) VALUES (:seq, :folds)", {"seq": seq, "folds": sketch.to_bytes()})
            dropped = {"last": seq - most_frames * 5 // 4}
            db.execute("DELETE FROM sketches WHERE seq <= :last", dropped)
            db.execute("DELETE FROM folds WHERE seq <= :last", dropped)
            return seq

    def place_of(self, sketch: Sketch) -> int | None:
        """Return the place that a frame came to when it was spent, None if that is not known.

        Of a sketch that was kept without probes, or of a mosaic without its period, it is not: what it was compared by
        then is not what it is today.

        Raises
        ------
        LedgerError
            If another sketch of the same image is remembered.
        """
        rows = fetched(
            self._storage,
            "SELECT seq, folds FROM sketches JOIN folds USING (seq) WHERE image_sha256 = :name AND NOT is_restored",
            name=sketch.name,
        )
        folds = sketch.to_bytes()
        if not rows or (len(rows[0][1]) != len(folds) and len(rows[0][1]) in (BYTES_OF_FOLDS, len(folds) - 1)):
            return None
        if rows[0][1] != folds:
            raise LedgerError(
                f"the ledger remembers another sketch of the image {sketch.name}", image=sketch.image_sha256
            )
        return int(rows[0][0])

    def keeps_before(self, seq: int, most_frames: int) -> bool:
        """Tell whether the `most_frames` frames before a place, or all that there were, are still remembered."""
        ((first,),) = fetched(self._storage, "SELECT min(seq) FROM sketches") or [(None,)]
        return first is not None and int(first) <= max(1, seq - most_frames)

    def indexes(self, after: int, before: int) -> list[tuple[str, str, int, bytes]]:
        """Return name, sensor, live pixels and index of the frames at the places between two, in order."""
        rows = fetched(
            self._storage,
            "SELECT image_sha256, sensor, live_pixels, lookup FROM sketches"
            " WHERE seq > :after AND seq < :before ORDER BY seq",
            after=after,
            before=before,
        )
        return [(str(name), str(sensor), int(live), bytes(lookup)) for name, sensor, live, lookup in rows]

    def sensors_of(self, image_sha256s: Sequence[str]) -> list[str]:
        """Return the sensors of those of the images that are remembered, by name."""
        rows = self._among(
            "SELECT DISTINCT sensor FROM sketches WHERE substr(image_sha256, 1, 64) IN {} ORDER BY sensor",
            image_sha256s,
        )
        return [str(sensor) for (sensor,) in rows]

    def sketches(self, names: Sequence[str]) -> list[Sketch]:
        """Return the sketches that are remembered under some names."""
        rows = self._among(f"{_WHOLE} WHERE image_sha256 IN {{}}", names)
        return [Sketch.from_bytes(*row) for row in rows]

    def sensor_of(self, image_sha256s: Sequence[str]) -> dict[str, str]:
        """Return the sensor of each of the images that are remembered, of several parts the first, by its SHA-256."""
        rows = self._among(
            "SELECT substr(image_sha256, 1, 64) AS image, min(sensor) FROM sketches"
            " WHERE substr(image_sha256, 1, 64) IN {} GROUP BY image",
            image_sha256s,
        )
        return {str(image): str(sensor) for image, sensor in rows}

    def newest_of(self, sensor: str, limit: int) -> list[Sketch]:
        """Return the sketches of the newest remembered frames of a sensor, newest first."""
        query = f"{_WHOLE} WHERE sensor = :sensor ORDER BY seq DESC LIMIT :most"
        return [Sketch.from_bytes(*row) for row in fetched(self._storage, query, sensor=sensor, most=limit)]

    def _among(self, query: str, names: Sequence[str]) -> list[tuple[Any, ...]]:
        """Return the rows of a query in which braces stand for the list of `names`."""
        asked = query.format(f"(SELECT each.value FROM {self._storage.each})")  # noqa: S608 - the storage's own words
        return fetched(self._storage, asked, list=json.dumps(list(names)))
