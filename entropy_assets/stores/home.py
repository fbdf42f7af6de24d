"""The layout of an installation: the one page that knows what lies where under its folder, and opens the stores in it.

Trusted for keeping other users of the machine out: noise, blocks and nonces tell bytes before they are drawn, and names
of folders the order in which they will be. For all else each store says what it is trusted for. Who may write to the
folder may write to all of them.
"""

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, Self

from entropy_assets.stores.batches import BatchStore
from entropy_assets.stores.blobs.interface import Blobs
from entropy_assets.stores.blobs.opening import blobs_at, refuse_unsafe
from entropy_assets.stores.durable import (
    close_to_others,
    has_other_names,
    is_open_to_others,
    is_written_by_others,
    private_files,
)
from entropy_assets.stores.images import ImageStore
from entropy_assets.stores.inboxes.bucket import Inbox, prefixes
from entropy_assets.stores.inboxes.folder import inboxes
from entropy_assets.stores.inboxes.origins import OriginStore
from entropy_assets.stores.journals.alerts import AlertLog
from entropy_assets.stores.journals.nights import NightLog
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.storage import LedgerServer

_COMPANION: Final = r"\.?(?:{names})(?:[-.].*)?|\..*\.tmp"
"""Names beside those of the layout: a lock, the log of a database, a file that is still being written."""


class _Secret(Protocol):
    def get_secret_value(self) -> str: ...


