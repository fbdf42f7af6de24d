"""moto, one request after the other: ``python -m entropy_assets_tests.stores.blobs.serial_moto PORT``.

``moto_server`` honours ``If-None-Match`` for one writer. Of several at once two may find nothing there and both keep
theirs, since it looks and keeps in two steps. A lock around each request makes one step of them, as in a real store.
"""

import sys
import threading
from collections.abc import Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple


class Serial:
    """A WSGI application that answers one request at a time."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._turn = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with self._turn:
            return [b"".join(self._application(environ, start_response))]


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), Serial(DomainDispatcherApplication(create_backend_app)), threaded=True)
