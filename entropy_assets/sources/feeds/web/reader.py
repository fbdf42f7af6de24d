"""The reader: what feeds ask servers by."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final
from urllib.parse import urlencode

from entropy_assets.errors import brought_by
from entropy_assets.sources.feeds.interface import FeedDenied, FeedError, FeedLies, FeedUnavailable, WebAnswer
from entropy_assets.sources.feeds.web.bodies import Body
from entropy_assets.sources.feeds.web.faults import Fault, Trouble, advice_on, refusal
from entropy_assets.sources.feeds.web.formats import require_image, without_tags
from entropy_assets.sources.feeds.web.headers import Headers, conditions
from entropy_assets.sources.feeds.web.hiding import Secrets
from entropy_assets.sources.feeds.web.hosts import HostRules
from entropy_assets.sources.feeds.web.limits import DEFAULT_WEB_LIMITS, WebLimits
from entropy_assets.sources.feeds.web.networks import INTERNET, Network
from entropy_assets.sources.feeds.web.pacing import HostResting, Pacing
from entropy_assets.sources.feeds.web.urls import WebUrl
from entropy_assets.sources.feeds.web.wire import Incoming, Question, Trusted, asked, require_checks, trust_in
from entropy_assets.stores.inboxes.origins import Origin

with brought_by("feeds"):
    import tenacity

USER_AGENT: Final = "entropy-assets-feeds"
"""The same for everybody: it tells a server nothing about machine, system or version."""
REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
KEEP_FORM: Final = frozenset((307, 308))
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
ERROR_BYTES: Final = 2048
"""Most of the page of an error that is looked at, bytes."""


@dataclass(slots=True, kw_only=True)
class _Errand:
    """One question of a feed, through all its redirects and attempts."""

    url: WebUrl
    secrets: Secrets
    headers: list[tuple[str, str]]
    seconds: float
    body: Body
    form: bytes | None = None
    known: Origin | None = None
    at: WebUrl = field(init=False)
    """The hop where it is, without keys."""

    def __post_init__(self) -> None:
        self.at = self.url


@dataclass(frozen=True, slots=True)
class _Led:
    """Where a redirect leads, and whether a form goes along."""

    to: WebUrl
    keeps_form: bool


class HttpReader:
    """Asks the servers of one feed, as `Reader` says. Safe for threads.

    Parameters
    ----------
    feed
        Its name, for errors.
    hosts
        Which hosts may be asked, and led to.
    pacing
        When each host may be asked again. All readers of a process share one, and with it the clock.
    limits
        What one question may cost.
    network
        How names are looked up, and connections made.
    tls
        How certificates are checked: by the ones in a file, or None for the usual authorities. It is never not done.

    Notes
    -----
    Every error is a `FeedError` whose ``data`` has ``feed``, ``host``, the ``fault`` in one word (`Fault`), and the
    ``url`` without a key:

    - `FeedUnavailable`: connections that fail, 5xx, 429, answers that break off, after all attempts. With
      ``retry_after_s`` if there is a time before which it should not be asked again.
    - `FeedDenied`: 401 and 403.
    - `FeedLies`: another length, type or version than told, a certificate of somebody else, a way that leads astray.
    - `FeedError` itself: 404 and 410 (``missing``), other refusals, and what is too large, or not read here.

    No proxy and no file of the environment is heeded.
    """

    def __init__(
        self,
        feed: str,
        hosts: HostRules,
        *,
        pacing: Pacing,
        limits: WebLimits = DEFAULT_WEB_LIMITS,
        network: Network = INTERNET,
        tls: Trusted = None,
    ) -> None:
        self.feed = feed
        self.hosts = hosts
        self._pacing = pacing
        self._clock = pacing.clock
        self.read_bytes = 0
        self._limits = limits
        self._network = network
        self._trusted = require_checks(tls)

    def __repr__(self) -> str:
        return f"HttpReader({self.feed!r}, {self.hosts!r})"

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Trust, which takes a moment to read: whoever asks nothing does without."""
        return trust_in(self._trusted)

    def document(
        self,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        secret: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> WebAnswer:
        """Return a listing; where a server repeats a key in it, ``***`` stands for it.

        Parameters
        ----------
        url
            Where it is, https; plain http is made https, unless `HostRules.plain` has its host.
        query
            Parameters to add. They are shown.
        secret
            Parameters to add that are never shown. The value of a name ``header:Authorization`` goes into that header
            instead. Neither is sent to another host than that of `url`, or over the internet in plain http.
        form
            Makes it a POST of these fields.

        Raises
        ------
        FeedError
            As the class says.
        """
        secrets = self._secrets(secret)
        errand = _Errand(
            url=self._place(url, query or {}, secrets),
            secrets=secrets,
            headers=[("Accept", "*/*"), ("Accept-Encoding", "gzip")],
            seconds=self._limits.document_s,
            body=Body(self._limits.document_bytes, lambda data, headers: None, resumes=False),
            form=None if form is None else urlencode(form, errors="replace").encode("ascii"),
        )
        headers = self._done(errand)
        if headers is None:
            trouble = Trouble(FeedLies, Fault.MALFORMED, "says that what it never sent is the same")
            raise self._error(errand.at, errand.secrets, trouble)
        return _web_answer(errand, headers, secrets.hidden_in_document(errand.body.data))

    def image(
        self, url: str, *, secret: Mapping[str, str] | None = None, known: Origin | None = None
    ) -> WebAnswer | None:
        """Return an image file; None if it still is what `known` says. What broke off goes on where it ended.

        Parameters
        ----------
        url, secret
            As of `document`.
        known
            Where an image came from before. It is asked whether that has changed if the same URL is asked, or led to.

        Raises
        ------
        FeedError
            As the class says.
        """
        secrets = self._secrets(secret)

        def look(data: bytes, headers: Headers) -> None:
            require_image(data, headers, most_pixels=self._limits.image_pixels, shown=secrets.words)

        errand = _Errand(
            url=self._place(url, {}, secrets),
            secrets=secrets,
            headers=[("Accept", "*/*"), ("Accept-Encoding", "identity")],
            seconds=self._limits.image_s,
            body=Body(self._limits.image_bytes, look, resumes=True),
            known=known,
        )
        headers = self._done(errand)
        return None if headers is None else _web_answer(errand, headers, errand.body.data)

    # --- what is asked -------------------------------------------------------------------------------------------

    def _secrets(self, told: Mapping[str, str] | None) -> Secrets:
        try:
            return Secrets(told or {})
        except ValueError as error:
            trouble = Trouble(FeedDenied, Fault.DENIED, f"can't be asked, since {error}")
        raise self._error(None, Secrets({}), trouble)

    def _place(self, text: str, query: Mapping[str, str], secrets: Secrets) -> WebUrl:
        """Return the URL to ask first, without keys."""
        try:
            return self._allowed(WebUrl.read(text).adding(query), secrets)
        except ValueError as error:
            trouble = Trouble(FeedLies, Fault.BAD_URL, f"names what can't be asked for: {error}")
        except Trouble as error:
            trouble = error
        raise self._error(None, secrets, trouble)

    def _allowed(self, url: WebUrl, secrets: Secrets) -> WebUrl:
        """Return where to go instead of `url`: the same by https and without keys.

        Raises
        ------
        Trouble
            If this feed may not go there.
        """
        if not self.hosts.is_plain(url.host):
            url = url.secured()
        try:
            url = secrets.removed_from(url)
        except ValueError:
            raise Trouble(FeedLies, Fault.KEY_SHOWN, "writes a key into a URL") from None
        if not self.hosts.allows(url):
            why = f"would have {url.scheme}://{url.authority} asked, which this feed may not ask"
            raise Trouble(FeedLies, Fault.HOST_NOT_ALLOWED, why, forbidden_host=url.host)
        return url

    # --- attempts ------------------------------------------------------------------------------------------------

    def _done(self, errand: _Errand) -> Headers | None:
        """Ask until the body is there, or no attempt is left; None if nothing has changed."""
        last = self._clock.monotonic() + self._limits.budget_s
        attempts = tenacity.Retrying(
            sleep=self._clock.sleep,
            stop=lambda state: (
                state.attempt_number >= self._limits.attempts or self._clock.monotonic() + state.upcoming_sleep > last
            ),
            wait=self._pause,
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, Trouble) and error.again),
            reraise=True,
        )
        try:
            return attempts(self._attempt, errand)
        except Trouble as error:
            trouble = error
        finally:
            self.read_bytes += errand.body.came
        raise self._error(errand.at, errand.secrets, trouble)  # outside of the handler: it holds no question

    def _pause(self, state: tenacity.RetryCallState) -> float:
        """Return how long to wait before the next attempt: what the server said, or longer each time, with jitter."""
        trouble = None if state.outcome is None else state.outcome.exception()
        if isinstance(trouble, Trouble) and trouble.retry_after_s is not None:
            return float(trouble.retry_after_s)
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (state.attempt_number - 1))
        return longest * (1 + self._clock.chance()) / 2

    def _attempt(self, errand: _Errand) -> Headers | None:
        """Ask once, and go where it leads."""
        errand.at, form = errand.url, errand.form
        been = [errand.at]
        while isinstance(told := self._exchanged(errand, form), _Led):
            if len(been) > self._limits.redirects:
                raise Trouble(FeedLies, Fault.MISLED, f"leads on more than {self._limits.redirects} times")
            if told.to in been:
                raise Trouble(FeedLies, Fault.MISLED, "leads in a circle")
            if told.keeps_form and form is not None and told.to.origin != errand.at.origin:
                raise Trouble(FeedLies, Fault.MISLED, f"leads a form to another host, {told.to.host}")
            form = form if told.keeps_form else None
            errand.at = told.to
            been.append(told.to)
        return told

    # --- one exchange --------------------------------------------------------------------------------------------

    def _exchanged(self, errand: _Errand, form: bytes | None) -> Headers | _Led | None:
        host, limits = errand.at.host, self._limits
        rest = errand.body.asking(str(errand.at))
        unless = [] if rest else _conditions(errand)
        interval, longest = limits.least_interval_s, limits.longest_wait_s
        try:
            with self._pacing.turn(host, least_interval_s=interval, longest_wait_s=longest):
                question = self._question(errand, form, [*rest, *unless])
                with asked(question, network=self._network, tls=self._tls, clock=self._clock) as answer:
                    if (rate_limit := answer.headers.rate_limit) is not None:
                        self._pacing.rest(host, rate_limit.rest_s)
                    return self._heard(errand, answer, ranged=bool(rest), conditional=bool(unless))
        except HostResting as resting:
            wait = -int(-resting.wait_s // 1)
            why = "isn't asked now: it wants to be left alone, or has few requests left for us"
        raise Trouble(FeedUnavailable, Fault.RESTING, why, retry_after_s=wait)

    def _question(self, errand: _Errand, form: bytes | None, more: list[tuple[str, str]]) -> Question:
        url, headers = errand.at, [("User-Agent", USER_AGENT), *errand.headers, *more]
        if form is not None:
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
        local = self.hosts.is_local(url.host)
        if errand.secrets and url.origin == errand.url.origin:
            if url.scheme != "https" and not local:
                raise Trouble(FeedError, Fault.KEY_SHOWN, "is asked by plain http, and gets no key that way")
            headers += errand.secrets.headers.items()
            try:
                url = errand.secrets.sent_with(url)
            except ValueError:
                raise Trouble(FeedError, Fault.BAD_URL, "has a URL that is too long with its key") from None
        return Question(
            url=url,
            headers=headers,
            body=form,
            local=local,
            deadline=self._clock.monotonic() + errand.seconds,
            connect_s=self._limits.connect_s,
            read_s=self._limits.read_s,
        )

    def _heard(self, errand: _Errand, answer: Incoming, *, ranged: bool, conditional: bool) -> Headers | _Led | None:
        """Return the headers of what an answer brought; where it leads instead; or None if nothing has changed."""
        status, headers = answer.status, answer.headers
        if status in REDIRECTS:
            return _Led(self._led(errand, headers), keeps_form=status in KEEP_FORM)
        if status == 304 and conditional:
            return None
        if status in (200, 203, 206):
            errand.body.take(answer, str(errand.at), ranged=ranged)
            return headers
        if status == 416 and ranged:
            errand.body.forget()
            raise Trouble(FeedUnavailable, Fault.WRONG_RANGE, "has no rest of what it began to send", again=True)
        trouble = refusal(status, headers, _words(errand, answer), self._limits.longest_wait_s)
        if trouble.retry_after_s is not None:
            self._pacing.rest(errand.at.host, trouble.retry_after_s)
        raise trouble

    def _led(self, errand: _Errand, headers: Headers) -> WebUrl:
        """Return where a redirect leads, if this feed may go there."""
        if (location := headers.led_to) is None:
            raise Trouble(FeedLies, Fault.MISLED, "leads on, and doesn't say where")
        try:
            to = self._allowed(errand.at.led_to(location), errand.secrets)
        except ValueError as error:
            raise Trouble(FeedLies, Fault.MISLED, f"leads where nothing is: {error}") from None
        if errand.at.scheme == "https" and to.scheme != "https":
            raise Trouble(FeedLies, Fault.MISLED, f"leads from https to plain http, at {to.host}")
        return to

    def _error(self, at: WebUrl | None, secrets: Secrets, trouble: Trouble) -> FeedError:
        """Return a trouble as feeds are told it: with nothing in it that no one may see."""
        advice = advice_on(trouble.fault, has_key=at is None or bool(secrets))
        # what is not there is only found with its whole address
        who = self.feed if at is None else str(at) if trouble.fault is Fault.MISSING else at.authority
        data = {key: secrets.shown(value) if isinstance(value, str) else value for key, value in trouble.data.items()}
        if at is not None:
            data |= {"host": at.host, "url": str(at)}
        if trouble.retry_after_s is not None:
            data["retry_after_s"] = trouble.retry_after_s
        message = f"{who} {secrets.shown(trouble.why)}{advice}"
        return trouble.kind(message, feed=self.feed, fault=str(trouble.fault), **{"host": "", **data})


def _web_answer(errand: _Errand, headers: Headers, data: bytes) -> WebAnswer:
    hidden = errand.secrets.hidden
    return WebAnswer(
        url=str(errand.at),
        data=data,
        content_type=hidden(headers.content_type),
        etag=None if headers.etag is None else hidden(headers.etag),
        last_modified=headers.last_modified,
        skew_s=headers.skew_s,
    )


def _conditions(errand: _Errand) -> list[tuple[str, str]]:
    """Return what asks for the body only if it isn't what is known of this very URL."""
    known = errand.known
    if known is None or known.url != str(errand.at):
        return []
    return conditions(known.etag, known.last_modified)


def _words(errand: _Errand, answer: Incoming) -> str:
    """Return the first of what a server says of its refusal, if that can be read; its page for 404 says no more."""
    if answer.headers.codings:
        return ""
    try:
        first = next(iter(answer.body(ERROR_BYTES)), b"")
        errand.body.came += len(first)
    except Trouble:
        return ""
    if answer.status in (404, 410) and first.lstrip().startswith(b"<"):
        return ""
    return errand.secrets.words(without_tags(first[:ERROR_BYTES]))
