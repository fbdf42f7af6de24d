"""Whether a browser asks on behalf of a page of another site, which may make it ask and can't read the answer.

Such a page could empty the pool from the browsers of its visitors, on loopback too. Browsers say so in ``Sec-Fetch-*``
over TLS and to loopback; to another machine in clear they don't. Programs send none of these.
"""

from typing import Final

from entropy_assets.errors import ForeignOrigin

SITE: Final = b"sec-fetch-site"
OWN: Final = frozenset((b"same-origin", b"none"))
"""A page of this service, and a person who typed the address."""


def require_own(headers: list[tuple[bytes, bytes]]) -> None:
    """Let programs in, our own pages, and whoever follows a link.

    Raises
    ------
    ForeignOrigin
        If a page of another site has a browser ask, without its user.
    """
    found = dict(headers)
    if found.get(SITE, b"none") in OWN:
        return
    if found.get(b"sec-fetch-dest") != b"document" or b"sec-purpose" in found:
        raise ForeignOrigin("a page of another site may not ask for this in somebody's browser")
