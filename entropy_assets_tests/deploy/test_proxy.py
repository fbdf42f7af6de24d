"""The proxy of compose.yaml, as a real nginx before a real service and Dagster's real pages: TLS, and a login."""

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from getpass import getuser
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.deploy.test_compose import secrets
from entropy_assets_tests.monitoring.conftest import needs
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.ports import free_port
from entropy_assets_tests.serving.serve_process import ServeProcess

pytestmark = pytest.mark.e2e
__all__ = ["secrets"]
JSON = {"content-type": "application/json"}
QUERY = {"query": "{ version }"}


class Proxy:
    """nginx with the project's configuration, on other ports and before what listens at the given ones."""

    def __init__(self, folder: Path, secrets: Path, service: int, webserver: int) -> None:
        self.ports = {"8443": free_port(), "3443": free_port()}
        text = (PROJECT / "deploy" / "nginx" / "nginx.conf").read_text()
        text = re.sub(r"/tmp/(\w+)", lambda found: str(folder / found[1]), text)
        text = text.replace("server service:8000", f"server 127.0.0.1:{service}")
        text = text.replace("server webserver:3000", f"server 127.0.0.1:{webserver}")
        text = text.replace("/run/secrets/tls_certificate", str(secrets / "tls_certificate.pem"))
        text = text.replace("/run/secrets/tls_key", str(secrets / "tls_key.pem"))
        text = text.replace("/run/secrets/htpasswd", str(secrets / "htpasswd"))
        for port, other in self.ports.items():
            text = text.replace(f"listen {port} ssl", f"listen 127.0.0.1:{other} ssl")
        self.config = folder / "nginx.conf"
        self.config.write_text(text)
        self.log = folder / "nginx.log"
        self.trusted = trusted = ssl.create_default_context(cafile=str(secrets / "tls_certificate.pem"))
        self.service = httpx.Client(base_url=f"https://localhost:{self.ports['8443']}", verify=trusted, timeout=20)
        self.dagster = httpx.Client(base_url=f"https://localhost:{self.ports['3443']}", verify=trusted, timeout=60)

    def __enter__(self) -> "Proxy":
        binary = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        assert binary is not None
        with self.log.open("wb") as log:
            command = [binary, "-c", str(self.config), "-g", f"daemon off; user {getuser()};"]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        self.service.close()
        self.dagster.close()
        self.process.terminate()
        self.process.wait(20)


def until_it_answers(client: httpx.Client, path: str, log: Path, **headers: str) -> None:
    deadline = time.monotonic() + 90
    while True:
        try:
            if client.get(path, headers=headers).is_success:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, secrets: Path) -> Iterator[Proxy]:
    if shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        needs("nginx")
    folder = tmp_path_factory.mktemp("proxy")
    folder.chmod(0o755)
    with ExitStack() as stack:
        pool_port = free_port()
        server = EmbeddedServer(overrides={"port": str(pool_port), "bind": "127.0.0.1"}, data_dir=folder).start()
        stack.callback(server.stop)
        url = f"redis://127.0.0.1:{pool_port}"
        pool = PoolClient.from_url(url)
        stack.callback(pool.close)
        pool.push(blocks_for_both(60))
        service = stack.enter_context(ServeProcess(url, folder, ENTROPY_HTTP_HOSTS="service"))
        port = free_port()
        one = stack.enter_context(Proxy(folder, secrets, service.port, port))
        stack.callback(stop, webserver := start_webserver(folder, port, one.ports["3443"]))
        until_it_answers(one.service, "/livez", one.log)
        until_it_answers(one.dagster, "/server_info", folder / "webserver.log", **login(secrets))
        assert webserver.poll() is None
        yield one


