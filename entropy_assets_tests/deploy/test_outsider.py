"""An outsider's audit through the deployment as it stands: by TLS, without a key, with nothing but the images."""

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.deploy.test_compose import SERVICES, environment_of, secrets
from entropy_assets_tests.deploy.test_helm import rendered
from entropy_assets_tests.deploy.test_proxy import Proxy, until_it_answers
from entropy_assets_tests.monitoring.conftest import needs
from entropy_assets_tests.ports import free_port
from entropy_assets_tests.serving.serve_process import ServeProcess
from entropy_assets_tests.stages.batches_made import Place, frame

__all__ = ["secrets"]
ANONYMOUS = "ENTROPY_ANONYMOUS_SCOPES"


def scopes_of_compose() -> str:
    return environment_of(SERVICES["service"])[ANONYMOUS]


def test_without_a_key_anybody_may_audit_and_nobody_draws() -> None:
    assert set(scopes_of_compose().split(",")) == {"provenance", "stats"}


def test_the_chart_says_the_same() -> None:
    assert rendered()["ConfigMap"]["data"][ANONYMOUS] == scopes_of_compose()


@pytest.mark.e2e
def test_an_outsider_makes_a_block_again_by_what_the_proxy_lets_through(tmp_path: Path, secrets: Path) -> None:
    if shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        needs("nginx")
    place = Place(tmp_path / "home")
    block_id = place.in_ledger(place.validated([("a.fits", frame(1)), ("b.fits", frame(2))]))[0]
    images = shutil.copytree(place.images().root, tmp_path / "fetched")
    tmp_path.chmod(0o755)
    with ExitStack() as stack:
        pool = EmbeddedServer(data_dir=tmp_path).start()
        stack.callback(pool.stop)
        own = {ANONYMOUS: scopes_of_compose(), "ENTROPY_HTTP_HOSTS": "service"}
        service = stack.enter_context(ServeProcess(pool.url, tmp_path, **own))
        proxy = stack.enter_context(Proxy(tmp_path, secrets, service.port, free_port()))
        until_it_answers(proxy.service, "/livez", proxy.log)
        assert proxy.service.get("/random/16").status_code == 401
        assert proxy.service.get("/batches").status_code == 200
        command = ["audit", block_id, "--url", str(proxy.service.base_url), "--images", str(images)]
        done = subprocess.run(
            [sys.executable, "-m", "entropy_assets.cli", *command],
            env={**os.environ, "SSL_CERT_FILE": str(secrets / "tls_certificate.pem")},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert f"block {block_id} was made again from 2 images" in done.stdout
