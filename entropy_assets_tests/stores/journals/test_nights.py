"""The log of nights: a night stands in it once, and a line that a crash tore off spoils no other."""

from pathlib import Path

from entropy_assets.stores.journals.nights import NightLog


def test_a_night_stands_in_it_once(tmp_path: Path) -> None:
    log = NightLog(tmp_path / "deep" / "nights.jsonl")
    assert log.read() == []
    assert log.append({"night": "2026-11-01", "sequences": 3})
    assert not log.append({"night": "2026-11-01", "sequences": 5})
    assert log.append({"night": "2026-11-02", "sequences": 1})
    assert [row["sequences"] for row in log.read()] == [3, 1]


def test_a_torn_line_is_left_out_and_the_next_night_begins_a_new_one(tmp_path: Path) -> None:
    log = NightLog(tmp_path / "nights.jsonl")
    log.append({"night": "2026-11-01"})
    with log.path.open("ab") as file:
        file.write(b'{"night": "2026-11-02", "row')
    assert log.append({"night": "2026-11-02"})
    assert [row["night"] for row in log.read()] == ["2026-11-01", "2026-11-02"]
