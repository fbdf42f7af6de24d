"""The fragments of ``dagster.yaml`` in deploy/dagster: each is one that the installed engines take."""

import importlib.util
import re
from pathlib import Path
from typing import Any

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


def compose() -> dict[str, Any]:
    return yaml.safe_load((PROJECT / "deploy" / "compose.yaml").read_text())


def test_there_is_one_for_each_engine() -> None:
    assert [file.stem for file in FRAGMENTS] == ["celery", "docker", "kubernetes", "logs-on-s3", "postgresql"]


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=lambda file: file.stem)
def test_dagster_takes_it_beside_the_shipped_configuration(
    fragment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    configuration, _ = dagster_instance_config(str(merged(fragment, tmp_path)))
    assert configuration
    for entry in yaml.safe_load(fragment.read_text()).values():
        if "class" in entry and importlib.util.find_spec(
            entry["module"].partition(".")[0]
        ):  # no lock has dagster_docker
            engine = class_from_code_pointer(entry["module"], entry["class"])
            checked = process_config(engine.config_type(), entry["config"])
            assert checked.success, checked.errors


def docker() -> dict[str, Any]:
    return yaml.safe_load((PROJECT / "deploy" / "dagster" / "docker.yaml").read_text())["run_launcher"]["config"]


def test_a_container_of_docker_is_hardened_as_those_of_compose_are() -> None:
    """And it is none of the words that the launcher refuses there: it has its own for them."""
    container = docker()["container_kwargs"]
    hardened = compose()["x-hardened"]
    assert {name: container[name] for name in ("read_only", "cap_drop", "security_opt")} == {
        name: hardened[name] for name in ("read_only", "cap_drop", "security_opt")
    }
    mounts = yaml.safe_load((PROJECT / "deploy" / "dagster" / "kubernetes.yaml").read_text())["run_launcher"]["config"]
    assert [mount["mountPath"] for mount in mounts["volume_mounts"]] == list(container["tmpfs"])
    assert container["user"] == "10001:10001"
    assert not {"image", "environment", "network"} & set(container)


def test_docker_gives_a_run_the_networks_and_variables_of_a_worker_of_compose() -> None:
    """Each by its name alone: a value here would lie in Dagster's database."""
    networks = [name.removeprefix("entropy-assets_") for name in docker()["networks"]]
    assert networks == compose()["x-pipeline"]["networks"]
    secret = re.findall(r"((?:ENTROPY|AWS|DAGSTER)_[A-Z_]+)=", (PROJECT / "deploy" / "secrets.sh").read_text())
    given = set(docker()["env_vars"])
    assert given >= set(compose()["x-pipeline"]["environment"])
    assert given >= {"DAGSTER_PG_URL", "ENTROPY_REDIS_URL", "ENTROPY_LEDGER_URL"}
    assert given <= {*secret, *compose()["x-pipeline"]["environment"]}
    assert not [name for name in given if "=" in name]


def test_dockers_own_client_takes_what_the_launcher_is_given() -> None:
    containers = pytest.importorskip("docker.models.containers", reason="no lock has what dagster-docker brings")
    kwargs = docker()["container_kwargs"]
    made = containers._create_container_args({**kwargs, "image": "i", "command": [], "version": "1.44"})
    assert made["host_config"]["ReadonlyRootfs"] is True
    assert made["host_config"]["Memory"] == 2 << 30
    assert set(made["host_config"]["Tmpfs"]) == set(kwargs["tmpfs"])


def test_the_address_of_postgresql_is_one_of_the_driver_that_is_installed() -> None:
    """``postgresql://`` would be that of psycopg 3, of which Dagster's storage knows nothing."""
    assert ADDRESS in (PROJECT / "deploy" / "dagster" / "postgresql.yaml").read_text()
    assert create_engine(ADDRESS).dialect.driver == "psycopg2"
    assert create_engine(ADDRESS.replace("+psycopg2", "")).dialect.driver == "psycopg"
