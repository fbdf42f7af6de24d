"""compose.yaml names only what exists: images, files, secrets, settings, commands; and nothing in it is open."""

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._core.instance.ref import InstanceRef

from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.deploy.commands import refuse_unparsed, unknown_settings

DEPLOY = PROJECT / "deploy"
OURS = "localhost/entropy-assets-"
# Of the Compose Specification, what this file uses: a key that is misspelt there is ignored, and here it is red.
TOP = {"name", "services", "networks", "volumes", "secrets"}
KEYS = {
    *("cap_add", "cap_drop", "command", "depends_on", "env_file", "environment", "healthcheck", "image", "logging"),
    *("networks", "ports", "read_only", "restart", "secrets", "security_opt", "stop_grace_period", "tmpfs", "user"),
    "volumes",
}
HEALTH = {"disable", "test", "interval", "timeout", "start_period", "retries"}
SECRET_WORD = re.compile(r"(?i)(password|secret|token|key)s?$")


@cache
def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


SERVICES = compose()["services"]
EACH = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def mounts(service: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return source, target and mode of each volume of a service."""
    return [(*line.split(":"), "rw")[:3] for line in service.get("volumes", [])]  # type: ignore[misc]


def environment_of(service: dict[str, Any]) -> dict[str, str]:
    return service.get("environment", {})


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give what secrets.sh makes beside a copy of the files that it reads."""
    root = tmp_path_factory.mktemp("checkout")
    server = "entropy_assets/stores/pool/server"
    for name in ("deploy/secrets.sh", f"{server}/users.conf"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes((PROJECT / name).read_bytes())
    subprocess.run(["sh", str(root / "deploy" / "secrets.sh")], check=True, capture_output=True, timeout=60)
    return root / "deploy" / "secrets"


def test_its_keys_are_those_of_the_specification() -> None:
    plain = {key for key in compose() if not key.startswith("x-")}
    assert plain == TOP
    assert {key for service in SERVICES.values() for key in service} <= KEYS
    assert {key for service in SERVICES.values() for key in service.get("healthcheck", {})} <= HEALTH


def test_it_has_every_part_that_production_needs() -> None:
    assert set(SERVICES) == {
        *("postgres", "objects", "bucket", "valkey", "broker", "keys"),
        *("code", "daemon", "webserver", "worker-1", "worker-2"),
        *("service", "proxy", "prometheus", "grafana"),
    }


def test_every_name_in_it_is_defined_and_every_definition_is_used() -> None:
    for kind in ("secrets", "networks"):
        used = {name for service in SERVICES.values() for name in service.get(kind, [])}
        assert used == set(compose()[kind])
    named = {source for service in SERVICES.values() for source, *_ in mounts(service) if source[0] not in "./"}
    assert named == set(compose()["volumes"])
    assert {name for service in SERVICES.values() for name in service.get("depends_on", {})} <= set(SERVICES)


@EACH
def test_what_it_waits_for_can_be_told(service: dict[str, Any]) -> None:
    for name, wanted in service.get("depends_on", {}).items():
        if wanted["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[name] or SERVICES[name]["image"] == f"{OURS}serve"


@EACH
def test_the_files_that_it_mounts_exist_and_are_read_only(service: dict[str, Any], secrets: Path) -> None:
    for source, _, mode in mounts(service):
        if not source.startswith("."):
            continue
        path = Path(source)
        found = secrets / path.name if path.parts[:1] == ("secrets",) else DEPLOY / path
        assert found.exists(), f"{source} is not there"
        assert mode == "ro"


def test_the_secrets_that_it_names_are_made(secrets: Path) -> None:
    named = {Path(secret["file"]).name for secret in compose()["secrets"].values()}
    named |= {Path(file).name for service in SERVICES.values() for file in service.get("env_file", [])}
    assert named <= {path.name for path in secrets.iterdir()}
    assert all(path.stat().st_size for path in secrets.iterdir())


def test_the_secrets_are_closed_to_others_and_made_once(secrets: Path) -> None:
    assert secrets.stat().st_mode & 0o777 == 0o700
    read_by_compose_alone = [*secrets.glob("*.env"), secrets / "operator"]
    assert len(read_by_compose_alone) == 5
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in read_by_compose_alone)
    again = subprocess.run(["sh", str(secrets.parent / "secrets.sh")], capture_output=True, text=True, check=False)
    assert again.returncode != 0
    assert "made once" in again.stderr


def test_each_role_gets_no_more_than_it_needs(secrets: Path) -> None:
    """The service can't push or write, a run can't lease, and daemon and webserver know neither pool nor ledger."""
    known = {path.stem: path.read_text() for path in secrets.glob("*.env")}
    assert "redis://service:" in known["service"]
    assert "redis://publisher:" not in known["service"]
    assert "redis://publisher:" in known["pipeline"]
    assert "redis://service:" not in known["pipeline"]
    assert "ENTROPY_" not in known["dagster"]
    for role in ("daemon", "webserver"):
        assert SERVICES[role]["env_file"] == ["./secrets/dagster.env"]
        assert {name for name in environment_of(SERVICES[role]) if "ENTROPY" in name} == {"ENTROPY_DAGSTER_URL"}
    may = {each["name"]: each["actions"] for each in json.loads((secrets / "objects.json").read_text())["identities"]}
    assert not any("Write" in action or "Admin" in action for action in may["service"])
    assert all(action.endswith(":entropy/logs/*") for action in may["logs"])
    assert may["dropper"] == ["Write:entropy/inbox/*"]
    keys = {re.search(r"AWS_ACCESS_KEY_ID=(.*)", text)[1] for text in known.values()}  # type: ignore[index]
    assert len(keys) == 4
    assert not any("dropper" in file for service in SERVICES.values() for file in service.get("env_file", []))


def test_who_reads_the_api_keys_can_not_write_to_the_queue(secrets: Path) -> None:
    """What stands in Celery's queue is run by a worker, with the passwords of the pipeline."""
    (kept,) = re.findall(r"^ENTROPY_KEYS=redis://:(\w+)@keys:", (secrets / "service.env").read_text(), re.MULTILINE)
    for role in ("dagster", "pipeline"):
        text = (secrets / f"{role}.env").read_text()
        assert len(re.findall(r"=redis://:\w+@broker:", text)) == 2
        assert kept not in text
    assert (secrets / "keys.conf").read_text() == f"requirepass {kept}\n"


def test_no_secret_stands_in_it() -> None:
    for service in SERVICES.values():
        told = {name for name in environment_of(service) if SECRET_WORD.search(name)}
        assert told == set()
    assert not re.search(r"://[^/\s:]*:[^@\s/]+@", (DEPLOY / "compose.yaml").read_text())
    ignored = (PROJECT / ".gitignore").read_text().splitlines()
    assert "/deploy/secrets/" in ignored


@EACH
def test_nothing_listens_off_loopback(service: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert bool(service.get("ports")) == ("outside" in service["networks"])


def test_its_networks_lead_nowhere_but_for_the_one_of_its_ports() -> None:
    open_ones = {name for name, network in compose()["networks"].items() if network != {"internal": True}}
    assert open_ones == {"outside"}


def test_nobody_but_the_pipeline_reaches_the_code_server() -> None:
    """Who reaches it has the passwords of the pipeline: it runs what it is told, and asks for no login."""
    beside = {name: service["image"] for name, service in SERVICES.items() if "pipeline" in service["networks"]}
    assert beside == dict.fromkeys(("code", "daemon", "webserver", "worker-1", "worker-2"), f"{OURS}pipeline")
    code = SERVICES["code"]
    (alias,) = code["networks"]["pipeline"]["aliases"]
    assert all(not network for name, network in code["networks"].items() if name != "pipeline")
    for command in (code["command"], code["healthcheck"]["test"]):
        assert command[command.index("--host") + 1] == alias


@pytest.mark.parametrize("name", ["service", "proxy", "prometheus", "grafana"])
def test_who_faces_others_shares_no_network_with_what_runs_code(name: str) -> None:
    for inner in ("code", "daemon", "worker-1", "worker-2", "broker"):
        assert set(SERVICES[name]["networks"]).isdisjoint(SERVICES[inner]["networks"]), inner
    assert name == "service" or {"stores", "serving"}.isdisjoint(SERVICES[name]["networks"])
    assert (name == "proxy") == ("pages" in SERVICES[name]["networks"])


def test_what_asks_nobody_who_he_is_listens_on_loopback() -> None:
    """SeaweedFS has a filer, a master and a volume server beside S3, none of which asks for a key."""
    told = dict(option.split("=") for option in SERVICES["objects"]["command"] if "=" in option)
    assert (told["-ip"], told["-ip.bind"]) == ("127.0.0.1", "127.0.0.1")
    assert "-s3.ip.bind" in told  # S3 asks for a key


@EACH
def test_it_reaches_what_it_waits_for(service: dict[str, Any]) -> None:
    for name in service.get("depends_on", {}):
        if SERVICES[name].get("restart") != "no":
            assert set(service["networks"]) & set(SERVICES[name]["networks"]), name


@EACH
def test_it_is_hardened(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@EACH
def test_its_image_is_built_here_or_has_a_version(service: dict[str, Any]) -> None:
    image = service["image"]
    if image.startswith(OURS):
        targets = re.findall(r"^FROM \S+ AS (\w+)$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)
        assert image.removeprefix(OURS) in targets
    else:
        name, _, tag = image.rpartition(":")
        assert re.search(r"\d", tag), f"{name} has no version"
        assert name.count("/") == 2, "the registry is named, so nobody's search order decides"


@EACH
def test_its_settings_are_settings(service: dict[str, Any]) -> None:
    assert unknown_settings(" ".join(environment_of(service))) == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    {tuple(each["command"]): None for each in SERVICES.values() if each["image"].startswith(OURS)},
    ids=lambda command: command[0],
)
def test_its_commands_are_understood_by_their_programs(command: tuple[str, ...]) -> None:
    refuse_unparsed(["entropy-assets", *command] if command[0] == "serve" else command)


def test_the_settings_that_the_secrets_name_are_settings(secrets: Path) -> None:
    text = "\n".join(path.read_text() for path in secrets.glob("*.env"))
    assert unknown_settings(text) == set()


@pytest.mark.slow
def test_the_commands_of_the_image_are_commands() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    for command in re.findall(r"^\s*CMD (\[.*\])$", text, re.MULTILINE):
        parts = yaml.safe_load(command)
        if parts[0] != "/usr/bin/python3.11":
            refuse_unparsed(parts if parts[0] != "serve" else ["entropy-assets", *parts])
    assert unknown_settings(text) == set()


def test_its_dagster_has_the_projects_own_rules_on_other_engines() -> None:
    own = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    deployed = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    assert own.items() <= deployed.items()
    assert set(deployed) - set(own) == {"storage", "run_launcher", "compute_logs"}


@pytest.mark.slow
def test_dagster_reads_its_configuration(secrets: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every class that it names is imported, and its configuration held to the class's schema."""
    for line in (secrets / "dagster.env").read_text().splitlines():
        monkeypatch.setenv(*line.split("=", 1))
    (tmp_path / "dagster.yaml").write_bytes((DEPLOY / "dagster.yaml").read_bytes())
    reference = InstanceRef.from_dir(str(tmp_path))
    assert reference.run_launcher_data is not None
    assert reference.run_launcher_data.rehydrate().broker.startswith("redis://:")  # type: ignore[attr-defined]
    assert reference.compute_logs_data.rehydrate()._s3_bucket == "entropy"  # type: ignore[attr-defined]


def test_the_workspace_names_the_code_server() -> None:
    (location,) = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())["load_from"]
    server = location["grpc_server"]
    (code,) = (each for each in SERVICES.values() if server["host"] in str(each["networks"]))
    command = code["command"]
    assert command[command.index("--port") + 1] == str(server["port"])
