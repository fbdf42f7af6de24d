"""The definitions as a whole: what people and programs rely on by name."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr

from entropy_assets.core.advice import ADVICE
from entropy_assets.defs.build import build_defs
from entropy_assets.settings import Settings
from entropy_assets_tests.defs.conftest import CHECKS
from entropy_assets_tests.file_modes import open_to_others
from entropy_assets_tests.untraced import untraced

REPORT_CHECKS = {"credit_is_covered", "restarts", "newest_sequences", "long_run"}
"""The checks of the nightly reports: of no batch, and a run that fails one is an alarm."""


def test_the_definitions_are_what_the_ui_promises(tmp_path: Path) -> None:
    """Names, groups and gates that people and programs rely on: a change here is a change of the interface."""
    defs = build_defs(Settings(home=tmp_path))
    graph = defs.resolve_asset_graph()
    groups = {key.to_user_string(): graph.get(key).group_name for key in graph.get_all_asset_keys()}
    assert groups == {
        "raw_images": "ingest",
        "noise_arrays": "extraction",
        "hashed_blocks": "conditioning",
        "validated_blocks": "validation",
        "published_blocks": "publication",
        "entropy_pool": "publication",
        "source_assessment": "reports",
        "stream_report": "reports",
    }
    for name in ("raw_images", "noise_arrays"):
        description = defs.resolve_assets_def(name).descriptions_by_key[dg.AssetKey(name)]
        assert all(f"| `{reason}` | {advice} |" in description for reason, advice in ADVICE.items())
    specs = {check.name: check for check in graph.asset_check_keys}
    assert set(specs) == CHECKS | REPORT_CHECKS | {
        "rejection_rate",
        "files_usable",
        "health_tests",
    }
    for name in REPORT_CHECKS:
        node = graph.get(specs[name])
        assert node.blocking
        assert node.partitions_def is None
    for name in CHECKS:
        node = graph.get(specs[name])
        assert node.blocking
        assert node.partitions_def is not None
    assert {job.name for job in defs.jobs or []} == {
        "process_images",
        "publish_blocks",
        "replenish_pool",
        "daily_audit",
        "nightly_reports",
        "retention",
        "ingest_feeds",
    }
    schedules = {schedule.name: schedule for schedule in defs.schedules or []}
    assert set(schedules) == {"ingest", "daily_audit", "nightly_reports", "retention", "ingest_feeds"}
    assert schedules["nightly_reports"].default_status is dg.DefaultScheduleStatus.RUNNING


def fields_of(config_type: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Give each place of a configuration where somebody can write a value, and the type of that value."""
    fields = getattr(config_type, "fields", None)
    if fields is None:
        yield path, config_type
        return
    for name, field in fields.items():
        yield from fields_of(field.config_type, f"{path}.{name}".removeprefix("."))


JOBS = ("process_images", "publish_blocks", "replenish_pool", "daily_audit", "nightly_reports", "__ASSET_JOB")
"""All that can be launched; the last is what the UI launches for assets of one's choice."""


@pytest.mark.parametrize("job", JOBS)
def test_no_run_config_says_where_anything_is_or_what_may_be_left_out(tmp_path: Path, job: str) -> None:
    """What is left are names and levels of the log, and values for steps that read none."""
    schema = build_defs(Settings(home=tmp_path)).resolve_job_def(job).run_config_schema
    places = dict(fields_of(schema.config_type))
    logs = {"loggers.console.config.log_level", "loggers.console.config.name"}
    assert {place for place in places if not place.startswith("ops.")} == logs
    assert {value.key for value in places.values()} <= {"Any", "String"}, "no value is looked up in the environment"


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize(
    "config",
    [
        {"resources": {"stores": {"config": {"home": "/elsewhere"}}}},
        {"resources": {"stores": {"config": {"home": {"env": "ENTROPY_REDIS_URL"}, "recipe": "ea-2026-1"}}}},
        {"resources": {"pool": {"config": {"url": "redis://elsewhere"}}}},
        {"resources": {"sources": {"config": {"simulated_camera": True}}}},
        {"resources": {"io_manager": {"config": {"base_dir": {"env": "ENTROPY_REDIS_URL"}}}}},
        {"execution": {"config": {"step_dependency_config": {"require_upstream_step_success": False}}}},
        {"execution": {"config": {"marker_to_close": {"env": "ENTROPY_REDIS_URL"}}}},
        {"loggers": {"console": {"config": {"name": {"env": "ENTROPY_REDIS_URL"}}}}},
    ],
    ids=str,
)
def test_a_launch_with_another_place_or_with_a_look_into_the_environment_is_refused(
    tmp_path: Path, job: str, config: dict[str, object]
) -> None:
    definition = build_defs(Settings(home=tmp_path)).resolve_job_def(job)
    with pytest.raises(dg.DagsterInvalidConfigError) as refused:
        dg.validate_run_config(definition, config)
    assert len(refused.value.errors) == 1


def test_the_address_of_the_pool_is_in_nothing_that_dagster_shows(tmp_path: Path) -> None:
    secret = "a-password-of-the-pool"
    settings = Settings(home=tmp_path, redis_url=SecretStr(f"redis://publisher:{secret}@127.0.0.1:1"))
    defs = build_defs(settings)
    assert secret not in repr(defs.resources)
    context = dg.build_sensor_context(resources=defs.resources)
    assert secret not in repr(context.resources.pool)


def test_whoever_loads_the_definitions_what_is_made_then_is_its_users_alone(tmp_path: Path) -> None:
    """``dagster dev`` starts the code server without any of this project's commands."""
    home = tmp_path / "var"
    (home / "batches").mkdir(parents=True)
    for folder in (home / "batches", home):
        folder.chmod(0o755)
    code = f"import entropy_assets.definitions, pathlib; pathlib.Path({str(home)!r}, 'ledger.sqlite').touch()"
    environment = {**untraced(), "ENTROPY_HOME": str(home)}
    loaded = subprocess.run(
        [sys.executable, "-c", code], env=environment, umask=0o022, stderr=subprocess.PIPE, text=True, check=True
    )
    assert open_to_others(home) == []
    assert f"home {home}: 2 files and folders could be read by others" in loaded.stderr


def test_a_ledgers_server_that_is_away_is_told_and_the_definitions_load(tmp_path: Path) -> None:
    """Every process of a run loads them: none could wait for the server otherwise."""
    url = f"postgresql+psycopg://u:secret@/db?host={tmp_path}"
    environment = {**untraced(), "ENTROPY_HOME": str(tmp_path), "ENTROPY_LEDGER_URL": url}
    command = [sys.executable, "-c", "import entropy_assets.definitions"]
    loaded = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    assert (loaded.returncode, "can't be used: No such file" in loaded.stderr) == (0, True), loaded.stderr
    assert "secret" not in loaded.stderr
