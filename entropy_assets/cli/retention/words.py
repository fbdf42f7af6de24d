"""What was removed, or would be, and why the rest stays: in words."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from entropy_assets.stores.file_names import printable

if TYPE_CHECKING:
    from entropy_assets.stages.retention.plan import Going

KEPT: Final = (
    "every image and batch is kept: no setting ENTROPY_KEEP_... says for how long. See docs/retention.md, or try"
    " ENTROPY_KEEP_NOISE_DAYS=30 entropy-assets retention --dry-run"
)
MOST_NAMED: Final = 3
"""Batches that one reason names; it counts all."""
_IMAGE: Final = "image"
"""What has no name that says anything to a person, and is counted."""


def lines_of(items: "Collection[Going]", staying: Mapping[str, str], *, is_dry: bool, keeps_all: bool) -> Iterator[str]:
    """Yield the lines that tell a person what goes, how much that is, and why the rest stays."""
    if keeps_all:
        yield KEPT
        return
    for item in items:
        if item.kind != _IMAGE:
            yield printable(f"{item.kind:8}{size_of(item.bytes):>10}  {item.name}: {item.why}")
    if images := [item for item in items if item.kind == _IMAGE]:
        size = size_of(sum(item.bytes for item in images))
        yield f"{_IMAGE:8}{size:>10}  {counted(len(images), _IMAGE)}: {images[0].why}"
    verb = "would be removed" if is_dry else "removed"
    stays = "1 batch stays" if len(staying) == 1 else f"{len(staying)} batches stay"
    yield f"{size_of(sum(item.bytes for item in items))} {verb}; {stays}"
    for why, count in Counter(staying.values()).most_common():
        keys = [key for key, reason in staying.items() if reason == why]
        more = " ..." if count > MOST_NAMED else ""
        yield printable(f"  {count} because {why}: {', '.join(keys[:MOST_NAMED])}{more}")


def lines_of_history(
    folder: Path, runs: Mapping[str, str], partitions: Collection[str], *, is_dry: bool
) -> Iterator[str]:
    """Yield the lines that tell what the Dagster in `folder` forgets.

    Parameters
    ----------
    runs
        Why each run goes, by its id.
    """
    for why, count in Counter(runs.values()).most_common():
        yield f"{'run':8}{count:>10}  {why}"
    if partitions:
        yield f"{'partition':9}{len(partitions):>9}  its batch was removed"
    verb = "would forget" if is_dry else "forgot"
    counts = [counted(len(runs), "run"), *([counted(len(partitions), "partition")] if partitions else [])]
    what = " and ".join(counts) if runs or partitions else "nothing"
    yield printable(f"Dagster {verb} {what}; it lies in {folder}")


def counted(count: int, noun: str) -> str:
    """Return how many there are: 1 run, 2 runs."""
    return f"{count} {noun}{'s' * (count != 1)}"


def size_of(size: int) -> str:
    """Return a number of bytes for people."""
    if size < 1000:
        return f"{size} B"
    value, unit = size / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if value >= 1000:
            value, unit = value / 1000, larger
    return f"{value:.1f} {unit}"
