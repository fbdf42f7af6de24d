"""``/random``: one draw, asked for by path and query, or by a JSON document. Both make the same order."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import HTTPException, RequestValidationError
from pydantic import Field, ValidationError
from starlette.requests import ClientDisconnect

from entropy_assets.errors import EntropyAssetsError
from entropy_assets.serving.access.meter import Meter
from entropy_assets.serving.answers.formats import Answer, AnswerClass, AnswerKind, Format, headers_of, length_of
from entropy_assets.serving.answers.integers import IntegerDraw, Integers
from entropy_assets.serving.http.admission import admitted
from entropy_assets.serving.http.orders import (
    ABOUT_CLASS,
    ABOUT_COUNT,
    ABOUT_FORMAT,
    ABOUT_MAX,
    ABOUT_MIN,
    ALL_FORMATS,
    DRAW_RESPONSES,
    HEAD_RESPONSES,
    POST_RESPONSES,
    AnyFormat,
    DrawOrder,
    IntegerLimit,
    Omitted,
    PlainDigits,
    describe_body,
    only,
)
from entropy_assets.serving.http.problem_answers import problem
from entropy_assets.serving.reservoir.stock import NOTHING, Draw
from entropy_assets.serving.service import RandomService

MAX_BODY_BYTES: Final = 1024


def add_draws(app: FastAPI, service: RandomService) -> None:
    """Add ``GET`` and ``HEAD /random/{n}`` and ``POST /random``."""
    longest = service.config.max_request_bytes
    describe_body(app, longest)

    async def ordered(
        n: Annotated[int, Field(ge=1, le=longest), PlainDigits, Path(description=ABOUT_COUNT)],
        answer_class: Annotated[AnswerClass, Query(alias="class", description=ABOUT_CLASS)] = "private",
        answer_format: Annotated[AnyFormat | Omitted, Query(alias="format", description=ABOUT_FORMAT)] = None,
        low: Annotated[IntegerLimit | Omitted, Query(alias="min", description=ABOUT_MIN)] = None,
        high: Annotated[IntegerLimit | Omitted, Query(alias="max", description=ABOUT_MAX)] = None,
    ) -> DrawOrder:
        fields = {"n": n, "class": answer_class, "format": answer_format, "min": low, "max": high}
        return _valid(lambda: DrawOrder.model_validate(fields)).check(longest)

    order_of_query = Depends(ordered)
    parameters = only("class", "format", "min", "max")

    @app.get(
        "/random/{n}",
        summary="Draw n bytes",
        tags=["random"],
        responses=DRAW_RESPONSES,
        response_class=Response,
        dependencies=[admitted("draw"), parameters],
    )
    async def random(request: Request, order: DrawOrder = order_of_query) -> Response:
        """Return exactly `n` random bytes, or as many integers, that nobody else gets."""
        return await _drawn(service, request, order)

    @app.head(
        "/random/{n}",
        summary="Draw nothing",
        tags=["random"],
        responses=HEAD_RESPONSES,
        response_class=Response,
        dependencies=[admitted("draw"), parameters],
    )
    async def random_head(request: Request, order: DrawOrder = order_of_query) -> Response:
        """Return the headers that GET would give and that do not depend on the bytes. Consumes nothing."""
        return await _described(service, request, order)

    @app.post(
        "/random",
        summary="Draw by a document",
        tags=["random"],
        responses=POST_RESPONSES,
        response_class=Response,
        dependencies=[admitted("draw"), only()],
    )
    async def random_post(request: Request) -> Response:
        """Return the same as GET. Nothing on the way stores, prefetches or repeats a POST, as it may a GET."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return problem("not-json", "the body has to be application/json")
        body = await _short_body(request)
        if body is None:
            return problem("body-too-large", f"the body has more than {MAX_BODY_BYTES} bytes")
        return await _drawn(service, request, _valid(lambda: DrawOrder.model_validate_json(body)).check(longest))


def _valid(make: Callable[[], DrawOrder]) -> DrawOrder:
    try:
        return make()
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False, include_input=False)) from None


async def _short_body(request: Request) -> bytes | None:
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY_BYTES:
                return None
    except ClientDisconnect:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "the body ended early") from None  # nobody is there to read it
    return body


async def _drawn(service: RandomService, request: Request, order: DrawOrder) -> Response:
    wanted, chosen = order.integers, order.byte_format(_accept(request))
    if wanted is not None:
        meter = await Meter.started(service.gate, request.scope, "draw", order.n * wanted.width)
        answer = await _integers(service, meter, order.n, wanted, order.public)
    elif chosen is not None:
        meter = await Meter.started(service.gate, request.scope, "draw", order.n)
        with meter.paying():
            answer = await service.answer(order.n, AnswerKind(order.public, chosen), chosen)
    else:
        return _not_acceptable()
    return _response(answer, meter)


async def _described(service: RandomService, request: Request, order: DrawOrder) -> Response:
    chosen: Format | None = "json" if order.integers else order.byte_format(_accept(request))
    if chosen is None:
        return _not_acceptable()
    meter = await Meter.started(service.gate, request.scope, "draw", 0)
    headers = headers_of(chosen, length_of(chosen, order.n), NOTHING, AnswerKind(order.public))
    return _response(Answer(headers, b""), meter)


async def _integers(service: RandomService, meter: Meter, n: int, wanted: Integers, public: bool) -> Answer:
    async def draw(n_bytes: int) -> Draw:
        await meter.cover(n_bytes)
        drawn = await service.reservoirs.of(public=public).draw(n_bytes)
        meter.use(n_bytes)
        return drawn

    making = IntegerDraw(wanted, public, draw, service.config.max_request_bytes)
    try:
        with meter.paying():
            await making.fill(n)
    except EntropyAssetsError:
        service.counts.add("undelivered_bytes", making.consumed)
        raise
    return making.answer()


def _accept(request: Request) -> str:
    return ",".join(request.headers.getlist("accept"))


def _not_acceptable() -> Response:
    return problem("not-acceptable", f"none of the accepted types exists; `format` is one of {ALL_FORMATS}")


def _response(answer: Answer, meter: Meter) -> Response:
    response = Response(answer.body)
    response.raw_headers = [*answer.headers, *meter.headers]
    return response
