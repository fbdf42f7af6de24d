"""The fragments of ``dagster.yaml`` in deploy/dagster: each is one that the installed engines take."""

from pathlib import Path

import pytest
import yaml
from dagster._config import process_config
from dagster._core.instance.config import dagster_instance_config
from dagster._serdes.config_class import class_from_code_pointer
from sqlalchemy import create_engine

from entropy_assets_tests.conftest import PROJECT

FRAGMENTS = sorted((PROJECT / "deploy" / "dagster").glob("*.yaml"))
# What a line of the fragments says of its address, tried by the one line that says it.
ADDRESS = "postgresql+psycopg2://user:password@host:5432/dagster?sslmode=verify-full"
VARIABLES = {
    "DAGSTER_PG_URL": ADDRESS,
    "DAGSTER_K8S_NAMESPACE": "entropy",
    "ENTROPY_IMAGE": "registry/entropy:1",
    "DAGSTER_LOGS_BUCKET": "logs",
}


def merged(fragment: Path, folder: Path) -> Path:
    """Give a DAGSTER_HOME with the shipped configuration and what `fragment` says instead."""
    configuration = yaml.safe_load((PROJECT / "dagster.yaml").read_text()) | yaml.safe_load(fragment.read_text())
    (folder / "dagster.yaml").write_text(yaml.safe_dump(configuration))
    return folder


def test_there_is_one_for_each_engine() -> None:
    assert [file.stem for file in FRAGMENTS] == ["celery", "kubernetes", "logs-on-s3", "postgresql"]


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=lambda file: file.stem)
def test_dagster_takes_it_beside_the_shipped_configuration(
    fragment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    configuration, _ = dagster_instance_config(str(merged(fragment, tmp_path)))
    assert configuration
    for entry in yaml.safe_load(fragment.read_text()).values():
        if "class" in entry:
            engine = class_from_code_pointer(entry["module"], entry["class"])
            checked = process_config(engine.config_type(), entry["config"])
            assert checked.success, checked.errors


def test_the_address_of_postgresql_is_one_of_the_driver_that_is_installed() -> None:
    """``postgresql://`` would be that of psycopg 3, of which Dagster's storage knows nothing."""
    assert ADDRESS in (PROJECT / "deploy" / "dagster" / "postgresql.yaml").read_text()
    assert create_engine(ADDRESS).dialect.driver == "psycopg2"
    assert create_engine(ADDRESS.replace("+psycopg2", "")).dialect.driver == "psycopg"
