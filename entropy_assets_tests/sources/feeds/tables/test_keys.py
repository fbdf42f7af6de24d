"""What a table may say is told from its model: each key with its unit, its bounds, and what is taken without it."""

import tomllib

import pytest

from entropy_assets.sources.feeds.configuration import KINDS
from entropy_assets.sources.feeds.tables.keys import as_toml, commented, common_keys, keys_of


@pytest.mark.parametrize("kind", KINDS)
def test_each_key_of_a_kind_is_told_with_what_it_means(kind: str) -> None:
    keys = {key.name: key for key in keys_of(KINDS[kind])}
    assert keys.keys() == KINDS[kind].model_fields.keys() - {"kind"}
    assert [name for name, key in keys.items() if not key.meaning] in ([], ["claim"])
    for name, key in keys.items():
        field = KINDS[kind].model_fields[name]
        assert key.is_needed is field.is_required()
        assert bool(key.default) is not (field.is_required() or field.default is None)


def test_bounds_and_units_stand_beside_the_default() -> None:
    keys = {key.name: key for key in keys_of(KINDS["http-directory"])}
    assert keys["cadence_seconds"].meaning == "Time from one look to the next, seconds."
    assert (keys["cadence_seconds"].default, keys["cadence_seconds"].bounds.split(",")[0]) == ("300", "10 at least")
    assert keys["lane"].bounds == 'One of "public", "private".'
    assert keys["max_file_bytes"].default == "67_108_864"


def test_what_is_said_already_is_left_out_and_the_rest_is_a_comment() -> None:
    said = ("path", "claim")
    lines = commented(KINDS["folder"], said).splitlines()
    assert all(line.startswith("#") and len(line) <= 120 for line in lines)
    names = [line[1:].partition(" =")[0] for line in lines if not line.startswith("# ")]
    assert {*names, *said, "kind"} == KINDS["folder"].model_fields.keys()


@pytest.mark.parametrize("value", [True, False, 7, 10_000, 1.5, "", 'a "b" \\ ü', ["a", "b"], []])
def test_values_are_read_again_as_they_were(value: object) -> None:
    assert tomllib.loads(f"a = {as_toml(value)}") == {"a": value}


def test_a_page_has_a_row_for_each_key_of_every_table() -> None:
    rows = common_keys().splitlines()
    assert "| `claim` | needed |" in rows[2]
    assert any(row.startswith("| `lane` | not set |") for row in rows)
