"""Dagster's webserver behind `page_guard`: ``python -m entropy_assets.supervisor.webserver --workspace FILE``."""

import argparse
import logging

import uvicorn
from dagster import DagsterInstance
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.version import __version__

from entropy_assets.settings import Settings
from entropy_assets.supervisor.page_guard import Names, PageGuard, Refusal

POLL_MS = 2000
"""How often the pages ask for news, milliseconds: Dagster's own default."""
STATEMENT_MS, RECYCLE_S, OVERFLOW = 15_000, 3600, 20
"""Limits of the storage's connections: those of Dagster's own command."""
GRACE_S = 3
"""How long pages that are open keep an end waiting, seconds."""

log = logging.getLogger(__name__)


def main() -> None:
    """Serve until a signal comes."""
    settings = Settings()
    parser = argparse.ArgumentParser(prog="python -m entropy_assets.supervisor.webserver", description=__doc__)
    parser.add_argument("--workspace", required=True, help="file that names the code locations")
    parser.add_argument("--host", default=settings.dagster_host)
    parser.add_argument("--port", type=int, default=settings.dagster_port)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with DagsterInstance.get() as instance:
        instance.optimize_for_webserver(STATEMENT_MS, RECYCLE_S, OVERFLOW)
        target = WorkspaceFileTarget([given.workspace])
        with WorkspaceProcessContext(instance, target, version=__version__) as workspace:
            app = create_app_from_workspace_process_context(workspace, live_data_poll_rate=POLL_MS)
            uvicorn.run(
                PageGuard(app, Names.of(given.host, settings.dagster_url), _tell),
                host=given.host,
                port=given.port,
                log_level="warning",
                # httptools takes the body behind an unknown Upgrade for another protocol, and so for a second request
                http="h11",
                # who asks is never read from a header that anybody may write
                proxy_headers=False,
                timeout_graceful_shutdown=GRACE_S,
            )


def _tell(refusal: Refusal) -> None:
    log.warning("refused with %d: %s", refusal.status, refusal.reason)


if __name__ == "__main__":
    main()
