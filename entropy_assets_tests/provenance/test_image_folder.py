"""Files of a folder are found by what is in them, whatever they are called and however deep they lie."""

from pathlib import Path

from entropy_assets.provenance.image_folder import ImageFolder
from entropy_assets_tests.provenance.forging import by_hash


def test_a_folder_holds_its_files_by_their_hashes(tmp_path: Path) -> None:
    files = by_hash(b"one", b"two", b"")
    (tmp_path / "inner").mkdir()
    for number, data in enumerate(files.values()):
        (tmp_path / "inner" / f"picture {number}").write_bytes(data)
    folder = ImageFolder(tmp_path)
    assert dict(folder) == files
    assert len(folder) == len(files)
    assert "ab" * 32 not in folder


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    """Who asks compares what comes with the hash: nothing is kept that could hide the change."""
    (name,) = by_hash(b"one")
    (tmp_path / "picture").write_bytes(b"one")
    folder = ImageFolder(tmp_path)
    assert folder[name] == b"one"
    (tmp_path / "picture").write_bytes(b"other")
    assert folder[name] == b"other"