def start_webserver(folder: Path, port: int, seen_at: int) -> "subprocess.Popen[bytes]":
    """Start Dagster's pages behind page_guard, as compose.yaml does, over a workspace of its own."""
    home = folder / "dagster"
    home.mkdir()
    (home / "workspace.yaml").write_text("load_from: []\n")
    environment = {**os.environ, "DAGSTER_HOME": str(home), "ENTROPY_DAGSTER_URL": f"https://localhost:{seen_at}"}
    command = [sys.executable, "-W", "ignore", "-m", "entropy_assets.supervisor.webserver"]
    command += ["--workspace", str(home / "workspace.yaml"), "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "webserver.log").open("wb") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait(30)


def login(secrets: Path) -> dict[str, str]:
    password = (secrets / "operator").read_text().strip()
    return {"authorization": "Basic " + b64encode(f"operator:{password}".encode()).decode()}


def test_bytes_come_through_by_tls(proxy: Proxy) -> None:
    answers = [proxy.service.get("/random/256", params={"class": "public"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.content for answer in answers}) == 4
    assert all(answer.headers["cache-control"] == "no-store" for answer in answers)
    assert "strict-transport-security" in answers[0].headers


def test_nobody_is_answered_in_clear(proxy: Proxy) -> None:
    answer = httpx.get(f"http://localhost:{proxy.ports['8443']}/random/16", timeout=10)
    assert answer.status_code == 400


def test_metrics_are_not_for_everybody(proxy: Proxy) -> None:
    assert proxy.service.get("/metrics").status_code == 404
    assert proxy.service.get("/health").status_code == 200


@pytest.mark.parametrize("path", ["/", "/random/16", "/stream", "/health", "/stats"])
def test_another_name_for_the_service_is_refused(proxy: Proxy, path: str) -> None:
    """The proxy passes Host on, so the service still tells its own names from those of another site."""
    assert proxy.service.get(path, headers={"host": "evil.example"}).status_code == 421


def test_its_own_page_may_open_a_stream(proxy: Proxy) -> None:
    place = f"localhost:{proxy.ports['8443']}"
    own = Origin(f"https://{place}")
    with connect(f"wss://{place}/stream?class=public", ssl=proxy.trusted, origin=own) as stream:
        stream.send('{"credit": 256}')
        note = json.loads(stream.recv(timeout=20))
        assert len(stream.recv(timeout=20)) == note["n"] > 0


def test_a_page_of_another_site_may_not(proxy: Proxy) -> None:
    """Nor may one of the same name on another port, which is another origin."""
    place = f"localhost:{proxy.ports['8443']}"
    for origin in ("https://evil.example", "https://localhost", f"https://localhost:{proxy.ports['3443']}"):
        with pytest.raises(InvalidStatus) as refused:
            connect(f"wss://{place}/stream", ssl=proxy.trusted, origin=Origin(origin))
        assert refused.value.response.status_code == 403


def test_dagster_asks_for_a_password_on_every_path(proxy: Proxy) -> None:
    for path in ("/", "/graphql", "/server_info", "/report_asset_materialization/x"):
        assert proxy.dagster.get(path).status_code == 401, path


def test_with_it_the_pages_answer_queries(proxy: Proxy, secrets: Path) -> None:
    own = {"origin": f"https://localhost:{proxy.ports['3443']}", **JSON, **login(secrets)}
    answer = proxy.dagster.post("/graphql", json=QUERY, headers=own)
    assert answer.status_code == 200
    assert answer.json()["data"]["version"]


def test_a_page_of_another_site_that_lends_the_password_is_refused(proxy: Proxy, secrets: Path) -> None:
    """A browser sends what it knows of a password with every request, whoever's page makes it."""
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site", **JSON, **login(secrets)}
    assert proxy.dagster.post("/graphql", json=QUERY, headers=foreign).status_code == 403
    form = {"content-type": "text/plain", **login(secrets)}
    assert proxy.dagster.post("/graphql", content="{}", headers=form).status_code == 415


def test_only_dagsters_own_upgrade_is_passed_on(proxy: Proxy, secrets: Path) -> None:
    upgrade = {
        **{"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"},
        **{"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-protocol": "graphql-ws"},
        "origin": f"https://localhost:{proxy.ports['3443']}",
        **login(secrets),
    }
    assert proxy.dagster.get("/server_info", headers=upgrade).status_code == 200
    foreign = {**upgrade, "origin": "https://evil.example"}
    assert proxy.dagster.get("/graphql", headers=foreign).status_code in (400, 403)


def test_prometheus_reads_its_configuration_and_the_projects_rules(tmp_path: Path) -> None:
    program = needs("promtool")
    shutil.copy(PROJECT / "deploy" / "monitoring" / "prometheus.yml", tmp_path)
    shutil.copy(PROJECT / "monitoring" / "alerts.yml", tmp_path)
    done = subprocess.run(
        [program, "check", "config", str(tmp_path / "prometheus.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "SUCCESS" in done.stdout
