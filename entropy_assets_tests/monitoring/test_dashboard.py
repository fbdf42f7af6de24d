"""Every query of the dashboard is asked of a real Prometheus that watches a real service, and has an answer."""

import json
import time
from typing import Any

import pytest

from entropy_assets.sources.feeds.journal import FeedJournal, FeedJournals, Yield
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import LedgerBlock
from entropy_assets_tests.monitoring.conftest import Start, Watched
from entropy_assets_tests.monitoring.prometheus_process import MONITORING
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.provenance.test_freshness import (
    ACCEPTED,
    CONSTANT,
    FAILED,
    assessed,
    assessed_of_feeds,
    taken_in,
)

DASHBOARD: dict[str, Any] = json.loads((MONITORING / "entropy_assets.json").read_text())
QUERIES = [
    (panel["title"], target["expr"])
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", [])
]  # fmt: skip


def asked(expression: str) -> str:
    """Return `expression` as Grafana sends it."""
    return expression.replace("$__rate_interval", "6s").replace("$instance", ".+")


def test_the_dashboard_names_its_data_source_once_and_each_panel_once() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    sources = [target["datasource"] for panel in panels for target in panel.get("targets", [])]
    assert {source["uid"] for source in sources} == {"${datasource}"}


def _prepare(running: Watched) -> None:
    """Make something of everything that is shown."""
    root = running.home / "batches"
    for number, age_s in enumerate((60, 30)):
        assessed(taken_in(root, age_s, number, now_ns=time.time_ns()), ACCEPTED, FAILED, CONSTANT)
    assessed_of_feeds(taken_in(root, 20, 2, now_ns=time.time_ns()))
    block = LedgerBlock("b", 0, "00" * 32, "11" * 32)
    Ledger(running.home / "ledger.sqlite").append_publication("b", "00" * 32, [block], "", time.time_ns() // 1000)
    running.pool.push(blocks_for_both(200))
    brought = FeedJournal(name="sky", last_new_s=time.time(), newest=("ab" * 32,), total=Yield(images=1))
    FeedJournals(running.home / "feeds").write(brought)


@pytest.mark.e2e
def test_every_query_of_the_dashboard_has_an_answer(watched: Start) -> None:
    running = watched()
    _prepare(running)
    unanswered = dict.fromkeys(QUERIES)

    def all_answered() -> bool:
        running.service.client.get("/random/100")
        running.service.client.get("/random/100?class=public")
        running.service.client.get("/random/0")
        for title, expression in list(unanswered):
            if running.prometheus.query(asked(expression)):
                del unanswered[title, expression]
        return not unanswered

    try:
        running.prometheus.until("answers", all_answered, 60)
    except AssertionError:
        pytest.fail(f"no answer: {list(unanswered)}")
    answer = running.prometheus.client.get("/label/instance/values", params={"match[]": "entropy_pool_up"}).json()
    assert answer["data"] == [f"127.0.0.1:{running.service.port}"]
