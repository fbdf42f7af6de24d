"""The reader: what feeds ask servers by."""

import ssl
from collections.abc import Mapping

from entropy_assets.sources.feeds.interface import WebAnswer
from entropy_assets.sources.feeds.web.hosts import HostRules
from entropy_assets.sources.feeds.web.limits import DEFAULT_WEB_LIMITS, WebLimits
from entropy_assets.sources.feeds.web.networks import INTERNET, Network
from entropy_assets.sources.feeds.web.pacing import Pacing
from entropy_assets.stores.inboxes.origins import Origin


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
        How certificates are checked; None for the usual authorities. One that does not check is refused.

    Notes
    -----
    Every error is a `FeedError` whose ``data`` has ``feed``, ``host``, the ``fault`` in one word, and the ``url``
    without a key:

    - `FeedUnavailable`: connections that fail, 5xx, 429, answers that break off, after all attempts. With
      ``retry_after_s`` if the server named a time.
    - `FeedDenied`: 401 and 403.
    - `FeedLies`: another length, type or version than told, a certificate of somebody else, a way that leads astray.
    - `FeedError` itself: 404 and 410 (``fault="missing"``), other refusals, and what is too large to be read here.
    """

    def __init__(
        self,
        feed: str,
        hosts: HostRules,
        *,
        pacing: Pacing,
        limits: WebLimits = DEFAULT_WEB_LIMITS,
        network: Network = INTERNET,
        tls: ssl.SSLContext | None = None,
    ) -> None: ...

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
            instead. Neither is sent to another host than that of `url`.
        form
            Makes it a POST of these fields.
        """

    def image(
        self, url: str, *, secret: Mapping[str, str] | None = None, known: Origin | None = None
    ) -> WebAnswer | None:
        """Return an image file; None if it still is what `known` says. What broke off goes on where it ended."""
