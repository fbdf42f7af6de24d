"""``/random``: one draw, asked for by path and query, or by a JSON document. Both make the same order."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal, Self, get_args

from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import HTTPException, RequestValidationError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.json_schema import SkipJsonSchema
from starlette.requests import ClientDisconnect

from entropy_assets.errors import EntropyAssetsError
from entropy_assets.serving import formats
from entropy_assets.serving.formats import CLASSES, Answer, AnswerClass, Format, headers_of, length_of, negotiated
from entropy_assets.serving.gate import admitted
from entropy_assets.serving.integers import (
    GREATEST_INTEGER,
    INTEGER_FORMATS,
    LEAST_INTEGER,
    IntegerDraw,
    Integers,
    integers_named,
)
from entropy_assets.serving.metering import Meter
from entropy_assets.serving.problems import problem, problem_schema
from entropy_assets.serving.reservoir import Draw
from entropy_assets.serving.service import RandomService

AnyFormat = Literal["raw", "hex", "base64", "json", "uint8", "uint16", "int"]
ALL_FORMATS: Final = get_args(AnyFormat)
MAX_BODY_BYTES: Final = 1024
EXACT_FLOAT: Final = 2**53
"""Beyond it a number with a point or an exponent may have been another one before it was read."""

NOTHING: Final = Draw(b"", (), False)
_BYTE_FORMATS: Final[dict[str, Format]] = {"raw": "raw", "hex": "hex", "base64": "base64", "json": "json"}
_CLASS: Final = "`private` for keys and all else, or `public` for what anybody may recompute."
_FORMAT: Final = "Without it the Accept header decides, raw if any will do. Integers come as a JSON document."
_COUNT: Final = "Bytes wanted; integers wanted with the formats `uint8`, `uint16` and `int`."
_LEAST: Final = "Least integer wanted, only with the format `int`."
_GREATEST: Final = "Greatest integer wanted, included, only with the format `int`."


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
BYTE_HEADERS: Final = {
    "X-Entropy-Class": _CLASS_HEADER,
    "X-Entropy-Blocks": _BLOCKS_HEADER,
    "X-Entropy-Simulated": _SIMULATED_HEADER,
}
DRY: Final = ("pool-exhausted", "pool-unavailable", "pool-epoch-changed", "unsafe-pool-server", "rejected-too-often")
"""The types of problems for want of bytes."""
_RANGE: Final = {
    "type": "object",
    "required": ["block_id", "start", "end"],
    "properties": {
        "block_id": {"type": "string", "format": "uuid"},
        "start": {"type": "integer", "minimum": 0},
        "end": {"type": "integer", "minimum": 1, "description": "Not included."},
    },
}
_DOCUMENT: Final = {
    "type": "object",
    "required": ["n", "encoding", "data", "class", "simulated"],
    "properties": {
        "n": {"type": "integer", "minimum": 1},
        "encoding": {"enum": ["base64", *INTEGER_FORMATS]},
        "data": {"type": ["string", "array"], "items": {"type": "integer"}},
        "min": {"type": "integer", "description": "As asked for, with the format `int`."},
        "max": {"type": "integer", "description": "As asked for, with the format `int`."},
        "class": {"enum": list(CLASSES)},
        "simulated": {"type": "boolean"},
        "blocks": {"type": "array", "items": _RANGE, "description": "Public class: the bytes used, in order."},
    },
}
_RESPONSES: Final[ResponseTable] = {
    200: {
        "description": "Exactly `n` bytes, or a document with `n` integers in `data`.",
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "application/json": {"schema": _DOCUMENT},
            "text/plain": {"schema": {"type": "string"}},
        },
        "headers": BYTE_HEADERS,
    },
    406: problem_schema("not-acceptable"),
    422: problem_schema("invalid-request"),
    503: problem_schema(*DRY),
}
_HEAD_RESPONSES: Final[ResponseTable] = {
    200: {"description": "No body.", "headers": {"X-Entropy-Class": _CLASS_HEADER}},
    **{status: {"description": _RESPONSES[status]["description"]} for status in (406, 422)},
}
_POST_RESPONSES: Final[ResponseTable] = {
    **_RESPONSES,
    413: problem_schema("body-too-large"),
    415: problem_schema("not-json"),
}


def _plainly_written(value: object) -> object:
    """Refuse a number that is written like no number: ``1.0``, ``+1``, ``1_000``, or in other digits."""
    if isinstance(value, str) and not (value.isascii() and value.removeprefix("-").isdigit()):
        raise ValueError("an integer is written in the digits 0 to 9")
    return value


def _whole(value: object) -> object:
    """Take ``1.0`` for the integer that JSON Schema says it is, while it is sure which one was meant."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT_FLOAT else value


