"""A Ceph with one monitor, one store in memory and one S3 gateway, for a moment."""

import contextlib
import http.client
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from entropy_assets_tests.ports import free_port
from entropy_assets_tests.stores.blobs.servers import BUCKET, CREDENTIALS

PROGRAMS = ("monmaptool", "ceph-mon", "ceph", "ceph-osd", "radosgw", "radosgw-admin")
START_S = 120.0
CONFIGURATION = """
[global]
fsid = {fsid}
mon host = v1:127.0.0.1:{monitor}
ms bind msgr2 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
osd objectstore = memstore
memstore device bytes = 1073741824
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon data avail crit = 0
mon max pg per osd = 1000
rgw frontends = beast endpoint=127.0.0.1:{gateway}
rgw run sync thread = false
run dir = {folder}
crash dir = {folder}
admin socket = {folder}/$name.asok
log file = {folder}/$name.log
mon data = {folder}/mon
osd data = {folder}/osd
rgw data = {folder}/rgw
"""


class DoesNotStartError(Exception):
    """The Ceph of this machine does not come up: that says nothing of who would be its client."""


@contextlib.contextmanager
def ceph_gateway(folder: Path) -> Iterator[str]:
    """Run it, make user and bucket, and give the address of the gateway.

    A fresh monitor refuses one session in three by mistake (EPERM): a server that ended by that is started again, as
    systemd does where people run it, and a command is asked again.

    Raises
    ------
    DoesNotStartError
        If its own programs have not brought it up after `START_S` seconds each, with the end of their logs.
    """
    fsid, monitor, gateway = str(uuid4()), free_port(), free_port()
    for name in ("mon", "osd", "rgw"):
        (folder / name).mkdir()
    configuration = folder / "ceph.conf"
    configuration.write_text(CONFIGURATION.format(fsid=fsid, monitor=monitor, gateway=gateway, folder=folder))
    environment = {**os.environ, "CEPH_CONF": str(configuration)}
    with contextlib.ExitStack() as stack:
        servers: list[subprocess.Popen[bytes]] = []

        def start(*command: str) -> None:
            quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            server = stack.enter_context(subprocess.Popen([*command, "-f"], env=environment, **quiet))
            stack.callback(server.kill)
            servers.append(server)

        def restart_ended() -> None:
            for server in [server for server in servers if server.poll() is not None]:
                servers.remove(server)
                start(*server.args[:-1])

        def run(*command: str) -> None:
            until = time.monotonic() + START_S
            while True:
                asked = subprocess.Popen(
                    command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
                )
                while asked.poll() is None and time.monotonic() < until:
                    restart_ended()
                    time.sleep(0.1)
                asked.kill()
                told = asked.communicate()[1].strip()
                if asked.returncode == 0:
                    return
                if time.monotonic() > until or "EPERM" not in told:
                    logs = "; ".join(f"{log.name}: {last_line(log)}" for log in sorted(folder.glob("*.log")))
                    raise DoesNotStartError(f"{command[0]} ended with {asked.returncode} ({told}). {logs}")

        run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"v1:127.0.0.1:{monitor}", str(folder / "map"))
        run("ceph-mon", "-i", "a", "--mkfs", "--monmap", str(folder / "map"))
        start("ceph-mon", "-i", "a")
        run("ceph", "osd", "create")
        run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", fsid, "--no-mon-config")
        start("ceph-osd", "-i", "0")
        keys = (CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
        run("radosgw-admin", "user", "create", "--uid=tests", "--display-name=tests", *_flags(*keys))
        start("radosgw", "-n", "client.rgw")  # only now: of two who make its pools at once one may fail
        _await(gateway)
        make_signed_bucket(f"http://127.0.0.1:{gateway}")
        yield f"http://127.0.0.1:{gateway}"


def last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return lines[-1] if lines else "empty"


def _flags(key: str, secret: str) -> tuple[str, str]:
    return f"--access-key={key}", f"--secret-key={secret}"


def _await(port: int) -> None:
    """Wait until the gateway answers."""
    until = time.monotonic() + START_S
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/")
            assert connection.getresponse().status == 200
        except OSError:
            if time.monotonic() > until:
                raise DoesNotStartError("the gateway does not answer") from None
            time.sleep(0.1)
        else:
            return
        finally:
            connection.close()


def make_signed_bucket(address: str) -> None:
    """Make the bucket of the tests; who makes one has to sign."""
    import boto3

    boto3.client(
        "s3",
        endpoint_url=address,
        region_name=CREDENTIALS["AWS_REGION"],
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    ).create_bucket(Bucket=BUCKET)
