"""The look at an object store before anything is created in it: a name must be created once, whoever races for it.

A server that ignores the condition answers every create with success, so each of several writers would take what is
not its own. No header and no version tells; only a race does.
"""

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from entropy_assets.stores.blobs import asking
from entropy_assets.stores.blobs.refusals import StoreError, StoreUnsafe

RACERS: Final = 4
"""Writers that create the same name at once."""
PROBES: Final = ".probe"
"""Folder of the names that are tried. One that was killed leaves an object of 16 bytes, which nobody reads."""


def refuse_unless_once(store: asking.Store, url: str) -> None:
    """Race for one name and then try it again, and raise unless one writer had it alone.

    Raises
    ------
    StoreUnsafe
        If another one had it too.
    StoreError
        If the store does not answer, or refuses who asks.
    """
    name = f"{PROBES}/{secrets.token_hex(16)}"
    claims = [secrets.token_bytes(16) for _ in range(RACERS)]
    together = threading.Barrier(RACERS)

    def race(claim: bytes) -> bool:
        together.wait()
        return asking.created(store, name, claim, url)

    try:
        with ThreadPoolExecutor(RACERS) as racers:
            won = [claim for claim, has_won in zip(claims, racers.map(race, claims), strict=True) if has_won]
        again = asking.created(store, name, secrets.token_bytes(16), url)
        kept = asking.read(store, name, url)
    except FileNotFoundError:
        raise StoreError(f"the object store {url} lost what was just kept in it", url=url) from None
    finally:
        asking.deleted(store, name, url)
    if len(won) != 1 or again or kept != won[0]:
        raise StoreUnsafe(
            f"the object store {url} ignores 'If-None-Match: *': {len(won) + again} writers created the same name, so"
            " what has to be fixed once would be fixed twice. Use Amazon S3, Ceph RGW or another that honours it",
            url=url,
            winners=len(won) + again,
        )
