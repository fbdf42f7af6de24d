"""The images run as a stranger would run them: uid 10001, a read-only root file system, one volume (`make image`)."""

import json
import runpy
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.deploy.containers import UID, Container, needs_image, size_of, unpacked
from entropy_assets_tests.deploy.pins import pins_of
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.ports import free_port

pytestmark = pytest.mark.slow
MOST_MEGABYTES = {"serve": 250, "pipeline": 600, "kubernetes": 650}


@pytest.fixture(scope="module", params=["serve", "pipeline", "kubernetes"])
def target(request: pytest.FixtureRequest) -> str:
    needs_image(request.param)
    return str(request.param)


@pytest.fixture(scope="module")
def container(target: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    with unpacked(needs_image(target), tmp_path_factory.mktemp(target) / "volume") as one:
        yield one


def output_of(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def python_of(container: Container) -> str:
    return "/usr/bin/python3.11" if "/usr/bin/python3.11" in (container.config["Entrypoint"] or ()) else "python3"


def test_it_is_small(target: str, container: Container) -> None:
    assert size_of(f"localhost/entropy-assets-{target}") < MOST_MEGABYTES[target]


def test_it_runs_as_a_user_of_its_own_who_can_write_to_its_volume_alone(container: Container) -> None:
    assert container.config["User"] == f"{UID}:{UID}"
    look = (
        "import os, pathlib\n"
        "def writable(path):\n"
        "    try: (pathlib.Path(path) / 'probe').write_text('x')\n"
        "    except OSError: return False\n"
        "    return True\n"
        "places = ['/', '/etc', '/opt/entropy-assets', '/var', '/usr/lib', '/tmp', '/var/lib/entropy-assets']\n"
        "print(os.getuid(), os.getgid(), [place for place in places if writable(place)])"
    )
    done = output_of(container.command(python_of(container), "-c", look))
    assert done.stdout.split(maxsplit=2) == [str(UID), str(UID), "['/tmp', '/var/lib/entropy-assets']\n"], done.stderr


def test_its_bill_of_materials_is_what_its_lock_names(target: str, container: Container) -> None:
    """Every component has its version from the lock, and none is missing but what is taken out of the image again."""
    folder = container.root / "opt" / "entropy-assets"
    bill = json.loads((folder / "sbom.cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    listed = {component["purl"].removeprefix("pkg:pypi/") for component in bill["components"]}
    pinned = {f"{name}@{version}" for name, version in pins_of(PROJECT / "deploy" / "locks" / f"{target}.lock").items()}
    assert {line for line in listed - pinned if not line.startswith("entropy-assets@")} == set()
    taken_out = set(runpy.run_path(str(PROJECT / "deploy" / "slim.py"))["WITH_THEM"])
    assert {line.partition("@")[0] for line in pinned - listed} <= taken_out
    assert {line["ref"] for line in bill["dependencies"]} == {component["purl"] for component in bill["components"]}
    assert all(component.get("licenses") for component in bill["components"] if component["name"] == "numpy")


def test_it_holds_no_compiler_tests_keys_or_checkout(container: Container) -> None:
    names = {path.name for path in (container.root / "opt").rglob("*") if path.is_dir()}
    assert names.isdisjoint({"entropy_assets_tests", ".git", "llvmlite"})
    assert not list(container.root.glob("root/.cache/*"))
    assert not list(container.root.glob("wheels/*"))


def test_process_makes_blocks(container: Container, target: str) -> None:
    if target == "serve":
        pytest.skip("the image of the service makes no blocks: it reads no images")
    samples = "/opt/entropy-assets/lib/python3.11/site-packages/entropy_assets/samples"
    command = [
        "entropy-assets",
        "process",
        samples,
        "--source",
        "samples",
        "--json",
        "--out",
        "/var/lib/entropy-assets/h",
    ]
    done = output_of(container.command(*command))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert sum(batch["passed"] for batch in report["batches"]) > 20
    kept = container.volume / "h" / "ledger.sqlite"
    assert (kept.stat().st_uid, kept.stat().st_mode & 0o777) == (UID, 0o600)


def test_serve_answers_bytes_from_a_pool_and_is_healthy(container: Container, target: str, tmp_path: Path) -> None:
    port, pool_port = free_port(), free_port()
    server = EmbeddedServer(overrides={"port": str(pool_port), "bind": "127.0.0.1"}, data_dir=tmp_path).start()
    url = f"redis://127.0.0.1:{pool_port}"
    pool = PoolClient.from_url(url)
    try:
        pool.push(blocks_for_both(40))
        serve = ["serve", "--host", "127.0.0.1", "--port", str(port)]
        environment = {"ENTROPY_REDIS_URL": url}
        command = (
            container.as_shipped(*serve, **environment)
            if target == "serve"
            else container.command("entropy-assets", *serve, **environment)
        )
        with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                drawn = [answer_of(port, process, tmp_path / "log") for _ in range(8)]
                if target == "serve":
                    assert_health_check_follows(container, port)
            finally:
                process.terminate()
                process.wait(60)
        assert all(len(answer) == 1024 for answer in drawn)
        assert len(set(drawn)) == 8
        assert process.returncode in (0, -15), (tmp_path / "log").read_text()
    finally:
        pool.close()
        server.stop()


def answer_of(port: int, process: "subprocess.Popen[bytes]", log: Path) -> bytes:
    """Return the answer to one draw; the first may have to wait for the start."""
    deadline = time.monotonic() + 120
    while True:
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/random/1024", timeout=10)
            if answer.status_code == 200:
                return answer.content
        except httpx.TransportError:
            pass
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


def assert_health_check_follows(container: Container, port: int) -> None:
    """The health check asks port 8000; the same command for another port says yes, and no where nobody listens."""
    check = container.health_check()
    assert output_of([part.replace(":8000/", f":{port}/") for part in check]).returncode == 0
    assert output_of([part.replace(":8000/", f":{free_port()}/") for part in check]).returncode != 0


def test_the_code_server_starts_as_shipped_and_its_health_check_follows(
    container: Container, target: str, tmp_path: Path
) -> None:
    if target == "serve":
        pytest.skip("the image of the service has no Dagster")
    port = free_port()
    command = [part.replace("4000", str(port)) for part in container.as_shipped(DAGSTER_HOME="/tmp")]
    check = [part.replace("4000", str(port)) for part in container.health_check()]
    log = tmp_path / "log"
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            deadline = time.monotonic() + 180
            while output_of(check).returncode != 0:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
        finally:
            process.terminate()
            process.wait(60)
