"""Take out of an image what none of its roles can need: ``python slim.py ROLE``, by the interpreter of the image.

First each role runs once, which leaves the bytecode of what it imports; a read-only image can make none later. Then go
folders of tests that nothing imported, parts of large packages that nothing imported, maps of scripts, the models of
Amazon's services that Dagster does not use, tables of the Earth's rotation, fonts that no plot has, and the debug
symbols of extensions. Afterwards the roles run again.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from importlib.metadata import Distribution
from pathlib import Path
from typing import Final

PACKAGES: Final = Path(sysconfig.get_path("purelib"))
SERVICE: Final = """
import entropy_assets.cli.commands, entropy_assets.cli.serve, entropy_assets.cli.keys, entropy_assets.cli.draw
import entropy_assets.serving.http.app, entropy_assets.serving.server.workers, entropy_assets.stores.pool.embedded
import entropy_assets.provenance.trail
import encodings.idna, uvloop, httptools, hiredis, obstore.store, psycopg, sqlalchemy.dialects.postgresql.psycopg
import rich.console, rich.table, uvicorn.logging, websockets.asyncio.server
"""
PIPELINE: Final = """
import entropy_assets.definitions, entropy_assets.supervisor.webserver, entropy_assets.supervisor.daemon
import entropy_assets.provenance.rewalk, entropy_assets.provenance.outsider, entropy_assets.cli.reports
import dagster._cli, dagster._daemon.cli, dagster._grpc.server, dagster._cli.api, dagster_webserver.cli
import dagster_postgres, dagster_celery.cli, dagster_celery.launcher, dagster_celery.tasks, dagster_aws.s3, psycopg2
import celery.bin.celery, celery.concurrency.prefork, celery.apps.worker, kombu.transport.redis, celery.backends.redis
import rawpy, matplotlib.backends.backend_agg, matplotlib.pyplot, pandas, astropy.io.fits
import scipy.fft, scipy.optimize, scipy.special
import boto3
boto3.client("s3", region_name="us-east-1")
boto3.client("sts", region_name="us-east-1")
"""
KUBERNETES: Final = "import dagster_k8s.launcher, kubernetes.client, kubernetes.config\n"
ROLES: Final = {"serve": SERVICE, "pipeline": SERVICE + PIPELINE, "kubernetes": SERVICE + PIPELINE + KUBERNETES}
PROCESSED: Final = ("galileo_ssi_blacksky_raw8.png", "saao_1m_ccd_raw16_a.fits", "earth_dark_2048.jpg")
UNUSED: Final = (
    "dagster_webserver/**/*.map",
    "dagster_webserver/webapp/build/*.mp4",
    "matplotlib/mpl-data/sample_data/**/*.*",
    "astropy_iers_data/data/*",  # for the sky's coordinates, which no pixel has here
    *(f"**/*.{ending}" for ending in ("c", "h", "pxd", "pyi", "pyx")),
)
"""Files that no process opens."""
IN_PARTS: Final = ("astropy", "fontTools", "kubernetes", "scipy")
"""Packages of which each folder is there for itself; those go that no role has loaded anything of.

Of SciPy special, fft, linalg and optimize stay, of Astropy what opens a FITS file, of fontTools what Matplotlib loads.
Kubernetes has its client a second time, for asyncio.
"""
WITH_THEM: Final = (
    *("aiohttp", "aiohappyeyeballs", "aiosignal", "frozenlist", "multidict", "propcache", "yarl"),  # kubernetes.aio
    "pyerfa",  # astropy.time and astropy.coordinates
)
"""Distributions that only those folders need."""
AMAZON_KEEPS: Final = {"s3", "sts", "sso", "sso-oidc"}
"""Folders of botocore's models: of the store, and of the ways to a credential."""


def run_roles(role: str) -> None:
    """Run what the roles of an image run; all of it must succeed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as home:
        environment |= {"HOME": home, "ENTROPY_HOME": home, "DAGSTER_HOME": home, "MPLBACKEND": "agg"}
        subprocess.run([sys.executable, "-c", ROLES[role]], env=environment, cwd=home, check=True)
        if role != "serve":
            samples = [str(PACKAGES / "entropy_assets" / "samples" / name) for name in PROCESSED]
            command = [sys.executable, "-m", "entropy_assets.cli", "process", *samples, "--source", "samples"]
            subprocess.run(command, env=environment, cwd=home, check=True)


def take_out(role: str) -> None:
    """Remove what none of the roles has touched and none can need."""
    for folder in sorted(PACKAGES.rglob("*")):
        if folder.name in ("tests", "test") and folder.is_dir() and not is_loaded(folder):
            shutil.rmtree(folder)
    for pattern in UNUSED:
        for path in PACKAGES.glob(pattern):
            path.unlink()
    for path in PACKAGES.glob("matplotlib/mpl-data/fonts/*/*"):
        if not path.name.startswith("DejaVuSans"):
            path.unlink()
    take_out_parts()
    if role == "serve":
        shutil.rmtree(PACKAGES / "entropy_assets" / "samples")
        take_out_libraries_of_scipy()


def is_loaded(folder: Path) -> bool:
    """Tell whether a role has loaded anything of a folder."""
    return any(folder.rglob("*.pyc"))


def take_out_parts() -> None:
    """Leave of large packages what a role has loaded, and of botocore the models of the store."""
    for package in IN_PARTS:
        for folder in (PACKAGES / package).glob("*/"):
            if not is_loaded(folder):
                shutil.rmtree(folder)
    for folder in (PACKAGES / "botocore" / "data").glob("*/"):
        if folder.name not in AMAZON_KEEPS:
            shutil.rmtree(folder)
    for distribution in list(Distribution.discover(path=[str(PACKAGES)])):
        if distribution.name in WITH_THEM:
            take_out_distribution(distribution)


def take_out_distribution(distribution: Distribution) -> None:
    """Remove all of a distribution, so that nothing tells that it is there; it must not be in use."""
    folders = {PACKAGES / path.parts[0] for path in distribution.files or () if path.parts[0] != ".."}
    if any(map(is_loaded, folders)):
        raise SystemExit(f"{distribution.name} is in use, and can't be taken out")
    for folder in folders:
        shutil.rmtree(folder)


def take_out_libraries_of_scipy() -> None:
    """Leave those libraries that the service needs, to tell where a block comes from: none of LAPACK."""
    extensions = [str(path) for path in (PACKAGES / "scipy").rglob("*.so")]
    linked = subprocess.run(["readelf", "--dynamic", *extensions], check=True, capture_output=True, text=True).stdout
    for library in (PACKAGES / "scipy.libs").iterdir():
        if library.name not in linked:
            library.unlink()


def strip_symbols() -> None:
    """Strip the extensions. Not the libraries in ``*.libs``: patchelf has moved those, and strip breaks them."""
    for path in PACKAGES.rglob("*.so"):
        if not path.parent.name.endswith(".libs"):
            subprocess.run(["strip", "--strip-unneeded", str(path)], check=True)


if __name__ == "__main__":
    run_roles(sys.argv[1])
    take_out(sys.argv[1])
    strip_symbols()
    run_roles(sys.argv[1])
