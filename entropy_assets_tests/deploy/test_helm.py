"""The charts are rendered by Helm and checked against the schemas of Kubernetes, and what they say is held to the code.

Rendering needs `helm-python-sdk` (Helm 4 as a library) and `kubernetes-validate`; without them those tests skip.
"""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.deploy.commands import refuse_unparsed, unknown_settings

HELM = PROJECT / "deploy" / "helm"
CHART = HELM / "entropy-assets-serving"
KUBERNETES = "1.31"
USER = {"runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001}
HARDENED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def rendered(**values: Any) -> dict[str, dict[str, Any]]:
    """Return what the chart makes of `values`, by kind, each held to the schema of Kubernetes."""
    helm = pytest.importorskip("helm_python", reason="the chart is rendered by helm-python-sdk")
    schemas = pytest.importorskip("kubernetes_validate", reason="what it renders is checked by kubernetes-validate")
    with helm.Chart.load(CHART) as chart:
        texts = chart.render(values=values, name="demo")
    found = [each for text in texts.values() for each in yaml.safe_load_all(text) if each]
    for each in found:
        schemas.validate(each, KUBERNETES, strict=True)
    return {each["kind"]: each for each in found}


def pod_of(deployment: dict[str, Any]) -> dict[str, Any]:
    return deployment["spec"]["template"]["spec"]


@cache
def dagster_values() -> dict[str, Any]:
    return yaml.safe_load((HELM / "dagster-values.yaml").read_text(encoding="utf-8"))


def test_the_chart_makes_all_that_the_service_needs() -> None:
    assert set(rendered()) == {"ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service"}


def test_the_service_runs_as_its_user_and_can_write_to_its_volumes_alone() -> None:
    pod = pod_of(rendered()["Deployment"])
    (container,) = pod["containers"]
    assert USER.items() <= pod["securityContext"].items()
    assert container["securityContext"] == HARDENED
    assert pod["automountServiceAccountToken"] is False
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/var/lib/entropy-assets", "/tmp"}


def test_its_probes_are_routes_of_the_service_and_its_command_is_one() -> None:
    (container,) = pod_of(rendered()["Deployment"])["containers"]
    probes = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    assert probes == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
    refuse_unparsed(["entropy-assets", *container["args"]])


def test_its_settings_are_settings() -> None:
    settings = rendered()["ConfigMap"]["data"]
    assert unknown_settings(" ".join(settings)) == set()
    assert settings["ENTROPY_HTTP_HOSTS"] == "random.example.org,demo-serving,demo-serving.default.svc"


def test_a_change_of_settings_starts_the_pods_anew() -> None:
    sums = {
        pod["metadata"]["annotations"]["checksum/settings"]
        for pod in (rendered(workers=count)["Deployment"]["spec"]["template"] for count in (1, 2))
    }
    assert len(sums) == 2


def test_without_a_policy_of_yours_nobody_may_connect() -> None:
    policy = rendered(networkPolicy={"from": []})["NetworkPolicy"]
    assert policy["spec"]["ingress"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"settings": {"ENTROPY_REDIS_URL": "redis://service:password@valkey/0"}},
        {"settings": {"AWS_SECRET_ACCESS_KEY": "secret"}},
        {"image": {"tag": "latest"}},
        {"replicas": 0},
        {"replica": 2},
    ],
)
def test_its_schema_refuses_secrets_in_the_open_and_what_nobody_reads(wrong: dict[str, Any]) -> None:
    helm = pytest.importorskip("helm_python", reason="the chart is rendered by helm-python-sdk")
    with helm.Chart.load(CHART) as chart, pytest.raises(helm.HelmError, match="schema"):
        chart.render(values=wrong, name="demo")


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = (PROJECT / "pyproject.toml").read_text()
    assert f'\nversion = "{chart["appVersion"]}"\n' in project
    tag = yaml.safe_load((CHART / "values.yaml").read_text())["image"]["tag"]
    assert tag == chart["appVersion"] == chart["version"]


# ------------------------------------------------------------------------------------------ values of Dagster's chart


def roles() -> dict[str, dict[str, Any]]:
    values = dagster_values()
    (code,) = values["dagster-user-deployments"]["deployments"]
    return {"code": code, "daemon": values["dagsterDaemon"], "webserver": values["dagsterWebserver"]}


@pytest.mark.parametrize("role", ["code", "daemon", "webserver"])
def test_every_role_is_hardened(role: str) -> None:
    values = roles()[role]
    assert USER.items() <= values["podSecurityContext"].items()
    assert values["securityContext"] == HARDENED
    assert values["image"]["repository"] == "localhost/entropy-assets-kubernetes"
    assert {mount["mountPath"] for mount in values["volumeMounts"]} == {"/var/lib/entropy-assets", "/tmp"}


def test_only_the_code_knows_pool_store_and_ledger() -> None:
    assert roles()["code"]["envSecrets"] == [{"name": "entropy-assets-pipeline"}]
    for role in ("daemon", "webserver"):
        assert roles()[role]["envSecrets"] == [{"name": "entropy-assets-logs"}]
        assert not any(line["name"].startswith("ENTROPY_") for line in roles()[role]["env"])


def test_the_webserver_of_the_chart_only_looks() -> None:
    """It has no page_guard: Dagster's own command checks neither Host nor Origin."""
    assert roles()["webserver"]["enableReadOnly"] is True


def test_the_settings_that_the_values_name_are_settings() -> None:
    assert unknown_settings((HELM / "dagster-values.yaml").read_text()) == set()


@pytest.mark.slow
def test_the_code_server_takes_its_arguments() -> None:
    refuse_unparsed(["dagster", "code-server", "start", *roles()["code"]["codeServerArgs"]])


def test_two_runs_of_one_batch_never_work_at_once() -> None:
    """As in dagster.yaml: they would write the same files."""
    own = yaml.safe_load((PROJECT / "dagster.yaml").read_text())["concurrency"]["runs"]["tag_concurrency_limits"]
    chart = dagster_values()["additionalInstanceConfig"]["concurrency"]["runs"]["tag_concurrency_limits"]
    (limit,) = [each for each in chart if each["key"] == "dagster/partition"]
    assert {"key": "dagster/partition", "value": {"applyLimitPerUniqueValue": True}, "limit": 1} in own
    assert limit in own


def test_its_version_is_the_one_that_is_locked() -> None:
    text = (HELM / "dagster-values.yaml").read_text()
    lock = (PROJECT / "deploy" / "locks" / "kubernetes.lock").read_text()
    (version,) = [line for line in lock.splitlines() if line.startswith("dagster==")]
    assert f"--version {version.split()[0].removeprefix('dagster==')} " in text


def test_its_files_are_yaml() -> None:
    for path in sorted(Path(HELM).rglob("*.yaml")):
        if path.parent.name != "templates":
            assert yaml.safe_load(path.read_text()) is not None
