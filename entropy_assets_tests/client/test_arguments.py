"""What a client refuses before it asks anybody, and what importing it costs."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from entropy_assets.client import RandomClient
from entropy_assets.errors import ClientMisused

NOWHERE = "http://127.0.0.1:1"


@pytest.mark.parametrize("n", [-1, 1.0, "8", True, None])
def test_what_is_no_number_of_bytes_is_refused(n: Any) -> None:
    with RandomClient([NOWHERE]) as client, pytest.raises(ClientMisused):
        client.random_bytes(n)


@pytest.mark.parametrize(
    "url",
    [
        "", "127.0.0.1:8000", "ftp://h", "http://", "http://user:hunter2@h", "http://hunter2@h", "http://h?hunter2",
        "http://h#hunter2", "http://h:hunter2", "http://[hunter2", "http://h\r\nhunter2: 1", "http://h /hunter2",
        "http://h\u00e9/hunter2", "http://a..hunter2", "http://h:99999",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ClientMisused, match="endpoint 1 ") as caught:
        RandomClient(["https://good.example", url])
    assert "hunter2" not in f"{caught.value!r} {caught.value.data}"


def test_port_0_is_no_other_port() -> None:
    assert repr(RandomClient(["http://127.0.0.1:0"])) == "RandomClient(['http://127.0.0.1:0'])"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8", "http://[::1]", "http://localhost:8", "https://far.example/api/"]
)
def test_a_key_goes_where_nobody_can_read_along(url: str) -> None:
    RandomClient([url], key="ea_k", mix=False).close()


@pytest.mark.parametrize("url", ["http://far.example", "http://10.0.0.7:8000", "http://localhost.far.example"])
@pytest.mark.parametrize("options", [{"key": "ea_k"}, {"mix": False}])
def test_neither_key_nor_unmixed_bytes_go_in_clear_to_another_machine(url: str, options: Any) -> None:
    with pytest.raises(ClientMisused, match="in clear") as caught:
        RandomClient(["https://good.example", url], **options)
    assert "ea_k" not in f"{caught.value!r} {caught.value.data}"
    RandomClient([url], allow_insecure=True, **options).close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": ""}, {"key": "a\r\nHost: b"}, {"key": "with space"}, {"key": "\u00e9"}, {"when_dry": "never"},
        {"timeout_s": 0}, {"part_bytes": 0}, {"part_bytes": 2**26 + 1}, {"wait_s": -1}, {"timeout_s": float("nan")},
        {"timeout_s": float("inf")}, {"timeout_s": 1e12}, {"timeout_s": 86_401},
    ],
)  # fmt: skip
def test_an_argument_that_can_not_be_right_is_refused(wrong: Any) -> None:
    with pytest.raises(ClientMisused):
        RandomClient([NOWHERE], **wrong)


@pytest.mark.parametrize("endpoints", [[], NOWHERE])
def test_endpoints_are_a_list_of_at_least_one(endpoints: Any) -> None:
    with pytest.raises(ClientMisused):
        RandomClient(endpoints)


def test_importing_the_client_loads_the_standard_library_and_of_ours_the_errors() -> None:
    script = (
        "import sys; before = set(sys.modules); import entropy_assets.client; print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    loaded = done.stdout.split()
    ours = {
        name for name in loaded if name.startswith("entropy_assets") and not name.startswith("entropy_assets.client")
    }
    assert ours == {"entropy_assets", "entropy_assets.errors"}
    roots = {name.partition(".")[0] for name in loaded} - {"entropy_assets"}
    assert roots <= sys.stdlib_module_names, roots - sys.stdlib_module_names
