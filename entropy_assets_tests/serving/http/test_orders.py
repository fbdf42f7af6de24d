"""What an order may say: integers that are written as such, limits with the one format that has them, a bound on n."""

import json
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from entropy_assets.serving.answers.integers import EXACT_NUMBER, GREATEST_INTEGER, LEAST_INTEGER, Integers
from entropy_assets.serving.http.orders import EXACT_FLOAT, DrawOrder

DIE = {"format": "int", "min": 1, "max": 6}


def read(document: Any) -> DrawOrder:
    """Read an order as the body of a POST has it."""
    return DrawOrder.model_validate_json(json.dumps(document))


def test_the_least_order_is_private_bytes_in_the_format_that_the_client_accepts() -> None:
    order = read({"n": 3})
    assert (order.n, order.public, order.integers) == (3, False, None)
    assert [order.byte_format(accept) for accept in ("", "application/json", "image/png")] == ["raw", "json", None]
    assert read({"n": 3, "format": "hex"}).byte_format("image/png") == "hex"


def test_integers_have_the_limits_of_their_format() -> None:
    assert read({"n": 1, "format": "uint16"}).integers == Integers("uint16", 0, 65_535)
    assert read({"n": 1, **DIE}).integers == Integers("int", 1, 6)
    widest = {"n": 1, "format": "int", "min": -EXACT_NUMBER, "max": EXACT_NUMBER}
    assert read(widest).integers == Integers("int", -EXACT_NUMBER, EXACT_NUMBER)
    widest = {"n": 1, "format": "bigint", "min": LEAST_INTEGER, "max": GREATEST_INTEGER}
    assert read(widest).integers == Integers("bigint", LEAST_INTEGER, GREATEST_INTEGER)


@pytest.mark.parametrize(
    "document",
    [
        {}, {"n": 0}, {"n": "3"}, {"n": True}, {"n": 1.5}, {"n": float(EXACT_FLOAT + 2)}, {"n": 1, "odd": 1},
        {"n": 1, "class": "secret"}, {"n": 1, "format": "xml"}, {"n": 1, "min": 1}, {"n": 1, "format": "hex", "max": 1},
        {"n": 1, "format": "int"}, {"n": 1, "format": "int", "min": 1}, {"n": 1, **DIE, "max": 0},
        {"n": 1, **DIE, "max": EXACT_NUMBER + 1}, {"n": 1, **DIE, "min": -EXACT_NUMBER - 1},
        {"n": 1, "format": "bigint", "min": 0, "max": GREATEST_INTEGER + 1}, {"n": 1, "format": "bigint", "min": 0},
        {"n": 1, "format": "uint8", "min": 0, "max": 255}, [1], None,
    ],
)  # fmt: skip
def test_what_is_no_order_is_refused(document: Any) -> None:
    with pytest.raises(ValidationError):
        read(document)


def test_a_whole_number_may_have_a_point() -> None:
    """JSON Schema calls 3.0 an integer."""
    assert read({"n": 3.0}).n == 3


@pytest.mark.parametrize(
    "fields, most",
    [
        ({}, 1000), ({"format": "uint8"}, 1000), ({"format": "uint16"}, 500), ({"format": "json"}, 1000),
        ({"format": "int", "min": 0, "max": 255}, 1000), ({**DIE}, 750), ({"format": "int", "min": 7, "max": 7}, 1000),
    ],
)  # fmt: skip
def test_an_order_takes_no_more_bytes_than_a_request_may(fields: dict[str, Any], most: int) -> None:
    order = read({"n": most, **fields})
    assert order.check(1000) is order
    with pytest.raises(RequestValidationError) as refusal:
        read({"n": most + 1, **fields}).check(1000)
    assert refusal.value.errors()[0]["msg"] == f"n is at most {most} here"
