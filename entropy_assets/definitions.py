"""The module that Dagster loads.

Whatever starts the code server, ``dagster dev`` too: what it and its runs make is nobody else's to read.
"""

import logging
import os

from entropy_assets.defs.build import build_defs
from entropy_assets.settings import Settings
from entropy_assets.stores.blobs.refusals import StoreUnavailable
from entropy_assets.stores.durable import PRIVATE_UMASK
from entropy_assets.stores.home import Home
from entropy_assets.stores.ledger.storage import LedgerUnavailable

settings = Settings()
os.umask(PRIVATE_UMASK)
if narrowed := Home.of(settings).narrow():
    logging.getLogger(__name__).warning("home %s: %s", settings.home, narrowed)
try:
    Home.of(settings).refuse_unsafe_stores()
except (StoreUnavailable, LedgerUnavailable) as error:  # it may come back; what writes first asks it again
    logging.getLogger(__name__).warning("%s", error.message)
defs = build_defs(settings)
