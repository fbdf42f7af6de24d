"""The job that Dagster makes of a run in Kubernetes, by the fragment of ``dagster.yaml`` and by its chart's values.

The jobs are made by Dagster's own launcher and held to the schema of Kubernetes. Of the chart this page has the naming
alone: which of its values become which words of ``dagster.yaml``.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._config import process_config
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.instance.config import dagster_instance_config
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster_aws.s3.compute_log_manager import S3ComputeLogManager
from dagster_k8s import K8sRunLauncher
from dagster_k8s.job import construct_dagster_k8s_job
from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.utils import pg_url_from_config
from sqlalchemy import create_engine

from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.deploy.test_helm import HARDENED, KUBERNETES, USER, dagster_values, roles

IMAGE = "localhost/entropy-assets-kubernetes:0.1.0"
NOBODY = """
apiVersion: v1
kind: Config
current-context: none
contexts: [{name: none, context: {cluster: none, user: none}}]
clusters: [{name: none, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: none, user: {}}]
"""
"""A cluster that is never asked: the launcher wants to know of one when it is made."""
SHOWN = ("DAGSTER_PG_PASSWORD", "DAGSTER_K8S_NAMESPACE", "ENTROPY_IMAGE")


def snake(word: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", word).lower()


def in_words_of_dagster(values: Mapping[str, Any]) -> dict[str, Any]:
    """Give values of the chart under the names that ``dagster.yaml`` has for them."""
    return {snake(name): value for name, value in values.items()}


def postgresql() -> dict[str, Any]:
    """Give what the chart says of PostgreSQL three times, for runs, events and schedules."""
    values = dagster_values()["postgresql"]
    return {
        "postgres_db": {
            "username": values["postgresqlUsername"],
            "password": {"env": "DAGSTER_PG_PASSWORD"},
            "hostname": values["postgresqlHost"],
            "db_name": values["postgresqlDatabase"],
            "port": 5432,
            "params": values["postgresqlParams"],
            "scheme": values["postgresqlScheme"],
        }
    }


def launcher_of_the_chart() -> dict[str, Any]:
    values = dagster_values()
    said = in_words_of_dagster(values["runLauncher"]["config"]["k8sRunLauncher"])
    return said | {
        "env_secrets": [source["name"] for source in said["env_secrets"]],
        "run_k8s_config": in_words_of_dagster(said["run_k8s_config"]),
        "job_namespace": "entropy",
        "service_account_name": "dagster",
        "dagster_home": values["global"]["dagsterHome"],
        "instance_config_map": "dagster-instance",
        "postgres_password_secret": values["global"]["postgresqlSecretName"],
    }


def instance_of_the_chart() -> dict[str, Any]:
    """Give the ``dagster.yaml`` that the chart writes of the values."""
    values = dagster_values()
    daemon, logs = values["dagsterDaemon"], values["computeLogManager"]["config"]["s3ComputeLogManager"]
    database = {"module": "dagster_postgres", "config": postgresql()}
    for said in ("runCoordinator", "runMonitoring", "runRetries"):
        assert daemon[said] == {"enabled": False}, "else it is said twice"
    return {
        "run_storage": database | {"class": "PostgresRunStorage"},
        "event_log_storage": database | {"class": "PostgresEventLogStorage"},
        "schedule_storage": database | {"class": "PostgresScheduleStorage"},
        "run_launcher": {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": launcher_of_the_chart()},
        "compute_logs": {
            "module": "dagster_aws.s3.compute_log_manager",
            "class": "S3ComputeLogManager",
            "config": in_words_of_dagster(logs),
        },
        "python_logs": in_words_of_dagster(values["pythonLogs"]),
        "sensors": in_words_of_dagster(daemon["sensors"]),
        "schedules": in_words_of_dagster(daemon["schedules"]),
        "retention": {
            tick: {"purge_after_days": values["retention"][tick]["purgeAfterDays"]} for tick in ("schedule", "sensor")
        },
        "telemetry": values["telemetry"],
    } | values["additionalInstanceConfig"]


@pytest.fixture
def job_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Give what makes the job of a run by a launcher's configuration, held to the schema of Kubernetes."""
    schemas = pytest.importorskip("kubernetes_validate", reason="the job is checked by kubernetes-validate")
    for name in SHOWN:
        monkeypatch.setenv(name, "entropy" if name != "ENTROPY_IMAGE" else IMAGE)
    cluster = tmp_path / "cluster.yaml"
    cluster.write_text(NOBODY)

    def made(config: Mapping[str, Any]) -> dict[str, Any]:
        outside = {**config, "load_incluster_config": False, "kubeconfig_file": str(cluster)}
        checked = process_config(K8sRunLauncher.config_type(), outside)
        assert checked.success, checked.errors
        launcher = K8sRunLauncher(**(checked.value or {}))
        origin = RepositoryPythonOrigin(
            executable_path="python",
            code_pointer=ModuleCodePointer("entropy_assets.definitions", "defs"),
            container_image=IMAGE,
        )
        run = dg.DagsterRun(
            job_name="process_images", run_id="0" * 36, job_code_origin=JobPythonOrigin("process_images", origin)
        )
        found = launcher.get_container_context_for_run(run)
        job = construct_dagster_k8s_job(
            found.get_k8s_job_config(IMAGE, launcher), ["dagster"], "run", found.run_k8s_config, pod_name="run"
        ).to_dict()
        kept = without_nothing(job)
        schemas.validate(kept, KUBERNETES, strict=True)
        return kept

    return made


