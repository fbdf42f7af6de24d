"""What other users of the machine could do with files, as their modes say it."""

from pathlib import Path


def open_to_others(root: Path) -> list[Path]:
    """Return `root` and what is below it, links left out, that group or world may read, write or enter; sorted."""
    paths = (root, *root.rglob("*"))
    return sorted(path for path in paths if not path.is_symlink() and path.lstat().st_mode & 0o077)
