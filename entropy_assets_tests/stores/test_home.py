"""The layout of an installation is an interface: what lies where is kept by every later version."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from entropy_assets.errors import LedgerError
from entropy_assets.settings import Settings
from entropy_assets.stores.home import Home
from entropy_assets.stores.ledger.storage import LedgerServer
from entropy_assets_tests.file_modes import open_to_others

LAYOUT = {
    "inbox_folder": "inbox",
    "images_folder": "images",
    "batches_folder": "batches",
    "origins_folder": "origins",
    "feeds_folder": "feeds",
    "sources_file": "sources.toml",
    "ledger_file": "ledger.sqlite",
    "dagster_folder": "dagster",
    "alerts_file": "alerts.jsonl",
    "nights_file": "stream_nights.jsonl",
    "keys_file": "keys.json",
    "logs_folder": "logs",
    "lock_file": ".lock",
}


def test_everything_lies_where_it_always_lay(tmp_path: Path) -> None:
    places = {name for name in dir(Home) if name.endswith(("_folder", "_file"))}
    assert {name: getattr(Home(tmp_path), name) for name in places} == {
        name: tmp_path / file for name, file in LAYOUT.items()
    }


def test_the_ledger_is_where_the_settings_say(tmp_path: Path) -> None:
    """In the folder, or on a server; an address that is none is refused before anything is done."""
    file = Home.of(Settings(home=tmp_path))
    assert (file, file.ledger().path) == (Home(tmp_path), tmp_path / "ledger.sqlite")
    url = SecretStr("postgresql+psycopg://user:secret@host:5433/db")
    server = Home.of(Settings(home=tmp_path, ledger_url=url, ledger_single_server=True))
    assert server.ledger_server == LedgerServer(url.get_secret_value(), is_single=True)
    assert (server.ledger().path, server.ledger().name) == (None, "postgresql://host:5433/db")
    with pytest.raises(LedgerError, match="no address of PostgreSQL"):
        Home.of(Settings(home=tmp_path, ledger_url=SecretStr("ledger.sqlite"))).ledger()


def test_looking_makes_nothing(tmp_path: Path) -> None:
    """A service that looks into the wrong folder leaves no trace of an installation in it."""
    home = Home(tmp_path / "none")
    assert list(home.batches()) == []
    assert home.ledger(readonly=True).head() == "00" * 32
    assert "ab" * 32 not in home.images()
    assert not home.root.exists()


def test_the_stores_keep_their_things_in_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.images().path("ab" * 32).is_relative_to(home.images_folder)
    assert home.batches().root == home.batches_folder
    (home.inbox_folder / "zoo").mkdir(parents=True)
    inboxes = home.inboxes(["zoo", "absent"], settle_seconds=0.0, max_file_bytes=1)
    assert {source: inbox.inbox for source, inbox in inboxes.items()} == {
        "drop": home.inbox_folder,
        "zoo": home.inbox_folder / "zoo",
    }


# Nobody else reads what is in it


def open_installation(root: Path) -> Path:
    """Make what an earlier version left: folders of mode 0755, files of mode 0644, some of them a user's."""
    for file in ("batches/b/intake.json", "ledger.sqlite", "inbox/processed/b/m51.fits", "inbox/new.fits"):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"bytes")
        (root / file).chmod(0o644)
    for folder in (root, *(path for path in root.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    return root


def test_an_open_installation_is_narrowed_and_told_of_once(tmp_path: Path) -> None:
    home = Home(open_installation(tmp_path / "var"))
    assert open_to_others(home.root)
    said = home.narrow()
    assert open_to_others(home.root) == []
    assert said == "10 files and folders could be read by others; now they are this user's alone"
    assert (home.batches_folder / "b" / "intake.json").read_bytes() == b"bytes"
    assert home.narrow() == ""
    home.batches_folder.chmod(0o755)
    assert home.narrow() == "1 file or folder could be read by others; now it is this user's alone"


def test_narrowing_follows_no_link_and_leaves_a_file_that_has_another_name_elsewhere(tmp_path: Path) -> None:
    """Who links an image of an archive into the inbox still shares the archive with others afterwards."""
    home = Home(open_installation(tmp_path / "var"))
    archive = tmp_path / "archive.fits"
    archive.write_bytes(b"image")
    archive.chmod(0o644)
    (home.inbox_folder / "linked.fits").hardlink_to(archive)
    (home.batches_folder / "elsewhere").symlink_to(archive)
    home.narrow()
    assert archive.stat().st_mode & 0o777 == 0o644
    assert open_to_others(home.root) == [home.inbox_folder / "linked.fits"]


def test_what_lies_beside_the_installation_is_left_alone_and_so_is_their_folder(tmp_path: Path) -> None:
    """``process --out .`` must not shut a user's own folder."""
    home = Home(open_installation(tmp_path / "var"))
    (home.root / "ledger.sqlite-wal").write_bytes(b"rows")
    for own in ("thesis.tex", "images_of_mine"):
        (home.root / own).write_text("mine")
    for path in home.root.iterdir():
        path.chmod(path.stat().st_mode | 0o044)
    home.narrow()
    assert open_to_others(home.root) == [home.root, *(home.root / own for own in ("images_of_mine", "thesis.tex"))]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_what_belongs_to_somebody_else_stays_as_it_is_and_is_told_of(tmp_path: Path) -> None:
    home = Home(open_installation(tmp_path / "var"))
    os.chown(home.ledger_file, 65534, 65534)
    assert home.narrow().endswith("; 1 still can be: they belong to somebody else, or lie on a medium without modes")
    assert open_to_others(home.root) == [home.ledger_file]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else for a while")
def test_a_home_that_is_closed_to_this_user_is_nothing_to_narrow(tmp_path: Path) -> None:
    """A service that runs as somebody else starts all the same: it has no home to look into, and draws need none."""
    home = Home(open_installation(tmp_path / "var"))
    home.root.chmod(0o700)
    os.seteuid(65534)
    try:
        assert home.narrow() == ""
    finally:
        os.seteuid(0)


def test_narrowing_makes_nothing(tmp_path: Path) -> None:
    assert Home(tmp_path / "none").narrow() == ""
    assert not (tmp_path / "none").exists()


def test_what_is_made_meanwhile_is_this_users_alone_and_the_umask_is_given_back(tmp_path: Path) -> None:
    home, said = Home(tmp_path / "var"), list[str]()
    before = os.umask(0o022)
    try:
        with home.kept_private(said.append):
            home.alerts().append(run_id="r", job="j", batch="", error="e")
            home.ledger().head()
        (tmp_path / "later").touch()
    finally:
        os.umask(before)
    assert open_to_others(home.root) == []
    assert (tmp_path / "later").stat().st_mode & 0o777 == 0o644
    assert said == []
