"""How fast bytes come and go."""

from typing import Final

SHORTEST_S: Final = 0.1
"""Time over which a rate is taken at least, seconds."""
SMOOTHING: Final = 0.3
"""Weight of the newest second in the two rates."""


class Rates:
    """Bytes per second that were served and that arrived, over the last seconds."""

    def __init__(self, now: float) -> None:
        self.served = 0.0
        self.arriving = 0.0
        self._since = now
        self._served_bytes = 0
        self._arrived_bytes = 0

    def update(self, now: float, served_bytes: int, arrived_bytes: int) -> bool:
        """Take in the totals up to `now`; return whether enough time passed for a new figure."""
        spent = now - self._since
        if spent < SHORTEST_S:
            return False
        latest = (served_bytes - self._served_bytes) / spent
        self.served = max(latest, self.served + SMOOTHING * (latest - self.served))
        self.arriving += SMOOTHING * ((arrived_bytes - self._arrived_bytes) / spent - self.arriving)
        self._since, self._served_bytes, self._arrived_bytes = now, served_bytes, arrived_bytes
        return True
