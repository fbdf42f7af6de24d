"""``/blocks/{id}`` and ``/batches``: where a block comes from, and what became of the newest batches."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final

from fastapi import FastAPI, Path, Query, Response

from entropy_assets.errors import LedgerError, ProvenanceUnavailable
from entropy_assets.serving.http.admission import admitted
from entropy_assets.serving.http.orders import only
from entropy_assets.serving.http.problem_answers import JsonAnswer, problem
from entropy_assets.serving.problems import UNSTORED, problem_schema
from entropy_assets.serving.service import LOOKUP_S, ProvenanceReader, RandomService
from entropy_assets.serving.single_flight import Questions

FIND_BLOCK: Final = "find_block"
"""What the description calls the operation that gives a block's provenance."""
USUAL_BATCHES: Final = 10
MOST_BATCHES: Final = 50
FRESH_S: Final = 1.0
"""How long an answer of ``/batches`` is given again, seconds: reading them costs files, and every open page asks."""
BLOCK_ID: Final = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
MOST_THUMBNAILS: Final = 128
"""Pictures that are kept in memory, of 64 KiB at most each."""
_OF_PICTURE: Final[Mapping[str, str]] = {
    "Cache-Control": "private, max-age=86400, immutable",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Kept by the browser of who may see it; not by a cache that others share, since a key may be asked for."""
_TO_BLOCK: Final = {
    "operationId": FIND_BLOCK,
    "parameters": {"block_id": "$response.body#/batches/0/block_ids/0"},
    "description": "Where a block of the newest batch comes from.",
}
_UNREADABLE: Final = (
    "ledger-error",
    "ledger-unavailable",
    "provenance-unavailable",
    "store-denied",
    "store-unavailable",
)


class Thumbnails:
    """The small pictures that were asked for last: a block that revealed stays revealed, and its images the same.

    Parameters
    ----------
    service
        Who is asked for one that is not kept.
    """

    def __init__(self, service: RandomService) -> None:
        self._service = service
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    async def of(self, block_id: str, image_sha256: str) -> bytes | None:
        """Return a picture as PNG, as `RandomService.find_thumbnail`."""
        name = block_id, image_sha256
        png = self._kept.get(name) or await self._service.find_thumbnail(*name)
        if png:
            self._kept[name] = png
            self._kept.move_to_end(name)
            if len(self._kept) > MOST_THUMBNAILS:
                self._kept.popitem(last=False)
        return png


class RecentBatches:
    """The newest batches, read at most twice in `FRESH_S` however many ask: the usual number, and the most.

    Parameters
    ----------
    provenance
        Who is asked, if anybody knows.
    clock
        Seconds that never step back.
    """

    def __init__(self, provenance: ProvenanceReader | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._provenance = provenance
        self._lookups = Questions(LOOKUP_S, most=2)
        self._clock = clock
        self._reading = asyncio.Lock()
        self._newest: Sequence[Mapping[str, object]] = ()
        self._read_for = 0
        self._read_at = 0.0

    async def newest(self, limit: int) -> Sequence[Mapping[str, object]]:
        """Return up to `limit` batches, newest first.

        Raises
        ------
        ProvenanceUnavailable
            If the service has no ledger.
        LedgerError
            If it can't be read.
        """
        if self._provenance is None:
            raise ProvenanceUnavailable("this service was started without a ledger, so it knows no batches")
        async with self._reading:
            if self._read_for < limit or self._clock() - self._read_at > FRESH_S:
                wanted = USUAL_BATCHES if limit <= USUAL_BATCHES else MOST_BATCHES
                try:
                    self._newest = await self._lookups.answer(partial(self._provenance.recent, wanted))
                except TimeoutError:
                    raise LedgerError(f"the ledger and the batches gave no answer in {LOOKUP_S:g} s") from None
                self._read_for, self._read_at = wanted, self._clock()
            return self._newest[:limit]


def add_provenance(app: FastAPI, service: RandomService) -> None:
    """Add ``/blocks/{id}`` and ``/batches``."""
    _add_blocks(app, service)
    _add_thumbnails(app, Thumbnails(service))
    _add_batches(app, RecentBatches(service.provenance), service.config.dagster_url)


def _add_blocks(app: FastAPI, service: RandomService) -> None:
    responses: dict[int | str, dict[str, Any]] = {
        404: problem_schema("unknown-block"),
        422: problem_schema("invalid-request"),
        503: problem_schema(*_UNREADABLE),
    }

    @app.get(
        "/blocks/{block_id}",
        operation_id=FIND_BLOCK,
        summary="Where a block comes from",
        tags=["provenance"],
        responses=responses,
        dependencies=[admitted("provenance"), only()],
    )
    async def block(block_id: Annotated[str, Path(pattern=BLOCK_ID)]) -> Any:
        """Return where a published block comes from: batch, images, link, verdict, run. Never its bytes."""
        origin = await service.find_block(block_id)
        if origin is None:
            return problem("unknown-block", f"no block {block_id} was published", block_id=block_id)
        return JsonAnswer(origin, headers=UNSTORED)


def _add_thumbnails(app: FastAPI, thumbnails: Thumbnails) -> None:
    @app.get(
        "/blocks/{block_id}/thumbnails/{image_sha256}",
        summary="A small picture of an image behind a block",
        tags=["provenance"],
        dependencies=[admitted("provenance"), only()],
        response_class=Response,
        responses={
            200: {"content": {"image/png": {}}},
            404: problem_schema("no-thumbnail"),
            422: problem_schema("invalid-request"),
            503: problem_schema(*_UNREADABLE),
        },
    )
    async def thumbnail(
        block_id: Annotated[str, Path(pattern=BLOCK_ID)], image_sha256: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
    ) -> Any:
        """Return a small picture of an image behind a public block that revealed, for people: PNG, 128 pixels wide."""
        png = await thumbnails.of(block_id, image_sha256)
        if png is None:
            return problem("no-thumbnail", f"no picture of {image_sha256} is shown behind block {block_id}")
        return Response(png, media_type="image/png", headers=_OF_PICTURE)


def _add_batches(app: FastAPI, recent: RecentBatches, dagster_url: str | None) -> None:
    @app.get(
        "/batches",
        summary="The newest batches",
        tags=["provenance"],
        dependencies=[admitted("provenance"), only("limit")],
        responses={
            200: {"links": {"block": _TO_BLOCK}},
            422: problem_schema("invalid-request"),
            503: problem_schema(*_UNREADABLE),
        },
    )
    async def batches(
        limit: Annotated[int, Query(ge=1, le=MOST_BATCHES, description="Batches wanted.")] = USUAL_BATCHES,
    ) -> JsonAnswer:
        """Return the newest batches, newest first: images with their verdicts, blocks in numbers. Never bytes."""
        document = {"batches": await recent.newest(limit), "dagster_url": dagster_url}
        return JsonAnswer(document, headers=UNSTORED)
