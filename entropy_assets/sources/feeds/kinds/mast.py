"""Raw frames of the space telescopes from MAST: observations that were released lately, and their raw files.

An answer may be that the server still works on it; the same question is asked again then, after a pause. Observations
appear there hours after the time at which they count as released, so all of the last days are listed at each look.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import unquote, urlencode

from entropy_assets.errors import brought_by
from entropy_assets.sources.feeds.documents.answers import AnswerFields, read_json
from entropy_assets.sources.feeds.documents.times import stamp
from entropy_assets.sources.feeds.fetching import Clock, ServerFeed, file_name, present
from entropy_assets.sources.feeds.interface import (
    Candidate,
    Discovery,
    FeedUnavailable,
    FetchedImage,
    Reader,
    WebAnswer,
    mark_of,
)
from entropy_assets.sources.feeds.periods import Known, read_known
from entropy_assets.sources.feeds.tables.web import MastTable
from entropy_assets.stores.file_names import printable
from entropy_assets.stores.inboxes.origins import Origin

with brought_by("settings"):
    from pydantic import Field, TypeAdapter

MOST_POLLS: Final = 6
PAUSE_S: Final = 5.0
"""Between two questions for the same answer, seconds."""
LATER_S: Final = 300
"""When to ask again for an answer that did not come, seconds."""
PAGE_SIZE: Final = 10_000
"""Rows of one answer: their order is nobody's promise, so all that were released lately are asked for at once."""
LOOKS: Final = 10
"""Observations whose files one call asks for."""
MJD_ZERO: Final = datetime(1858, 11, 17, tzinfo=UTC)
"""When the Modified Julian Date was 0."""
Told = TypeVar("Told")
Number = Annotated[int, Field(ge=0, le=10**15)]


class _Observation(AnswerFields):
    """A row of ``Mast.Caom.Filtered``: its number, its instrument, and when it became public, MJD."""

    obsid: Number
    t_obs_release: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
    instrument_name: Annotated[str, Field(max_length=100)] | None = None

    @property
    def order(self) -> str:
        return f"{self.t_obs_release:020.9f} {self.obsid:016}"

    @property
    def mark(self) -> str:
        return mark_of(f"{self.obsid}")


class _Product(AnswerFields):
    """A row of ``Mast.Caom.Products``."""

    productFilename: Annotated[str, Field(max_length=300)]  # noqa: N815 - the server's names
    dataURI: Annotated[str, Field(max_length=500)] | None = None  # noqa: N815
    size: Annotated[int, Field(ge=0, le=2**50)] | None = None
    dataRights: Annotated[str, Field(max_length=40)] = "PUBLIC"  # noqa: N815


class _State(AnswerFields):
    """What every answer tells of how far it is."""

    status: Annotated[str, Field(max_length=40)]


class _Observations(_State):
    data: Annotated[tuple[_Observation, ...], Field(max_length=10_000)] = ()


class _Products(_State):
    data: Annotated[tuple[_Product, ...], Field(max_length=100_000)] = ()


_STATE: Final = TypeAdapter(_State)
_OBSERVATIONS: Final = TypeAdapter(_Observations)
_PRODUCTS: Final = TypeAdapter(_Products)


