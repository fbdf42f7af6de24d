"""Images that `make image` built, run as a container runtime would: another user, nothing
writable but a volume and /tmp.

A runtime of containers needs more of the kernel than a test may have, so the root file system is mounted read-only in a
mount namespace of its own, and a process is started in it by chroot, as the image's user with the image's environment.
The network is that of the machine.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

UID = 10001
_START = """
mkdir -p "$1/proc" "$1/dev" "$1/tmp"; mount --bind "$1" "$1"; mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"; mount --bind "$2" "$1/var/lib/entropy-assets"
mount -o remount,bind,ro "$1"
root=$1; shift 2; exec /usr/sbin/chroot --userspec=10001:10001 "$root" "$@"
"""


def needs_image(target: str) -> str:
    """Return the name of an image that `make image` has built; else skip with the reason."""
    name = f"localhost/entropy-assets-{target}"
    missing = [program for program in ("buildah", "unshare") if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"images are run by root with buildah and unshare; missing: {', '.join(missing) or 'root'}")
    if not has_image(name):
        pytest.skip(f"there is no image {name}: 'make image' builds it, in some minutes")
    return name


def buildah(*arguments: str) -> str:
    """Return what buildah says."""
    done = subprocess.run(["buildah", *arguments], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def has_image(name: str) -> bool:
    """Tell whether this machine has an image."""
    done = subprocess.run(["buildah", "inspect", "--type", "image", name], capture_output=True, check=False)
    return done.returncode == 0


@dataclass(frozen=True)
class Container:
    """One image unpacked, with its volume.

    Attributes
    ----------
    root
        Its file system.
    volume
        What is mounted over ``/var/lib/entropy-assets``.
    config
        The configuration of the image, as Docker writes it.
    """

    root: Path
    volume: Path
    config: Mapping[str, Any]

    def command(self, *arguments: str, **environment: str) -> list[str]:
        """Return the command that runs `arguments` inside, read-only and as the image's user."""
        return self._inside(arguments, environment)

    def as_shipped(self, *arguments: str, **environment: str) -> list[str]:
        """Return the command that the image runs, with `arguments` in place of its own ones."""
        command = [*(self.config["Entrypoint"] or ()), *(arguments or self.config["Cmd"])]
        return self._inside(command, environment)

    def health_check(self) -> list[str]:
        """Return the command of its health check."""
        kind, *command = self.config["Healthcheck"]["Test"]
        assert kind == "CMD"
        return self._inside(command, {})

    def _inside(self, command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
        own = dict(line.split("=", 1) for line in self.config["Env"])
        given = [f"{name}={value}" for name, value in {**own, **environment}.items()]
        start = ["unshare", "--mount", "sh", "-euc", _START, "sh"]
        return ["env", "-i", *given, *start, str(self.root), str(self.volume), *command]


@contextmanager
def unpacked(image: str, volume: Path) -> Iterator[Container]:
    """Unpack `image` while the ``with`` statement lasts."""
    volume.mkdir()
    os.chown(volume, UID, UID)
    volume.chmod(0o700)
    name = buildah("from", "--pull-never", image)
    try:
        root = buildah("mount", name)
        config = json.loads(buildah("inspect", "--type", "image", image))["Docker"]["config"]
        yield Container(Path(root), volume, config)
    finally:
        buildah("rm", name)


def size_of(image: str) -> float:
    """Return the size of an image, all its layers unpacked, megabytes."""
    listed = json.loads(buildah("images", "--json", image))
    text, unit = str(listed[0]["size"]).split()
    return float(text) * {"KB": 1e-3, "MB": 1.0, "GB": 1e3}[unit.upper()]