# after the limits, which else are not in the description
Whole = BeforeValidator(_whole)
Plain = BeforeValidator(_plainly_written)
Omitted = SkipJsonSchema[None]
"""A query can leave a parameter out; it has no way to say null."""
Limit = Annotated[int, Field(ge=LEAST_INTEGER, le=GREATEST_INTEGER), Plain]


_GIVEN: Final = {"type": "integer", "minimum": LEAST_INTEGER, "maximum": GREATEST_INTEGER}
_LIMITS_WITH_INT: Final[dict[str, Any]] = {
    "if": {"properties": {"format": {"const": "int"}}, "required": ["format"]},
    "then": {"properties": {"min": _GIVEN, "max": _GIVEN}, "required": ["min", "max"]},
    "else": {"properties": {"min": {"type": "null"}, "max": {"type": "null"}}},
}


_EXAMPLES: Final = {
    "bytes": {"value": {"n": 32}},
    "hex digits": {"value": {"n": 32, "format": "hex"}},
    "base64": {"value": {"n": 32, "format": "base64"}},
    "bytes and the blocks that they are from": {"value": {"n": 32, "class": "public", "format": "json"}},
    "bytes as integers": {"value": {"n": 10, "format": "uint8"}},
    "words": {"value": {"n": 10, "class": "public", "format": "uint16"}},
    "five throws of a die": {"value": {"n": 5, "format": "int", "min": 1, "max": 6}},
}


class DrawOrder(BaseModel):
    """What one draw is to give; the body of ``POST /random``."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, json_schema_extra=_LIMITS_WITH_INT)

    n: Annotated[int, Field(ge=1, description=_COUNT), Whole]
    answer_class: Annotated[AnswerClass, Field(alias="class", description=_CLASS)] = "private"
    format: Annotated[AnyFormat | None, Field(description=_FORMAT)] = None
    min: Annotated[int | None, Field(ge=LEAST_INTEGER, le=GREATEST_INTEGER, description=_LEAST), Whole] = None
    max: Annotated[int | None, Field(ge=LEAST_INTEGER, le=GREATEST_INTEGER, description=_GREATEST), Whole] = None

    @model_validator(mode="after")
    def _limits_fit(self) -> Self:
        if self.integers is None and not (self.min is None and self.max is None):
            raise ValueError("min and max belong to the format int")
        return self

    @property
    def integers(self) -> Integers | None:
        """The integers that are wanted; None if bytes are."""
        if self.format == "uint8" or self.format == "uint16" or self.format == "int":
            return integers_named(self.format, self.min, self.max)
        return None

    @property
    def public(self) -> bool:
        """Whether the pool's bytes are wanted as they are."""
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


def _describe_body(app: FastAPI, longest: int) -> None:
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