class MastFeed(ServerFeed):
    """See the module.

    Parameters
    ----------
    name, table, reader, clock
        As of every feed of a server.
    pause
        Waits so many seconds.
    """

    def __init__(
        self,
        name: str,
        table: MastTable,
        reader: Reader,
        clock: Clock = present,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        super().__init__(name, table, reader, clock)
        self._told = table
        self._pause = pause

    def discover(self, cursor: str) -> Discovery:
        """As `Feed.discover`; the cursor has marks of the observations that are done."""
        known = read_known(cursor)
        before = known or Known()
        listed = [each for each in self._observations() if each.order > before.floor]
        waiting = [each for each in listed if each.mark not in before.marks]
        passed = [each for each in listed if each.mark in before.marks]
        if known is None and not self._told.observations:
            waiting, passed = waiting[-1:], waiting[:-1]  # the newest alone: an observation has many files
        candidates: list[Candidate] = []
        done = 0
        for observation in waiting[:LOOKS]:
            if len(candidates) >= self._told.max_files:
                break
            candidates += self._raw_files(observation)
            done += 1
        passed = sorted([*passed, *waiting[:done]], key=lambda each: each.order)
        reached = before.passing([(each.order, each.mark) for each in passed])
        return Discovery(candidates, json.dumps(reached.encoded()), is_whole=done == len(waiting))

    def fetch(self, candidate: Candidate, known: Origin | None = None) -> FetchedImage | None:
        """As `Feed.fetch`; the file is named by the URI in its address."""
        answer = self.reader.image(candidate.url, known=known)
        if answer is None:
            return None
        uri = unquote(candidate.url.partition("?uri=")[2])
        return FetchedImage(file_name(uri), answer.data, self.image(candidate, answer).origin)

    def _observations(self) -> Sequence[_Observation]:
        """Return the observations of the last days in the order in which they became public."""
        if self._told.observations:
            return [
                _Observation(obsid=int(each), t_obs_release=0.0) for each in sorted(self._told.observations, key=int)
            ]
        now = self.clock()
        lookback = _mjd(now - timedelta(days=self._told.lookback_days))
        filters = {
            "obs_collection": [self._told.collection],
            "dataRights": ["PUBLIC"],
            "dataproduct_type": ["image"],
            "t_obs_release": [{"min": lookback, "max": _mjd(now)}],
        }
        told = self._invoked(
            "Mast.Caom.Filtered",
            {
                "columns": "obsid,t_obs_release,instrument_name",
                "filters": [{"paramName": name, "values": values} for name, values in filters.items()],
            },
            lambda answer: read_json(_OBSERVATIONS, answer.data).data,
        )
        return sorted(told, key=lambda each: (each.t_obs_release, each.obsid))

    def _raw_files(self, observation: _Observation) -> list[Candidate]:
        products = self._invoked(
            "Mast.Caom.Products",
            {"obsid": f"{observation.obsid}"},
            lambda answer: read_json(_PRODUCTS, answer.data).data,
        )
        released = observation.t_obs_release
        return [
            Candidate(
                url=f"{self._told.base}v0.1/Download/file?{urlencode({'uri': product.dataURI})}",
                dated_at=stamp(MJD_ZERO + timedelta(days=released)) if released else None,
                size=product.size,
                instrument=f"{self._told.collection} {observation.instrument_name or ''}".strip(),
            )
            for product in sorted(products, key=lambda each: each.productFilename)
            if product.dataURI
            and product.dataURI.startswith("mast:")
            and product.dataRights.upper() == "PUBLIC"
            and product.productFilename.endswith(self._told.endings)
        ]

    def _invoked(self, service: str, params: Mapping[str, Any], read: Callable[[WebAnswer], Told]) -> Told:
        """Ask a service and return what `read` makes of its answer, once the server has it.

        Raises
        ------
        FeedUnavailable
            If it still works on it after `MOST_POLLS` questions, or says that it failed.
        """
        request = {"service": service, "params": params, "format": "json", "pagesize": PAGE_SIZE, "page": 1}
        form = {"request": json.dumps(request, sort_keys=True)}
        url = f"{self._told.base}v0/invoke"
        status = ""
        for poll in range(MOST_POLLS):
            if poll:
                self._pause(PAUSE_S)
            status, told = self.asked(lambda answer: _state_and(read, answer), url, form=form)
            if told is not None:
                return told
            if status != "EXECUTING":
                break
        raise FeedUnavailable(
            f"{self.host} has no answer to {service} ({printable(status)}); it is asked again later",
            feed=self.name,
            host=self.host,
            retry_after_s=LATER_S,
        )


def _state_and(read: Callable[[WebAnswer], Told], answer: WebAnswer) -> tuple[str, Told | None]:
    """Return how far a server is with its answer, and what `read` makes of it once it is complete."""
    status = read_json(_STATE, answer.data).status
    return status, read(answer) if status == "COMPLETE" else None


def _mjd(moment: datetime) -> float:
    return (moment - MJD_ZERO) / timedelta(days=1)
