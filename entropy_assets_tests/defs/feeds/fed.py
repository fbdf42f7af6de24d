"""An installation with configured feeds whose servers are in memory, and its definitions."""

from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from entropy_assets.defs.build import build_defs
from entropy_assets.defs.feeds.asking import ImageFeeds
from entropy_assets.defs.feeds.jobs import request_of
from entropy_assets.settings import Settings
from entropy_assets_tests.sources.feeds.scripted import ScriptedFeed

FILE = """
[feed.sun]
kind = "sdo-latest"

[feed.sea]
kind = "http-directory"
url = "https://frames.example.org/sea/"
claim = "raw-ccd"
credit = "Example Observatory"
cadence_seconds = 300

[feed.sky]
kind = "http-directory"
url = "https://frames.example.org/sky/"
claim = "raw-ccd"

[feed.asleep]
kind = "folder"
path = "/frames"
claim = "raw-ccd"
enabled = false
"""


@dataclass
class Fed:
    """Definitions, feeds and instance of one installation; its own settings and folder."""

    settings: Settings
    feeds: ImageFeeds
    scripted: dict[str, ScriptedFeed]
    defs: dg.Definitions
    instance: dg.DagsterInstance

    @classmethod
    def of(cls, root: Path, instance: dg.DagsterInstance, text: str = FILE) -> "Fed":
        root.mkdir(exist_ok=True)
        (root / "sources.toml").write_text(text)
        settings = Settings(home=root, settle_seconds=0.0)
        configured = ImageFeeds.of(settings)
        scripted = {name: ScriptedFeed(name) for name in ("sun", "sea", "sky")}
        feeds = ImageFeeds(
            configured.configuration,
            configured.rounds,
            lambda configuration, names: [scripted[name] for name in names],
            configured.refusal,
            settings,
        )
        return cls(settings, feeds, scripted, build_defs(settings, {"feeds": feeds}), instance)

    def run(self, **changes: bool) -> dg.ExecuteInProcessResult:
        return self.defs.resolve_job_def("ingest_feeds").execute_in_process(instance=self.instance, **changes)

    def tick(self) -> dg.RunRequest | dg.SkipReason:
        """Return what the schedule answers."""
        return request_of(self.instance, self.feeds)

    def observed(self, name: str) -> list[dict[str, object]]:
        """Return what was observed of a feed, the newest first."""
        key = dg.AssetKey(["feeds", name])
        records = self.instance.fetch_observations(key, limit=50).records
        return [
            {field: value.value for field, value in record.asset_observation.metadata.items()} for record in records
        ]
