"""What one draw is asked to give, by path and query or by a document, and how OpenAPI describes order and answer."""

from collections.abc import Collection, Iterable
from typing import Annotated, Any, Final, Literal, Self, get_args

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from entropy_assets.errors import RequestMalformed
from entropy_assets.serving.answers.formats import CLASSES, AnswerClass, Format, negotiated
from entropy_assets.serving.answers.integers import (
    EXACT_NUMBER,
    GREATEST_INTEGER,
    INTEGER_FORMATS,
    LEAST_INTEGER,
    Integers,
    integers_named,
)
from entropy_assets.serving.problems import problem_schema

AnyFormat = Literal["raw", "hex", "base64", "json", "uint8", "uint16", "int", "bigint"]
ALL_FORMATS: Final = get_args(AnyFormat)
EXACT_FLOAT: Final = 2**53
"""Beyond it a number with a point or an exponent may have been another one before it was read."""
_BYTE_FORMATS: Final[dict[str, Format]] = {"raw": "raw", "hex": "hex", "base64": "base64", "json": "json"}
ABOUT_CLASS: Final = "`private` for keys and all else, or `public` for what anybody may recompute."
ABOUT_FORMAT: Final = (
    "Without it the Accept header decides, raw if any will do. Integers come as a JSON document: of numbers, and with "
    "`bigint` of strings, since many readers of JSON round numbers beyond 2^53 - 1."
)
ABOUT_COUNT: Final = "Bytes wanted; integers wanted with the formats `uint8`, `uint16`, `int` and `bigint`."
ABOUT_MIN: Final = "Least integer wanted, only with the formats `int` and `bigint`."
ABOUT_MAX: Final = "Greatest integer wanted, included, only with the formats `int` and `bigint`."


def _plainly_written(value: object) -> object:
    """Refuse a number that is written like no number: ``1.0``, ``+1``, ``1_000``, or in other digits."""
    if isinstance(value, str) and not (value.isascii() and value.removeprefix("-").isdigit()):
        raise ValueError("an integer is written in the digits 0 to 9")
    return value


def _whole(value: object) -> object:
    """Take ``1.0`` for the integer that JSON Schema says it is, while it is sure which one was meant."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT_FLOAT else value


# after the limits, which else are not in the description
WholeNumber = BeforeValidator(_whole)
PlainDigits = BeforeValidator(_plainly_written)
Omitted = SkipJsonSchema[None]
"""A query can leave a parameter out; it has no way to say null."""
IntegerLimit = Annotated[int, Field(ge=LEAST_INTEGER, le=GREATEST_INTEGER), PlainDigits]
_GIVEN: Final = {"type": "integer", "minimum": LEAST_INTEGER, "maximum": GREATEST_INTEGER}
_EXACT: Final = {"minimum": -EXACT_NUMBER, "maximum": EXACT_NUMBER}
_LIMITS_WITH_INT: Final[dict[str, Any]] = {
    "if": {"properties": {"format": {"enum": ["int", "bigint"]}}, "required": ["format"]},
    "then": {
        "properties": {"min": _GIVEN, "max": _GIVEN},
        "required": ["min", "max"],
        "if": {"properties": {"format": {"const": "int"}}},
        "then": {"properties": {"min": _EXACT, "max": _EXACT}},
    },
    "else": {"properties": {"min": {"type": "null"}, "max": {"type": "null"}}},
}


class DrawOrder(BaseModel):
    """What one draw is to give; the body of ``POST /random``."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, json_schema_extra=_LIMITS_WITH_INT)

    n: Annotated[int, Field(ge=1, description=ABOUT_COUNT), WholeNumber]
    answer_class: Annotated[AnswerClass, Field(alias="class", description=ABOUT_CLASS)] = "private"
    format: Annotated[AnyFormat | None, Field(description=ABOUT_FORMAT)] = None
    min: Annotated[int | None, Field(ge=LEAST_INTEGER, le=GREATEST_INTEGER, description=ABOUT_MIN), WholeNumber] = None
    max: Annotated[int | None, Field(ge=LEAST_INTEGER, le=GREATEST_INTEGER, description=ABOUT_MAX), WholeNumber] = None

    @model_validator(mode="after")
    def _limits_fit(self) -> Self:
        if self.integers is None and not (self.min is None and self.max is None):
            raise ValueError("min and max belong to the formats int and bigint")
        return self

    @property
    def integers(self) -> Integers | None:
        """The integers that are wanted; None if bytes are."""
        if self.format == "uint8" or self.format == "uint16" or self.format == "int" or self.format == "bigint":
            return integers_named(self.format, self.min, self.max)
        return None

    @property
    def public(self) -> bool:
        """Tell whether the pool's bytes are wanted as they are."""
        return self.answer_class == "public"

    def byte_format(self, accept: str) -> Format | None:
        """Return how bytes are to be written; None if `accept` wants nothing that exists."""
        return _BYTE_FORMATS.get(self.format or "") or negotiated(accept)

    def check(self, longest: int) -> Self:
        """Return the order if it takes at most `longest` bytes on average.

        Raises
        ------
        RequestValidationError
            If it takes more; the message says how many it may be.
        """
        wanted = self.integers
        most = longest if wanted is None else wanted.most(longest)
        if self.n > most:
            raise RequestValidationError([{"loc": ("n",), "msg": f"n is at most {most} here"}])
        return self


