"""Whether a browser asks on behalf of a page of another site, which may make it ask and can't read the answer.

Such a page could empty the pool from the browsers of its visitors, on loopback too. Browsers say so in ``Sec-Fetch-*``
over TLS and to loopback; to another machine in clear they don't. Programs send none of these.
"""

from typing import Final

from entropy_assets.errors import ForeignOrigin

SITE_HEADER: Final = b"sec-fetch-site"
OWN_SITES: Final = frozenset((b"same-origin", b"none"))
"""A page of this service, and a person who typed the address."""


def require_own(headers: list[tuple[bytes, bytes]]) -> None:
    """Let pass programs, pages of this service, and whoever follows a link.

    Raises
    ------
    ForeignOrigin
        If a page of another site has a browser ask, without its user.
    """
    values = dict(headers)
    if values.get(SITE_HEADER, b"none") in OWN_SITES:
        return
    if values.get(b"sec-fetch-dest") != b"document" or b"sec-purpose" in values:
        raise ForeignOrigin("a page of another site may not ask for this in somebody's browser")