def without_nothing(value: Any) -> Any:
    """Give an object of Kubernetes' client in the words of its API, without what is not set."""
    if isinstance(value, dict):
        return {
            re.sub(r"_([a-z])", lambda found: found[1].upper(), name): without_nothing(each)
            for name, each in value.items()
            if each is not None
        }
    return [without_nothing(each) for each in value] if isinstance(value, list) else value


def refuse_soft(job: dict[str, Any]) -> dict[str, Any]:
    """Check that the run of a job is hardened and has where to write; return its container."""
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert USER.items() <= pod["securityContext"].items()
    assert container["securityContext"] == HARDENED
    assert {"/var/lib/entropy-assets", "/tmp"} <= {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {mount["name"] for mount in container["volumeMounts"]} <= {volume["name"] for volume in pod["volumes"]}
    assert container["resources"] == {"requests": {"cpu": "1", "memory": "512Mi"}, "limits": {"memory": "2Gi"}}
    assert job["spec"]["backoffLimit"] == 0, "Dagster launches it again, as a new run"
    return container


def test_a_run_by_the_fragment_is_hardened_and_can_write_where_it_must(job_of: Callable[..., dict[str, Any]]) -> None:
    fragment = yaml.safe_load((PROJECT / "deploy" / "dagster" / "kubernetes.yaml").read_text())
    container = refuse_soft(job_of(fragment["run_launcher"]["config"]))
    assert container["envFrom"] == [
        {"configMapRef": {"name": "entropy-settings"}},
        {"secretRef": {"name": "entropy-secrets"}},
    ]


def test_a_run_by_the_chart_is_hardened_and_knows_what_its_code_server_knows(
    job_of: Callable[..., dict[str, Any]],
) -> None:
    """By the launcher alone: what a run is given of its code server would take the place of its memory and cores."""
    code, container = roles()["code"], refuse_soft(job_of(launcher_of_the_chart()))
    assert code["includeConfigInLaunchedRuns"] == {"enabled": False}
    assert [{"secretRef": each} for each in code["envSecrets"]] == container["envFrom"]
    assert [each for each in container["env"] if each["name"].startswith(("ENTROPY_", "AWS_"))] == code["env"]


def test_dagster_takes_what_the_chart_makes_of_the_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SHOWN:
        monkeypatch.setenv(name, "shown")
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(instance_of_the_chart()))
    configuration, _ = dagster_instance_config(str(tmp_path))
    assert configuration
    logs = instance_of_the_chart()["compute_logs"]["config"]
    assert process_config(S3ComputeLogManager.config_type(), logs).success


def test_the_chart_asks_for_the_driver_that_dagster_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its scheme it would be psycopg 3, which the image has for the ledger, and Dagster would not start."""
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", "shown")
    for scheme, driver in ((None, "psycopg"), (postgresql()["postgres_db"]["scheme"], "psycopg2")):
        said = {name: value for name, value in postgresql()["postgres_db"].items() if name != "scheme"}
        given = {"postgres_db": said if scheme is None else said | {"scheme": scheme}}
        checked = process_config(PostgresRunStorage.config_type(), given)
        assert checked.success, checked.errors
        assert create_engine(pg_url_from_config(checked.value or {})).dialect.driver == driver


@pytest.mark.parametrize("part", ["run_monitoring", "run_retries", "backfills", "python_logs", "nux", "telemetry"])
def test_the_chart_says_the_same_as_the_instance_of_compose(part: str) -> None:
    own = yaml.safe_load((PROJECT / "deploy" / "dagster.yaml").read_text())[part]
    assert own.items() <= instance_of_the_chart()[part].items()
