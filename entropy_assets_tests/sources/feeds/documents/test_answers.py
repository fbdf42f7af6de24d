"""Answers in JSON are read into what is needed, and nothing of a wrong one is repeated."""

import pytest
from pydantic import TypeAdapter

from entropy_assets.sources.feeds.documents.answers import MOST_NESTED, MOST_VALUES, AnswerFields, read_json


class Told(AnswerFields):
    name: str


FORM = TypeAdapter(Told)


def test_what_is_not_needed_is_passed_over() -> None:
    assert read_json(FORM, b'{"name": "a", "more": [1]}').name == "a"


@pytest.mark.parametrize(
    "data", [b"", b"<html>hunter2</html>", b'{"nam": "hunter2"}', b'{"name": ["hunter2"]}', b'["hunter2"]', b"\xff"]
)
def test_a_wrong_answer_is_refused_in_words_that_repeat_nothing(data) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        read_json(FORM, data)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("value, count", [(b"{},", MOST_NESTED), (b"[],", MOST_NESTED), (b"1,", MOST_VALUES)])
def test_an_answer_of_nothing_but_small_values_does_not_fill_the_memory(value: bytes, count: int) -> None:
    """16 MiB of small objects took 1.6 GiB before their form was judged, whatever the form."""
    with pytest.raises(ValueError, match="more values than any listing needs"):
        read_json(FORM, b'{"name": "a", "more": [' + value * count + b"1]}")
    assert read_json(FORM, b'{"name": "a", "more": [' + value * (count // 2) + b"1]}").name == "a"


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"name": "' + b"a" * 5000 + b'"}'])
def test_depth_and_length_are_bounded(data) -> None:
    with pytest.raises(ValueError, match=r"recursion limit|at most 4000"):
        read_json(FORM, data)
