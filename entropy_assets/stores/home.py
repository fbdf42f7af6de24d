"""The layout of an installation: the one page that knows what lies where under its folder, and opens the stores in it.

Trusted for nothing of its own: each store says what it is trusted for. Who may write to the folder may write to all of
them.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from entropy_assets.stores.alerts import AlertLog
from entropy_assets.stores.batches import BatchStore
from entropy_assets.stores.images import ImageStore
from entropy_assets.stores.inbox import DropFolder, inboxes
from entropy_assets.stores.ledger.sqlite import Ledger


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of an installation. Nothing in it is made before a store is written to.

    But for an inbox that is opened, and the ledger: opened for writing, it makes its file at the first look.

    Attributes
    ----------
    root
        The folder.
    """

    root: Path

    @property
    def inbox_folder(self) -> Path:
        """Folder into which images are dropped; a listed source has a subfolder of its own."""
        return self.root / "inbox"

    @property
    def images_folder(self) -> Path:
        """Folder of the images under their hashes."""
        return self.root / "images"

    @property
    def batches_folder(self) -> Path:
        """Folder of the batches."""
        return self.root / "batches"

    @property
    def ledger_file(self) -> Path:
        """File of the ledger."""
        return self.root / "ledger.sqlite"

    @property
    def dagster_folder(self) -> Path:
        """Folder of Dagster's storage and configuration: its DAGSTER_HOME."""
        return self.root / "dagster"

    @property
    def alerts_file(self) -> Path:
        """File to which alerts are appended, one JSON object a line."""
        return self.root / "alerts.jsonl"

    @property
    def keys_file(self) -> Path:
        """File of the API keys, unless the settings name another place."""
        return self.root / "keys.json"

    @property
    def logs_folder(self) -> Path:
        """Folder of what the children of ``entropy-assets up`` log, one file each."""
        return self.root / "logs"

    @property
    def lock_file(self) -> Path:
        """File that the one ``entropy-assets up`` of this folder holds locked."""
        return self.root / ".lock"

    def images(self) -> ImageStore:
        """Return the images."""
        return ImageStore(self.images_folder)

    def batches(self) -> BatchStore:
        """Return the batches."""
        return BatchStore(self.batches_folder)

    def ledger(self, *, readonly: bool = False) -> Ledger:
        """Return the ledger; with `readonly` it refuses every write, and a missing one is empty."""
        return Ledger(self.ledger_file, readonly=readonly)

    def alerts(self) -> AlertLog:
        """Return the alerts."""
        return AlertLog(self.alerts_file)

    def inboxes(self, sources: Collection[str], *, settle_seconds: float, max_file_bytes: int) -> dict[str, DropFolder]:
        """Return the inbox and its subfolders of those of `sources` that have one, by source, as `inbox.inboxes`."""
        return inboxes(self.inbox_folder, sources, settle_seconds, max_file_bytes)
