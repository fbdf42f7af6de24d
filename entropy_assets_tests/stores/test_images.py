"""The store of images gives back what it was given, or says that it can't."""

import os
from pathlib import Path

import pytest

from entropy_assets.errors import ImageAltered, ImageMissing
from entropy_assets.stores.images import ImageStore


class TestImageStore:
    """The content-addressed store."""

    def test_what_is_put_comes_back_and_twice_is_once(self, tmp_path: Path) -> None:
        """Bytes in, SHA-256 out, bytes back; repeating it writes nothing."""
        store = ImageStore(tmp_path / "images")
        sha256 = store.put(b"image")
        written = store.path(sha256).stat().st_mtime_ns
        assert store.put(b"image") == sha256
        assert store.get(sha256) == b"image"
        assert sha256 in store
        assert store.path(sha256).stat().st_mtime_ns == written
        assert [path.name for path in (tmp_path / "images").rglob("*") if path.is_file()] == [sha256]
        assert store.path(sha256).parent.name == sha256[:2]

    def test_altered_image_is_noticed_and_repaired_by_putting_it_again(self, tmp_path: Path) -> None:
        """One flipped bit is found on reading; the same image heals it."""
        store = ImageStore(tmp_path)
        sha256 = store.put(b"image")
        store.path(sha256).write_bytes(b"imagf")
        with pytest.raises(ImageAltered) as caught:
            store.get(sha256)
        assert caught.value.data["image_sha256"] == sha256
        store.put(b"image")
        assert store.get(sha256) == b"image"

    @pytest.mark.parametrize("name", ["0" * 64, "", "../../etc/passwd", "A" * 64, "0" * 63 + "\n", "é" * 64])
    def test_unknown_and_malformed_names_are_missing(self, tmp_path: Path, name: str) -> None:
        """A name that is no SHA-256 never becomes a path."""
        with pytest.raises(ImageMissing):
            ImageStore(tmp_path).get(name)

    def test_failure_while_writing_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A full disk loses the new image only: no half file, no temporary one."""
        store = ImageStore(tmp_path)

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            store.put(b"image")
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
