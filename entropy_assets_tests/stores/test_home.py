"""The layout of an installation is an interface: what lies where is kept by every later version."""

from pathlib import Path

from entropy_assets.stores.home import Home

LAYOUT = {
    "inbox_folder": "inbox",
    "images_folder": "images",
    "batches_folder": "batches",
    "ledger_file": "ledger.sqlite",
    "dagster_folder": "dagster",
    "alerts_file": "alerts.jsonl",
    "keys_file": "keys.json",
    "logs_folder": "logs",
    "lock_file": ".lock",
}


def test_everything_lies_where_it_always_lay(tmp_path: Path) -> None:
    places = {name for name in dir(Home) if name.endswith(("_folder", "_file"))}
    assert {name: getattr(Home(tmp_path), name) for name in places} == {
        name: tmp_path / file for name, file in LAYOUT.items()
    }


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
