"""What every source of images can do."""

from typing import Protocol


class ImageSource(Protocol):
    """Anything that hands over new image files when asked.

    Attributes
    ----------
    name
        Label of the source in batch keys and manifests, ``[a-z0-9-]{1,32}``; the recipe says what it vouches for.
    """

    @property
    def name(self) -> str:
        """Label of the source."""

    def collect(self) -> list[tuple[str, bytes]]:
        """Return the new images as (file name, bytes); empty if there are none.

        Raises
        ------
        EntropyAssetsError
            If the source fails. A failing source is never replaced by another one.
        """
