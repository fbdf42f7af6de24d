"""What a browser says of who has it ask: `test_foreign_pages` shows what the service does with that."""

import pytest

from entropy_assets.errors import ForeignOrigin
from entropy_assets.serving.access.origins import require_own


@pytest.mark.parametrize(
    "site, destination, purpose, passes",
    [
        (None, None, None, True),
        (b"same-origin", b"empty", None, True),
        (b"none", b"document", None, True),
        (b"none", b"document", b"prefetch", True),
        (b"cross-site", b"document", None, True),
        (b"cross-site", b"document", b"prefetch", False),
        (b"cross-site", b"image", None, False),
        (b"same-site", b"image", None, False),
        (b"same-site", b"iframe", None, False),
        (b"cross-site", None, None, False),
        (b"anything else", b"empty", None, False),
    ],
)
def test_programs_people_and_our_own_pages_pass(
    site: bytes | None, destination: bytes | None, purpose: bytes | None, passes: bool
) -> None:
    fields = ((b"sec-fetch-site", site), (b"sec-fetch-dest", destination), (b"sec-purpose", purpose))
    headers = [(b"accept", b"*/*"), *((name, value) for name, value in fields if value is not None)]
    if passes:
        require_own(headers)
        return
    with pytest.raises(ForeignOrigin):
        require_own(headers)