def add_draws(app: FastAPI, service: RandomService) -> None:
    """Add ``GET`` and ``HEAD /random/{n}`` and ``POST /random``."""
    longest = service.config.max_request_bytes
    _describe_body(app, longest)

    def ordered(
        n: Annotated[int, Field(ge=1, le=longest), Plain, Path(description=_COUNT)],
        answer_class: Annotated[AnswerClass, Query(alias="class", description=_CLASS)] = "private",
        answer_format: Annotated[AnyFormat | Omitted, Query(alias="format", description=_FORMAT)] = None,
        low: Annotated[Limit | Omitted, Query(alias="min", description=_LEAST)] = None,
        high: Annotated[Limit | Omitted, Query(alias="max", description=_GREATEST)] = None,
    ) -> DrawOrder:
        fields = {"n": n, "class": answer_class, "format": answer_format, "min": low, "max": high}
        return _valid(lambda: DrawOrder.model_validate(fields)).check(longest)

    order_of_query = Depends(ordered)

    @app.get(
        "/random/{n}",
        summary="Draw n bytes",
        tags=["random"],
        responses=_RESPONSES,
        response_class=Response,
        dependencies=[admitted("draw")],
    )
    async def random(http: Request, order: DrawOrder = order_of_query) -> Response:
        """Return exactly `n` random bytes, or as many integers, that nobody else gets."""
        return await _drawn(service, http, order)

    @app.head(
        "/random/{n}",
        summary="Draw nothing",
        tags=["random"],
        responses=_HEAD_RESPONSES,
        response_class=Response,
        dependencies=[admitted("draw")],
    )
    async def random_head(http: Request, order: DrawOrder = order_of_query) -> Response:
        """Return the headers that GET would give and that do not depend on the bytes. Consumes nothing."""
        return await _described(service, http, order)

    @app.post(
        "/random",
        summary="Draw by a document",
        tags=["random"],
        responses=_POST_RESPONSES,
        response_class=Response,
        dependencies=[admitted("draw")],
    )
    async def random_post(http: Request) -> Response:
        """Return the same as GET. Nothing on the way stores, prefetches or repeats a POST, as it may a GET."""
        if http.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return problem("not-json", "the body has to be application/json")
        body = await _short_body(http)
        if body is None:
            return problem("body-too-large", f"the body has more than {MAX_BODY_BYTES} bytes")
        return await _drawn(service, http, _valid(lambda: DrawOrder.model_validate_json(body)).check(longest))


def _valid(make: Callable[[], DrawOrder]) -> DrawOrder:
    try:
        return make()
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False, include_input=False)) from None


async def _short_body(http: Request) -> bytes | None:
    body = b""
    try:
        async for part in http.stream():
            body += part
            if len(body) > MAX_BODY_BYTES:
                return None
    except ClientDisconnect:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "the body ended early") from None  # nobody is there to read it
    return body


async def _drawn(service: RandomService, http: Request, order: DrawOrder) -> Response:
    wanted, chosen = order.integers, order.byte_format(_accept(http))
    if wanted is not None:
        meter = await Meter.opened(service, http.scope, "draw", order.n * wanted.width)
        answer = await _integers(service, meter, order.n, wanted, order.public)
    elif chosen is not None:
        meter = await Meter.opened(service, http.scope, "draw", order.n)
        answer = await service.answer(order.n, formats.Request(order.public, chosen), chosen)
    else:
        return _not_acceptable()
    return _response(answer, meter)


async def _described(service: RandomService, http: Request, order: DrawOrder) -> Response:
    chosen: Format | None = "json" if order.integers else order.byte_format(_accept(http))
    if chosen is None:
        return _not_acceptable()
    meter = await Meter.opened(service, http.scope, "draw", 0)
    headers = headers_of(chosen, length_of(chosen, order.n), NOTHING, formats.Request(order.public))
    return _response(Answer(headers, b""), meter)


async def _integers(service: RandomService, meter: Meter, n: int, wanted: Integers, public: bool) -> Answer:
    async def draw(n_bytes: int) -> Draw:
        await meter.cover(n_bytes)
        drawn = await service.reservoir.draw(n_bytes, public=public)
        meter.use(n_bytes)
        return drawn

    making = IntegerDraw(wanted, public, draw, service.config.max_request_bytes)
    try:
        await making.fill(n)
    except EntropyAssetsError:
        service.counts.add("undelivered_bytes", making.consumed)
        raise
    return making.answer()


def _accept(http: Request) -> str:
    return ",".join(http.headers.getlist("accept"))


def _not_acceptable() -> Response:
    return problem("not-acceptable", f"none of the accepted types exists; `format` is one of {ALL_FORMATS}")


def _response(answer: Answer, meter: Meter) -> Response:
    response = Response(answer.body)
    response.raw_headers = [*answer.headers, *meter.headers]
    return response
