"""The frames that were spent, as the sensor memory sees them: what each of them was shown by those before it.

A frame is compared with the newest ones before it, by the order in which they were first remembered, which never
changes. So a run that is repeated, and an audit, recollect what the first run did, for as long as those frames are
kept: a few more of them than the memory looks at. Each part of a frame is a frame here.
"""

from collections.abc import Iterable

import numpy as np

from entropy_assets.core.credit.elsewhere.recollection import Recollection
from entropy_assets.core.credit.memory import Remembered, SensorMemory, lookup_of
from entropy_assets.core.credit.restart import FixedPattern, fixed_pattern
from entropy_assets.core.credit.sketches import Sketch
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.sketches import SketchShelf


class SpentFrames:
    """Sensor memory on the sketches of a ledger.

    Not safe to share between threads.

    Parameters
    ----------
    ledger
        Where they are kept.
    most_frames
        Frames that one is compared with, at most.
    """

    def __init__(self, ledger: Ledger, most_frames: int) -> None:
        self._shelf = SketchShelf(ledger)
        self._most_frames = most_frames
        self._memory = SensorMemory(most_frames)
        self._through = 0

    def recollect(self, sketch: Sketch) -> Recollection:
        """Remember a frame, once, and return what those before it show of its noise.

        Raises
        ------
        LedgerError
            If the ledger can't be written.
        """
        index = lookup_of(sketch).tobytes()
        return self._before(self._shelf.keep(sketch, index, self._most_frames), sketch)

    def restore(self, sketch: Sketch) -> None:
        """Remember a frame whose sketch was lost with a ledger. What it was shown by others then is not known any more.

        Raises
        ------
        LedgerError
            If the ledger can't be written.
        """
        self._shelf.keep(sketch, lookup_of(sketch).tobytes(), self._most_frames, is_restored=True)

    def recollect_again(self, sketch: Sketch) -> Recollection | None:
        """Return what `recollect` did; None if not all of what it saw is kept any more.

        Raises
        ------
        LedgerError
            If the ledger can't be read, or remembers another sketch of the same image.
        """
        seq = self._shelf.place_of(sketch)
        if seq is None or not self._shelf.keeps_before(seq, self._most_frames):
            return None
        return self._before(seq, sketch)

    def sensors(self, image_sha256s: Iterable[str], most_frames: int = 32) -> dict[str, FixedPattern | None]:
        """Return how much of the noise of each sensor among some images is fixed pattern, by the name of the sensor.

        Parameters
        ----------
        most_frames
            Frames of a sensor that are looked at, the newest.
        """
        names = self._shelf.sensors_of(list(image_sha256s))
        return {name: fixed_pattern(self._shelf.newest_of(name, most_frames)) for name in names}

    def _before(self, seq: int, sketch: Sketch) -> Recollection:
        if seq <= self._through:
            self._memory, self._through = SensorMemory(self._most_frames), 0
        for name, sensor, live_pixels, index in self._shelf.indexes(self._through, seq):
            vector = np.frombuffer(index, dtype=np.int8)
            self._memory.add(Remembered(name, sensor, live_pixels, vector))
        self._through = seq - 1
        return self._memory.recollect(sketch, self._shelf.sketches)
