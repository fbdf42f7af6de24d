"""Verdicts: what is kept has the fields that are named, and no others."""

import pytest

from entropy_assets.errors import BatchError
from entropy_assets.stages.verdicts import VerdictRow, Verdicts, verdicts_of
from entropy_assets_tests.stages.batches_made import Place, frame


def test_every_row_has_the_fields_that_are_named(place: Place) -> None:
    verdicts = verdicts_of(place.validated([("a.fits", frame(1))]))
    assert set(verdicts) == Verdicts.__required_keys__
    assert verdicts["rows"]
    for row in verdicts["rows"]:
        assert set(row) == VerdictRow.__required_keys__
        kinds = {name: type(value).__name__ for name, value in row.items() if name != "reasons"}
        assert kinds == {name: kind.__name__ for name, kind in VerdictRow.__annotations__.items() if name != "reasons"}


def test_a_batch_that_is_not_validated_has_none(place: Place) -> None:
    with pytest.raises(BatchError, match="materialise validated_blocks first"):
        verdicts_of(place.hashed([("a.fits", frame(1))]))