class Places(Protocol):
    """The settings that say where an installation is."""

    @property
    def home(self) -> Path:
        """Its folder."""

    @property
    def store_url(self) -> str | None:
        """Object store of its images and batches, if they are not in the folder."""

    @property
    def inbox_url(self) -> str | None:
        """Object store of its inbox, if that is not in the folder."""

    @property
    def ledger_url(self) -> _Secret | None:
        """Address of its ledger, None for the file in the folder."""

    @property
    def ledger_single_server(self) -> bool:
        """Whether nobody ever fails over from the ledger's server."""


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of an installation. Nothing in it is made before a store is written to.

    But for an inbox that is opened, and the ledger: opened for writing, it makes its file at the first look.

    Attributes
    ----------
    root
        The folder.
    store_url
        Object store of images and batches; None for the folder.
    inbox_url
        Object store into which images are dropped; None for the folder.
    ledger_server
        Where the ledger is, unless it is the file in the folder.
    """

    root: Path
    store_url: str | None = None
    inbox_url: str | None = None
    ledger_server: LedgerServer | None = None

    @classmethod
    def of(cls, places: Places) -> Self:
        """Return the installation that the settings describe."""
        server = None
        if places.ledger_url is not None:
            server = LedgerServer(places.ledger_url.get_secret_value(), places.ledger_single_server)
        return cls(places.home, places.store_url, places.inbox_url, server)

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
    def origins_folder(self) -> Path:
        """Folder of the notes that say where images were fetched."""
        return self.root / "origins"

    @property
    def feeds_folder(self) -> Path:
        """Folder of what is remembered of the feeds."""
        return self.root / "feeds"

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
    def nights_file(self) -> Path:
        """File to which the nightly looks at the public stream are appended, one JSON object a line."""
        return self.root / "stream_nights.jsonl"

    @property
    def keys_file(self) -> Path:
        """File of the API keys, unless the settings name another place."""
        return self.root / "keys.json"

    @property
    def sources_file(self) -> Path:
        """File that says which feeds are asked for images, unless the settings name another one."""
        return self.root / "sources.toml"

    @property
    def logs_folder(self) -> Path:
        """Folder of what the children of ``entropy-assets up`` log, one file each."""
        return self.root / "logs"

    @property
    def lock_file(self) -> Path:
        """File that the one ``entropy-assets up`` of this folder holds locked."""
        return self.root / ".lock"

    def refuse_unsafe_stores(self) -> None:
        """Ask each object store whether a name is created once there, and the ledger's server whether it keeps things.

        A folder does both.

        Raises
        ------
        StoreError
            If an object store does not, refuses who asks, or does not answer.
        UnsafeLedgerServer, LedgerError
            If the ledger's server may lose what it acknowledges, or does not answer.
        """
        self.ledger(readonly=True).refuse_if_unsafe()
        for url in {self.store_url, self.inbox_url} - {None}:
            refuse_unsafe(str(url))

    def images(self) -> ImageStore:
        """Return the images."""
        return ImageStore(blobs_at(self.store_url or self.root, self.images_folder.name))

    def origins(self) -> OriginStore:
        """Return where images were fetched."""
        return OriginStore(blobs_at(self.store_url or self.root, self.origins_folder.name))

    def feeds(self) -> Blobs:
        """Return where is kept what is remembered of the feeds: beside the images, so that all machines have it."""
        return blobs_at(self.store_url or self.root, self.feeds_folder.name)

    def batches(self) -> BatchStore:
        """Return the batches."""
        return BatchStore(blobs_at(self.store_url or self.root, self.batches_folder.name))

    def ledger(self, *, readonly: bool = False, accepts: str | None = None) -> Ledger:
        """Return the ledger; with `readonly` it refuses every write, and a missing one is empty.

        Parameters
        ----------
        accepts
            The epoch of a server that took over, which somebody accepts by what he does.
        """
        return Ledger(self.ledger_server or self.ledger_file, readonly=readonly, accepts=accepts)

    def alerts(self) -> AlertLog:
        """Return the alerts."""
        return AlertLog(self.alerts_file)

    def nights(self) -> NightLog:
        """Return the nightly looks at the public stream."""
        return NightLog(self.nights_file)

    def inboxes(self, sources: Collection[str], *, settle_seconds: float, max_file_bytes: int) -> Mapping[str, Inbox]:
        """Return the inbox and its subfolders of those of `sources` that have one, by source, as `inbox.inboxes`.

        In an object store each source has a prefix, so each has one.
        """
        if self.inbox_url is not None:
            return prefixes(self.inbox_url, sources, max_file_bytes)
        return inboxes(self.inbox_folder, sources, settle_seconds, max_file_bytes)

    def inbox_of(self, source: str, sources: Collection[str], *, settle_seconds: float, max_file_bytes: int) -> Inbox:
        """Return the inbox of `source`, as `inboxes` gives it; one of `sources` gets its subfolder if it has none."""
        if self.inbox_url is None and source in sources:
            (self.inbox_folder / source).mkdir(parents=True, exist_ok=True)
        return self.inboxes(sources, settle_seconds=settle_seconds, max_file_bytes=max_file_bytes)[source]

    @contextmanager
    def kept_private(self, say: Callable[[str], object]) -> Iterator[None]:
        """Let what this process and its children make be its user's alone; first `narrow`, and `say` what that did."""
        with private_files():
            if narrowed := self.narrow():
                say(narrowed)
            yield

    def narrow(self) -> str:
        """Take from others what they may do with the installation's files; return a sentence on it, empty if nothing.

        An earlier version made them readable by all. What is closed is not looked through: nobody comes in. Never
        touched are links, what lies in the folder besides the installation (with such things in it the folder itself
        stays as it is), and a file in the inbox that has another name elsewhere, since that is somebody's archive. A
        file of feeds to which others may write stays so: it may start programs, and who reads it must see that.
        """
        try:
            inside = list(self.root.iterdir())
        except (FileNotFoundError, PermissionError):  # none yet, or somebody else's, who closed it
            return ""
        ours = [path for path in inside if self._is_ours(path)]
        found = [path for top in ours if is_open_to_others(top) for path in (*_below(top), top)]
        if len(ours) == len(inside):
            found.append(self.root.resolve())
        wide = [path for path in found if is_open_to_others(path) and not self._is_left(path)]
        narrowed = sum(map(close_to_others, wide))
        sentences = []
        if narrowed:
            one = "1 file or folder could be read by others; now it is this user's alone"
            many = f"{narrowed} files and folders could be read by others; now they are this user's alone"
            sentences.append(one if narrowed == 1 else many)
        if len(wide) > narrowed:
            left = len(wide) - narrowed
            sentences.append(f"{left} still can be: they belong to somebody else, or lie on a medium without modes")
        return "; ".join(sentences)

    def _is_ours(self, path: Path) -> bool:
        places = (getattr(self, name) for name in dir(type(self)) if name.endswith(("_folder", "_file")))
        names = "|".join(re.escape(place.name.lstrip(".")) for place in places)
        return re.fullmatch(_COMPANION.format(names=names), path.name, re.DOTALL) is not None

    def _is_left(self, path: Path) -> bool:
        is_of_an_archive = path.is_relative_to(self.inbox_folder) and has_other_names(path)
        return is_of_an_archive or (path == self.sources_file and is_written_by_others(path))


def _below(top: Path) -> Iterator[Path]:
    """Yield what lies below a folder, the deepest first: who is cut off in the middle finds `top` still open."""
    for folder, folders, files in os.walk(top, topdown=False):
        yield from (Path(folder, name) for name in (*files, *folders))