def require_known(given: Iterable[tuple[str, str]], known: Collection[str]) -> None:
    """Let pass a query whose parameters are all `known`, and each given once.

    Raises
    ------
    RequestMalformed
        If one is not: overlooked, ``?fmt=hex`` would give raw bytes.
    """
    names = [name for name, _ in given]
    if not set(names).issubset(known):
        raise RequestMalformed(
            f"this route has the parameters {', '.join(known)}, and the query another one"
            if known
            else "this route has no parameters, and the query one"
        )
    if len(names) != len(set(names)):
        raise RequestMalformed("the query has the same parameter more than once")


def only(*known: str) -> Any:
    """Return the dependency, for ``dependencies=[...]`` of a route, that holds its query to these parameters."""

    async def check(request: Request) -> None:
        require_known(request.query_params.multi_items(), known)

    return Depends(check)


# ------------------------------------------------------------------------------------- how OpenAPI describes them
ResponseTable = dict[int | str, dict[str, Any]]
_CLASS_HEADER: Final = {"schema": {"type": "string"}, "description": "`private` or `public`"}
_BLOCKS_HEADER: Final = {
    "schema": {"type": "string"},
    "description": "Public class: `<block id>:<start>-<end>,...`, end not included, in the order used.",
}
_SIMULATED_HEADER: Final = {
    "schema": {"type": "string"},
    "description": "`true` if a simulated camera is behind some of the bytes.",
}
_REVEALS_HEADER: Final = {
    "schema": {"type": "string", "format": "date-time"},
    "description": "Class `public`: when all these blocks will have revealed, so that an outsider can make them again.",
}
BYTE_HEADERS: Final = {
    "X-Entropy-Class": _CLASS_HEADER,
    "X-Entropy-Blocks": _BLOCKS_HEADER,
    "X-Entropy-Reveals-At": _REVEALS_HEADER,
    "X-Entropy-Simulated": _SIMULATED_HEADER,
}
DRY_PROBLEMS: Final = (
    "pool-exhausted",
    "pool-unavailable",
    "pool-epoch-changed",
    "unsafe-pool-server",
    "rejected-too-often",
)
"""The problems of a draw for which no bytes can be had."""
_BLOCK_RANGE: Final = {
    "type": "object",
    "required": ["block_id", "start", "end"],
    "properties": {
        "block_id": {"type": "string", "format": "uuid"},
        "start": {"type": "integer", "minimum": 0},
        "end": {"type": "integer", "minimum": 1, "description": "Not included."},
    },
}
_ANSWER_DOCUMENT: Final = {
    "type": "object",
    "required": ["n", "encoding", "data", "class", "simulated"],
    "properties": {
        "n": {"type": "integer", "minimum": 1},
        "encoding": {"enum": ["base64", *INTEGER_FORMATS]},
        "data": {"type": ["string", "array"], "items": {"type": ["integer", "string"]}},
        "min": {"type": ["integer", "string"], "description": "As asked for, a string with the format `bigint`."},
        "max": {"type": ["integer", "string"], "description": "As asked for, a string with the format `bigint`."},
        "class": {"enum": list(CLASSES)},
        "simulated": {"type": "boolean"},
        "blocks": {"type": "array", "items": _BLOCK_RANGE, "description": "Public class: the bytes used, in order."},
        "reveals_at": {"type": "string", "format": "date-time", "description": "Public class: when the blocks reveal."},
    },
}
DRAW_RESPONSES: Final[ResponseTable] = {
    200: {
        "description": "Exactly `n` bytes, or a document with `n` integers in `data`.",
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "application/json": {"schema": _ANSWER_DOCUMENT},
            "text/plain": {"schema": {"type": "string"}},
        },
        "headers": BYTE_HEADERS,
    },
    406: problem_schema("not-acceptable"),
    422: problem_schema("invalid-request"),
    503: problem_schema(*DRY_PROBLEMS),
}
HEAD_RESPONSES: Final[ResponseTable] = {
    200: {"description": "No body.", "headers": {"X-Entropy-Class": _CLASS_HEADER}},
    **{status: {"description": DRAW_RESPONSES[status]["description"]} for status in (406, 422)},
}
POST_RESPONSES: Final[ResponseTable] = {
    **DRAW_RESPONSES,
    413: problem_schema("body-too-large"),
    415: problem_schema("not-json"),
}
_EXAMPLES: Final = {
    "bytes": {"value": {"n": 32}},
    "hex digits": {"value": {"n": 32, "format": "hex"}},
    "base64": {"value": {"n": 32, "format": "base64"}},
    "bytes and the blocks that they are from": {"value": {"n": 32, "class": "public", "format": "json"}},
    "bytes as integers": {"value": {"n": 10, "format": "uint8"}},
    "words": {"value": {"n": 10, "class": "public", "format": "uint16"}},
    "five throws of a die": {"value": {"n": 5, "format": "int", "min": 1, "max": 6}},
    "integers of 63 bits, as strings": {"value": {"n": 3, "format": "bigint", "min": 0, "max": GREATEST_INTEGER}},
}


def describe_body(app: FastAPI, longest: int) -> None:
    """Put the body's schema into the description as it is: FastAPI would round its limits to floats."""
    describe, schema = app.openapi, DrawOrder.model_json_schema()
    schema["properties"]["n"]["maximum"] = longest
    schema["else"] = {**schema["else"], **_at_most("uint16", longest // 2)}

    def openapi() -> dict[str, Any]:
        document = describe()
        body = {"required": True, "content": {"application/json": {"schema": schema, "examples": _EXAMPLES}}}
        document["paths"]["/random"]["post"]["requestBody"] = body
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _at_most(answer_format: AnyFormat, n: int) -> dict[str, Any]:
    given = {"properties": {"format": {"const": answer_format}}, "required": ["format"]}
    return {"if": given, "then": {"properties": {"n": {"maximum": n}}}}
